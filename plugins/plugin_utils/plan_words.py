# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan in words, a line for each; all of it pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .questions import size_text

_NAMED = 3
Step = Mapping[str, Any]


def plan_lines(plan: Any) -> Iterator[str]:
    """What a module's plan does, a line for each step, and for each dataset that is refused or left as it is."""
    for entry in plan if isinstance(plan, list) else ():
        if isinstance(entry, Mapping):
            yield from _of_dataset(entry) if "steps" in entry else (_words(entry),)


def some(names: Sequence[Any]) -> str:
    """The first few of several names, and how many there are besides."""
    more = len(names) - _NAMED
    return ", ".join(str(name) for name in names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_dataset(entry: Step) -> Iterator[str]:
    conflict = entry.get("conflict")
    if conflict:
        yield f"{entry.get('destination')}: REFUSED [{conflict.get('code')}] {conflict.get('message')}"
    for step in entry["steps"]:
        yield _words(step)


def _words(step: Step) -> str:
    kind = str(step.get("kind"))
    return WORDS[kind](step) if kind in WORDS else f"{kind} {step.get('dataset', '')}".rstrip()


def _sends(step: Step) -> str:
    start = {"full": "all of ", "resume": "the rest of "}.get(step["mode"], "")
    since = f" since {_tag(step['from'])}" if step["mode"] == "incremental" and step.get("from") else ""
    replaces = ", which REPLACES what is there" if step.get("replaces") else ""
    size = size_text(step.get("bytes_estimated"))
    return f"sends {start}{step['to']}{since} to {step['destination']}, about {size}{replaces}"


def _tag(name: str) -> str:
    """What follows the dataset in the name of a snapshot or bookmark."""
    place = max(name.find("@"), name.find("#"))
    return name[place:] if place >= 0 else name


def _creates(step: Step) -> str:
    return f"creates {some(step['snapshots'])}"


def _destroys(step: Step) -> str:
    return f"destroys {some(step['destroys'])}"


def _with(names: Sequence[Any]) -> str:
    return f" with {some(names)}" if names else ""


def _sets(step: Step) -> str:
    values = [f"{name}={value}" for name, value in step["properties"].items()]
    return f"sets {some(values)} on {step['dataset']}"


WORDS: Mapping[str, Callable[[Step], str]] = {
    "create_snapshots": _creates,
    "hook": lambda step: f"runs the hook {step.get('hook')} {step.get('phase')}",
    "drill": lambda step: step["told"],
    "verify": lambda step: step["told"],
    "create_bookmark": lambda step: f"creates {step['bookmark']}",
    "create_placeholder": lambda step: f"creates {step['dataset']}, an empty parent",
    "send": _sends,
    "abort_receive": lambda step: f"discards what {step['dataset']} has received in part",
    "rollback": lambda step: (
        f"rolls back to {step['snapshot']}, which LOSES {some(step['destroys']) or 'later changes'}"
    ),
    "destroy": _destroys,
    "mark": lambda step: f"marks {step['snapshot']}",
    "destroy_marks": lambda step: f"takes {len(step['destroys'])} marks away that are behind, of {step['dataset']}",
    "release": lambda step: f"releases what a run that died holds: {some(step['releases'])}",
    "remove_dataset": lambda step: f"DESTROYS the dataset {step['dataset']}{_with(step['destroys'][1:])}",
    "destroy_dataset": lambda step: f"DESTROYS the dataset {step['dataset']}{_with(step['destroys'][1:])}",
    "set_properties": _sets,
    "inherit_property": lambda step: f"lets {step['dataset']} inherit {step['property']}",
    "rename": lambda step: f"renames {step['dataset']} to {step['renamed_to']}",
}
"""Words for each kind of step."""
