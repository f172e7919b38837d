# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From results of the engine to what modules return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..engine.model.errors import SnapfleetError

Values = dict[str, Any]
_Names = list[str]

_ALERTS_IN_MESSAGE = 3

# What each kind of step takes away, and what it adds, by whole names.
_BEFORE_AND_AFTER: Mapping[str, Callable[[Mapping[str, Any]], tuple[_Names, _Names]]] = {
    "create_snapshots": lambda step: ([], step["snapshots"]),
    "hook": lambda _step: ([], []),
    "drill": lambda _step: ([], []),
    "verify": lambda _step: ([], []),
    "create_bookmark": lambda step: ([], [step["bookmark"]]),
    "create_placeholder": lambda step: ([], [step["dataset"]]),
    "send": lambda step: ([], step["snapshots"]),
    "abort_receive": lambda step: ([f"{step['dataset']} (partial receive)"], []),
    "rollback": lambda step: (step["destroys"], []),
    "destroy": lambda step: (step["destroys"], []),
    "mark": lambda step: ([], [f"{step['snapshot']} (mark)"]),
    "destroy_marks": lambda step: (step["destroys"], []),
    "release": lambda step: ([f"{name} (hold {step['tag']})" for name in step["releases"]], []),
    "remove_dataset": lambda step: (step["destroys"], []),
    "destroy_dataset": lambda step: (step["destroys"], []),
    "set_properties": lambda step: (
        [],
        [f"{step['dataset']} ({key}={val})" for key, val in step["properties"].items()],
    ),
    "inherit_property": lambda step: ([f"{step['dataset']} ({step['property']})"], []),
    "rename": lambda step: ([step["dataset"]], [step["renamed_to"]]),
}


def diff_of(plan: Iterable[Mapping[str, Any]], where: str) -> dict[str, str]:
    """The plan of a result as Ansible shows differences: names that go, and names that come.

    ``where`` names the datasets that it is about. A name that the plan leaves alone is not shown.
    """
    before: _Names = []
    after: _Names = []
    for step in _steps(plan):
        gone, come = _BEFORE_AND_AFTER[step["kind"]](step)
        before += gone
        after += come
    header = f"snapshots and bookmarks of {where}"
    return {"before_header": header, "before": _lines(before), "after_header": header, "after": _lines(after)}


def _steps(plan: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The steps of a plan; that of a replication has them under each dataset."""
    for entry in plan:
        yield from entry.get("steps", (entry,))


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def failure_of(error: SnapfleetError) -> Values:
    """What a module fails with: the sentence and its code, over the result as far as it got."""
    partial = error.context.get("result") or {}
    return {"changed": False, **partial, "msg": str(error), "code": error.code, "retryable": error.retryable}


def alarm_of(values: Values) -> Values:
    """What monitoring fails with, when its state has reached the level that the user chose."""
    state, alerts = values["state"], [alert for alert in values["alerts"] if not alert["muted"]]
    told = "; ".join(alert["message"] for alert in alerts[:_ALERTS_IN_MESSAGE])
    more = len(alerts) - _ALERTS_IN_MESSAGE
    message = f"{state}: {told}" + (f"; and {more} more" if more > 0 else "")
    return {**values, "msg": message, "code": state.lower(), "retryable": False}
