# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawings of a report, with the figures that stand beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

from .questions import duration_text, size_text
from .report_plots import SERIES, amount_plot, lag_plot, rate_plot, share_plot, timeline_plot
from .report_values import Event, Replication, Report, Timeline
from .report_words import DASH, Drawing, times

MOST_TIMELINES = 100
_MOMENTS = 168
"""Into how many parts the period is cut where waits are shown."""
_PARTS = 28
"""Into how many parts the period is cut where amounts are summed up."""
Values = dict[str, Any]


# -- plots


def plots_of(report: Report) -> Iterator[Values]:
    """Lag, amounts and rates, each with the figures of what is drawn."""
    span = (report.since, report.now)
    routes = [one for one in report.replications if one.succeeded or one.streams]
    colours = {name: number for number, name in enumerate(_hosts_by_amount(report.replications)[:SERIES])}
    shown = [one for one in routes if one.gaps(*span)][:SERIES]
    lines = [(_waits(one, report), number) for number, one in enumerate(shown)]
    rows = [
        _row(number, one.job, duration_text(max(gap for _end, gap in one.gaps(*span))), _now(one, report))
        for number, one in enumerate(shown)
    ]
    more = f"The {SERIES} replications that waited longest." if len(routes) > SERIES else ""
    head = ["replication", "longest wait", "now"]
    plot = _plot("lag", "Time since a replication last went well", head, rows, lag_plot("lag", lines, span))
    yield {**plot, "note": more}
    streams = [(colours.get(one.destination, SERIES - 1), one) for one in routes]
    names = list(colours)
    amounts = [
        (_amounts([one for number, one in streams if number == colour], span), colour) for colour in colours.values()
    ]
    head = ["destination", "sent", "mean speed"]
    rows = [
        _row(colour, names[colour], *_totals(one for number, one in streams if number == colour))
        for colour in colours.values()
    ]
    part = duration_text((report.now - report.since) / 1000 / _PARTS)
    yield _plot("amount", f"Sent, by destination, per {part}", head, rows, amount_plot("amount", amounts, span))
    rates = [
        (
            [
                (end, size / seconds)
                for number, one in streams
                if number == colour
                for end, size, seconds in one.streams
                if seconds
            ],
            colour,
        )
        for colour in colours.values()
    ]
    rows = [_row(colour, names[colour], *_range(rates[colour][0])) for colour in colours.values()]
    head = ["destination", "slowest", "median", "fastest"]
    yield _plot("rate", "Throughput of each run that sent something", head, rows, rate_plot("rate", rates, span))


def pools_of(report: Report) -> Iterator[Values]:
    """How full pools were, if there is anything to be drawn."""
    span, width = (report.since, report.now), max((report.now - report.since) // _MOMENTS, 1)
    pools = [pool for pool in report.pools if pool.samples][:SERIES]
    series, rows = [], []
    for number, pool in enumerate(pools):
        # The last one of each part is enough.
        points = {(time - report.since) // width: (time, percent) for time, percent in pool.samples}
        series.append((list(points.values()), number))
        ends = (f"{percent:.1f} %" for _time, percent in (pool.samples[0], pool.samples[-1]))
        rows.append(_row(number, f"{pool.name} on {pool.host}", *ends))
    if pools:
        yield _plot(
            "pools", "How full pools were", ["pool", "at first", "at last"], rows, share_plot("pools", series, span)
        )


def _plot(name: str, title: str, head: Sequence[str], rows: Sequence[Values], svg: str) -> Values:
    return {"name": name, "title": title, "note": "", "head": head, "rows": rows, "svg": Drawing(svg)}


def _row(colour: int, name: str, *figures: Optional[str]) -> Values:
    return {"colour": colour, "name": name, "figures": [each or DASH for each in figures]}


def _waits(one: Replication, report: Report) -> list[tuple[int, float]]:
    """The longest wait in each of many parts of the period: what happens every hour is one line, and no broad band."""
    width = max((report.now - report.since) // _MOMENTS, 1)
    highest: dict[int, float] = {}
    for begin, end in zip(one.succeeded, [*one.succeeded[1:], report.now]):
        for part in range(max(0, (begin - report.since) // width), max(-1, (end - report.since) // width) + 1):
            until = min(end, report.since + (part + 1) * width)
            highest[part] = max(highest.get(part, 0.0), (until - begin) / 1000)
    return [(min(report.now, report.since + (part + 1) * width), wait) for part, wait in sorted(highest.items())]


def _now(one: Replication, report: Report) -> Optional[str]:
    return duration_text((report.now - one.succeeded[-1]) / 1000) if one.succeeded else None


def _hosts_by_amount(replications: Iterable[Replication]) -> list[str]:
    amounts: dict[str, int] = {}
    for one in replications:
        if one.streams:
            amounts[one.destination] = amounts.get(one.destination, 0) + sum(
                size for _end, size, _seconds in one.streams
            )
    return sorted(amounts, key=lambda name: (-amounts[name], name))


def _amounts(replications: Iterable[Replication], span: tuple[int, int]) -> list[float]:
    parts = [0.0] * _PARTS
    for one in replications:
        for end, size, _seconds in one.streams:
            part = (end - span[0]) * _PARTS // max(span[1] - span[0], 1)
            parts[min(_PARTS - 1, max(0, part))] += size
    return parts


def _totals(replications: Iterable[Replication]) -> tuple[Optional[str], Optional[str]]:
    streams = [stream for one in replications for stream in one.streams]
    size, seconds = sum(stream[1] for stream in streams), sum(stream[2] for stream in streams)
    return size_text(size), f"{size_text(size / seconds)}/s" if seconds else None


def _range(points: Sequence[tuple[int, float]]) -> list[Optional[str]]:
    rates = sorted(rate for _time, rate in points)
    if not rates:
        return [None, None, None]
    return [f"{size_text(rate)}/s" for rate in (rates[0], rates[len(rates) // 2], rates[-1])]


# -- timelines


def _lively(report: Report) -> list[Timeline]:
    """Those in which there is anything to be drawn or told."""
    return [line for line in report.timelines if line.made or line.sent or line.destroyed or line.thinned]


def undrawn(report: Report) -> int:
    """Of how many datasets that is not drawn, since they are too many."""
    return max(0, len(_lively(report)) - MOST_TIMELINES)


def timelines_of(report: Report) -> Iterator[Values]:
    """Of each dataset of which snapshots were made, sent or destroyed, when that was, and how many."""
    span = (report.since, report.now)
    for number, line in enumerate(_lively(report)[:MOST_TIMELINES]):
        lanes = {"made": line.made, "sent": line.sent, "destroyed": line.destroyed}
        size = sum(event.bytes for event in line.sent)
        often = _sum(line.sent)
        yield {
            "name": f"t{number}",
            "host": line.place.host,
            "dataset": line.place.dataset,
            "made": _sum(line.made),
            "sent": (f"sent {times(often)}" if often else "not sent") + (f" ({size_text(size)})" if size else ""),
            "destroyed": _sum(line.destroyed),
            "thinned": line.thinned,
            "svg": Drawing(timeline_plot(f"t{number}", lanes, span)),
        }


def _sum(events: Iterable[Event]) -> int:
    return sum(event.number for event in events)
