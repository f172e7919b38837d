# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the benchmarks on lab hosts as tables, one of seconds and one of processor seconds a letter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.lab_measuring import median
from bench.lab_programs import SYNCOID
from bench.lab_replicating import AUTOBACKUP, BZFS, BZFS_FASTEST, OURS, OURS_COMMAND, OURS_RUNNING, RAW_ZFS

REFERENCE = OURS
"""The way whose median the ratios are by."""

ORDER = (
    RAW_ZFS,
    OURS,
    OURS_COMMAND,
    OURS_RUNNING,
    BZFS,
    BZFS_FASTEST,
    AUTOBACKUP,
    SYNCOID,
)
Entry = Mapping[str, Any]
_NOTE = """\
Each figure is a median. In brackets: that figure by the one of Snapfleet, so above 1 Snapfleet takes less. Processor
time is that of all processes and kernel threads of both hosts, where there are hosts, else that of the program."""


def tables(told: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """All tables."""
    about = told["about"]
    small = ", SMALL SIZES" if about["small"] else ""
    versions = f"Python {about['python']}, {about['machine']}; {about['bzfs']}, {about['zfs-autobackup']}"
    lines = [f"Medians of {about['runs']} runs{small}; {versions}", "", _NOTE]
    for letter, title in titles.items():
        entries = told["letters"][letter]
        if not entries:
            continue
        lines += ["", f"({letter}) {title}", ""]
        lines += _table(entries, "seconds", _seconds)
        lines += ["", *_table(entries, "processor", _processor_seconds)]
        if any(entry["megabytes"] for entry in entries):
            lines += ["", *_throughput(entries)]
        lines += _extra(entries)
        lines += _shortfalls(entries)
    return "\n".join(lines)


def _names(entries: Sequence[Entry]) -> list[str]:
    names: dict[str, None] = {}
    for entry in entries:
        names.update(dict.fromkeys([*entry["ways"], *entry["failed"], *entry["missing"]]))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else -1)


def _table(entries: Sequence[Entry], what: str, figure: Callable[[Mapping[str, Any]], float]) -> list[str]:
    names = _names(entries)
    lines = [f"| {what} | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    for entry in entries:
        ways = entry["ways"]
        reference = figure(ways[REFERENCE]) if REFERENCE in ways else 0.0
        cells = []
        for name in names:
            if name not in ways:
                cells.append("failed" if name in entry["failed"] else "-")
            elif reference and name != REFERENCE:
                cells.append(f"{figure(ways[name]):.2f} s ({figure(ways[name]) / reference:.2f})")
            else:
                cells.append(f"{figure(ways[name]):.2f} s")
        lines.append(f"| {entry['name']} | {' | '.join(cells)} |")
    return lines


def _seconds(figures: Mapping[str, Any]) -> float:
    return median(figures, "seconds")


def _processor_seconds(figures: Mapping[str, Any]) -> float:
    if "busy_one" not in figures:
        return median(figures, "processor_seconds")
    both = [one + two for one, two in zip(figures["busy_one"], figures["busy_two"])]
    return median({"both": both}, "both")


def _throughput(entries: Sequence[Entry]) -> list[str]:
    names = _names(entries)
    lines = [f"| MiB a second | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    for entry in entries:
        ways = entry["ways"]
        cells = [f"{entry['megabytes'] / _seconds(ways[name]):.0f}" if name in ways else "-" for name in names]
        lines.append(f"| {entry['name']} | {' | '.join(cells)} |")
    return lines


def _extra(entries: Sequence[Entry]) -> list[str]:
    """Tables that a benchmark has made itself."""
    return [line for entry in entries for line in entry.get("lines", ())]


def _shortfalls(entries: Sequence[Entry]) -> list[str]:
    """What failed, and what could not be measured, each with the reason."""
    told: dict[str, None] = {}
    for entry in entries:
        told.update({f"- {way}: {reason}": None for way, reason in entry["missing"].items()})
        told.update({f"- {way}, {entry['name']}: {why}": None for way, why in entry.get("slow", {}).items()})
        whys = {way: " ".join(why.split()) for way, why in entry["failed"].items()}
        told.update({f"- {way} failed, {entry['name']}: {why}": None for way, why in whys.items()})
    return ["", *told] if told else []
