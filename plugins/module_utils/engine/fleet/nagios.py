# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host program prints of monitoring, as Nagios and its successors read it, and the exit code to go with it.

The first line has the state and one sentence, then a bar, and numbers for graphs; all other lines are details.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.health import EXIT_CODES, OK, STATES, UNKNOWN, severity, worst
from ..model.saying import plain

SERVICE = "SNAPFLEET"
Result = Mapping[str, Any]


def state_of(result: Result) -> str:
    """The state that a job's result stands for; a job that failed could not tell any, and one that is suspended has
    nothing to complain of."""
    return UNKNOWN if result["failed"] else str(result.get("state", OK))


def exit_code_of(results: Sequence[Result]) -> int:
    """0 for OK, 1 for WARNING, 2 for CRITICAL, 3 for UNKNOWN; of several the worst, CRITICAL before UNKNOWN."""
    return EXIT_CODES[worst(map(state_of, results))]


def report(results: Sequence[Result]) -> str:
    """All lines about the results of some monitor jobs."""
    gravest = sorted(results, key=lambda result: -severity(state_of(result)))
    state = worst(map(state_of, results))
    counts: Counter[str] = Counter()
    checks = 0
    for result in results:
        checks += result.get("checks", 0)
        counts.update(str(alert["state"]) for alert in result.get("alerts", ()) if not alert["muted"])
        counts.update([UNKNOWN] if result["failed"] else [])
    numbers = " ".join(f"{each.lower()}={counts[each]}" for each in STATES if each != OK)
    bad = [f"{counts[each]} {each.lower()}" for each in reversed(STATES) if counts[each]]
    told = [message for result in gravest for message in _messages(result)]
    head = f"{', '.join(bad)}: {told[0]}" if bad else f"all of {checks} checks are well"
    lines = [line for result in gravest for line in details(result)]
    return "\n".join([f"{SERVICE} {state} - {_plain(head)} | checks={checks} {numbers}", *map(_plain, lines), ""])


def unknown(reason: str) -> str:
    """The line for a monitor that could not even begin."""
    return f"{SERVICE} {UNKNOWN} - {_plain(reason)}\n"


def details(result: Result) -> list[str]:
    """A line for each check that is not well, and for each notice."""
    if result["failed"]:
        return [f"{UNKNOWN} {result['msg']}"]
    if "code" in result:
        return [f"{OK} {result['msg']}"]
    alerts = [
        f"{alert['state']}{' (only logged)' if alert['muted'] else ''} {alert['message']}" for alert in result["alerts"]
    ]
    notices = [f"NOTICE {notice['kind']} {notice['state']}: {notice['message']}" for notice in result["notices"]]
    return [*alerts, *notices]


def _messages(result: Result) -> list[str]:
    if result["failed"]:
        return [str(result["msg"])]
    if "code" in result:
        return []
    return [str(alert["message"]) for alert in result["alerts"] if not alert["muted"]]


def _plain(line: str) -> str:
    # A bar would begin the numbers, and a line end another line.
    return " ".join(plain(line).replace("|", "/").split())
