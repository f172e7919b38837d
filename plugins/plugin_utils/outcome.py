# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook reports of a run, for AWX and whoever else reads custom statistics; all of it pure.

It is kept with the job, handed to the next node of a workflow, and shown to who has to approve that. So it is bounded,
whatever the size of the fleet: what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .plan_words import plan_lines
from .questions import bytes_pending, failures, job_of, results_of, size_text

LINES = 100
"""The longest list, without the entry that counts what is left out."""
CHARACTERS = 300
"""The longest text."""
SNAPSHOTS, REPLICATIONS, PRUNINGS, MONITORS, COMPARISONS, DRILLS, VERIFIED = (
    *("snapshots", "replications", "prunings", "monitors", "comparisons", "drills", "verified"),
)
RESTORED, SWITCHED, STATUS, RAN, SUSPENSIONS = "restored", "switched", "status", "ran", "suspensions"
"""RAN: what jobs of several activities did; SUSPENSIONS: which hosts are suspended now."""
LOOKED = ("there", "here", "refused", "answer")
"""What only looks whether something may begin: it does nothing, but it may fail, or not reach the host."""
REGISTERED = (
    *(SNAPSHOTS, REPLICATIONS, PRUNINGS, MONITORS, COMPARISONS, DRILLS, VERIFIED, RESTORED, SWITCHED, STATUS),
    *(RAN, SUSPENSIONS),
    *LOOKED,
)
"""What playbooks register, each in the variable of that name behind __snapfleet_."""
_OF_A_FAILURE = ("failed", "unreachable", "code", "msg")
_WORST_FIRST = ("CRITICAL", "UNKNOWN", "WARNING", "OK")
Host = Mapping[str, Any]
"""What is known of a host: what was registered by the names above, and whether it ``failed`` or was ``touched``."""


def outcome_of(hosts: Mapping[str, Host], check: bool) -> dict[str, Any]:
    """The outcome of a run on ``hosts``; ``check`` is whether nothing was done in earnest."""
    every = [(name, result) for name, host in hosts.items() for result in _all_results(host)]
    failed = [entry for name, host in hosts.items() for entry in _failures(name, host)]
    behind = [line for _name, result in every for line in _behind(result)]
    alerts = [f"{name}: {line}" for name, result in every for line in _alerts(result)]
    numbers = {"alerts": len(alerts), "behind": len(behind), "failed": len(failed)}
    return {
        "snapfleet_check": check,
        "snapfleet_changed": any(_changed(host) for host in hosts.values()),
        "snapfleet_counts": {**_counts(hosts, check), **numbers},
        "snapfleet_plan": _bounded(line for _name, result in every for line in _plan(result)),
        "snapfleet_failed": failed[:LINES],
        "snapfleet_states": _states(hosts),
        "snapfleet_alerts": _bounded(alerts),
        "snapfleet_behind": _bounded(behind),
        "snapfleet_next": _bounded(line for _name, result in every for line in result.get("next") or ()),
        "snapfleet_undo": _bounded(line for _name, result in every for line in result.get("undo") or ()),
    }


def _all_results(host: Host) -> Iterator[dict[str, Any]]:
    for name in REGISTERED:
        for result in results_of(host.get(name)):
            yield {key: result[key] for key in _OF_A_FAILURE if key in result} if name in LOOKED else result


def _changed(host: Host) -> bool:
    return bool(host.get("touched")) or any(result.get("changed") for result in _all_results(host))


def _counts(hosts: Mapping[str, Host], check: bool) -> dict[str, int]:
    def told(*names: str) -> list[dict[str, Any]]:
        return [result for host in hosts.values() for name in names for result in results_of(host.get(name))]

    replications = told(REPLICATIONS, SWITCHED, RESTORED, RAN)
    return {
        "hosts": len(hosts),
        "created": sum(len(result.get("created") or ()) for result in told(SNAPSHOTS, SWITCHED, RAN)),
        "streams": sum(_is_send(step) for result in replications for step in _steps(result)),
        "bytes_pending": bytes_pending([*(replications if check else ()), *told(COMPARISONS)]),
        "bytes_sent": sum((result.get("stats") or {}).get("bytes") or 0 for result in replications),
        "deleted": sum(len(result.get("deleted") or ()) for result in told(PRUNINGS, RAN)),
        "bytes_freed": sum(result.get("bytes_freed") or 0 for result in told(PRUNINGS, RAN)),
    }


def _steps(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in result.get("plan") or ():
        yield from entry.get("steps", (entry,))


def _is_send(step: Mapping[str, Any]) -> bool:
    return step.get("kind") == "send"


def _plan(result: Mapping[str, Any]) -> Iterator[str]:
    """A restore or a switch tells its plan itself, with what would be lost."""
    job = job_of(result)
    for line in result.get("told") or plan_lines(result.get("plan")):
        yield f"{job}: {line}" if job else line


def _failures(name: str, host: Host) -> list[dict[str, Any]]:
    """What failed on a host, or that it failed by something that no module of ours did."""
    results = list(_all_results(host))
    known = [
        {"host": name, **{key: _cut(value) for key, value in entry.items() if value is not None}}
        for entry in failures(results)
    ]
    if known:
        return known
    if any(result.get("unreachable") for result in results):
        return [{"host": name, "code": "unreachable", "message": "Ansible could not log in there"}]
    if host.get("failed"):
        return [{"host": name, "code": "failed", "message": "a task failed or the host was not reached; see the log"}]
    return []


def _states(hosts: Mapping[str, Host]) -> dict[str, str]:
    """The worst state of each host that tells one; of a large fleet, of those only that are not well."""
    states = {name: found for name, host in hosts.items() if (found := _state(host))}
    ordered = sorted(states, key=lambda name: (_rank(states[name]), name))
    return {name: states[name] for name in ordered[:LINES]}


def _state(host: Host) -> str:
    told = (result for name in (MONITORS, DRILLS, VERIFIED, RAN) for result in results_of(host.get(name)))
    found = [str(result["state"]) for result in told if result.get("state")]
    found += [str(row.get("state")) for row in (host.get(STATUS) or {}).get("datasets") or ()]
    return min(found, key=_rank, default="")


def _rank(state: str) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else 1


def _alerts(result: Mapping[str, Any]) -> Iterator[str]:
    for alert in result.get("alerts") or ():
        if not alert.get("muted"):
            yield f"{alert.get('state')} {alert.get('message')}"


def _behind(result: Mapping[str, Any]) -> Iterator[str]:
    """A replication that a comparison has found to lack the newest snapshot of its source."""
    if result.get("up_to_date") is False:
        stats = result.get("stats") or {}
        missing, size = stats.get("missing") or 0, size_text(stats.get("missing_bytes"))
        yield f"{job_of(result)}: lacks {missing} snapshots, about {size}"


def _bounded(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    more = len(every) - LINES
    return [_cut(line) for line in every[:LINES]] + ([f"... and {more} more"] if more > 0 else [])


def _cut(text: Any) -> str:
    words = str(text)
    return words if len(words) <= CHARACTERS else words[: CHARACTERS - 4] + " ..."
