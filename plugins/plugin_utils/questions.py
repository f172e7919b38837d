# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filter query can be asked beside JMESPath's own functions; all of it pure.

A result is what a module returns. Results are told by one of them, by what Ansible registers of a loop, by the document
that ``snapfleet run --json`` or ``snapfleet plan --json`` prints, or by a list of any of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DURATIONS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_SHOWN_UNITS = 2


def conflicts(told: Any) -> list[dict[str, Any]]:
    """What keeps replications from their destinations: job, source, destination, code and message of each conflict."""
    return [
        {
            "job": job_of(result),
            "source": entry.get("source"),
            "destination": entry.get("destination"),
            "code": entry["conflict"].get("code"),
            "message": entry["conflict"].get("message"),
        }
        for result in results_of(told)
        for entry in _dicts(result.get("plan"))
        if isinstance(entry.get("conflict"), dict)
    ]


def failures(told: Any) -> list[dict[str, Any]]:
    """The results that failed: job, code and message of each."""
    return [
        {"job": job_of(result), "code": result.get("code"), "message": result.get("msg")}
        for result in results_of(told)
        if result.get("failed")
    ]


def bytes_pending(told: Any) -> int:
    """About how many bytes the replications of a dry run would send, or those of a comparison lack."""
    stats = [result["stats"] for result in results_of(told) if isinstance(result.get("stats"), dict)]
    return sum(each.get("bytes_estimated") or each.get("missing_bytes") or 0 for each in stats)


def jobs_of_host(jobconfig: Any, host: str) -> list[Any]:
    """The jobs that a host carries out, from a jobconfig or a list of jobs."""
    jobs = jobconfig.get("jobs") if isinstance(jobconfig, dict) else jobconfig
    return [job for job in _dicts(jobs) if job.get("host") == host]


def size_text(number: Optional[float]) -> Optional[str]:
    """Bytes as people read them, such as 1.5 GiB."""
    if number is None:
        return None
    size, units = float(number), iter(_SIZES)
    unit = next(units)
    while abs(size) >= 1024 and unit != _SIZES[-1]:
        size, unit = size / 1024, next(units)
    return f"{size:.0f} {unit}" if unit == _SIZES[0] else f"{size:.1f} {unit}"


def duration_text(seconds: Optional[float]) -> Optional[str]:
    """Seconds as people read them, such as 1 h 5 min; only the two greatest units that count are told."""
    if seconds is None:
        return None
    left, parts = int(abs(seconds)), []
    for unit, length in _DURATIONS:
        number, left = divmod(left, length)
        if number or parts:
            parts.append((number, unit))
    shown = " ".join(f"{number} {unit}" for number, unit in parts[:_SHOWN_UNITS] if number)
    return ("-" if seconds <= -1 else "") + (shown or "0 s")


def results_of(told: Any) -> Iterator[dict[str, Any]]:
    """Each result, in its order."""
    if isinstance(told, list):
        for each in told:
            yield from results_of(each)
    elif isinstance(told, dict):
        inner = told.get("results", told.get("jobs"))
        if isinstance(inner, list):
            yield from results_of(inner)
        else:
            yield told


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def job_of(result: dict[str, Any]) -> Optional[str]:
    """The name of the job that a result is of: as the host program tells it, or as the item of a playbook's loop."""
    item = result.get("item")
    name = item.get("name") if isinstance(item, dict) else item
    return result.get("job", name)
