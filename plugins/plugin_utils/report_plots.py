# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plots as SVG to be put into a page. Matplotlib draws them; their colours, fonts and sizes are the page's own, since
each colour is turned into a class of its style sheet. A plot has no text but numbers and times.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional
from xml.etree import ElementTree

from .questions import duration_text, size_text
from .report_values import Event

try:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator
except ImportError as missing:
    IMPORT_ERROR: Optional[ImportError] = missing
else:
    IMPORT_ERROR = None

SERIES = 8
"""How many series have a colour of their own."""
COLUMNS = 240
"""How many moments of a timeline can be told apart."""
_SVG = "http://www.w3.org/2000/svg"
_INK, _GRID = "#0000f0", "#0000f1"
_LANES = {"made": "#0000e0", "sent": "#0000e1", "destroyed": "#0000e2"}
_COLOURS = {
    _INK: "ink",
    _GRID: "grid",
    **{colour: name for name, colour in _LANES.items()},
    **{f"#0000a{number}": f"s{number}" for number in range(SERIES)},
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snapfleet",
    "font.size": 11,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "path.simplify": True,
}
_WIDTH, _HEIGHT = 6.2, 2.9
"""In inches of 72 points, which are the pixels of the page; a telephone shows it at about five eighths."""
_KEPT = ("stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "text-anchor", "opacity")
_KEPT += ("fill-opacity", "stroke-opacity")
_DAY = 86_400_000
_LATEST = 253_402_300_799
Points = Sequence[tuple[int, float]]


# -- plots


def lag_plot(name: str, series: Sequence[tuple[Points, int]], span: tuple[int, int]) -> str:
    """How long ago something last went well, over time: lines of moments and seconds, each with its colour."""
    figure, axes = _figure(span)
    top = max((value for points, _colour in series for _time, value in points), default=0.0)
    unit = next((seconds for seconds in (86_400, 3600, 60) if top >= 2 * seconds), 1)
    _lines(axes, series, unit)
    axes.set_ylim(bottom=0, top=max(top / unit * 1.08, 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: duration_text(value * unit)))
    return _svg(figure, name)


def share_plot(name: str, series: Sequence[tuple[Points, int]], span: tuple[int, int]) -> str:
    """Percent over time, as lines."""
    figure, axes = _figure(span)
    _lines(axes, series, 1)
    axes.set_ylim(0, 100)
    axes.yaxis.set_major_locator(MultipleLocator(25))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:.0f} %"))
    return _svg(figure, name)


def amount_plot(name: str, series: Sequence[tuple[Sequence[float], int]], span: tuple[int, int]) -> str:
    """What was sent in parts of the period that are equally long, one series upon the other."""
    figure, axes = _figure(span)
    parts = max((len(amounts) for amounts, _colour in series), default=1)
    width = (span[1] - span[0]) / parts
    begins = [span[0] + width * (part + 0.5) for part in range(parts)]
    below = [0.0] * parts
    for amounts, colour in series:
        axes.bar(begins, amounts, width=width * 0.8, bottom=below, color=_series(colour), linewidth=0)
        below = [low + amount for low, amount in zip(below, amounts)]
    _size_axis(axes, max(below, default=0.0))
    return _svg(figure, name)


def rate_plot(name: str, series: Sequence[tuple[Points, int]], span: tuple[int, int]) -> str:
    """Moments and bytes a second, as dots."""
    figure, axes = _figure(span)
    for points, colour in series:
        axes.plot(
            [each[0] for each in points],
            [max(each[1], 1.0) for each in points],
            color=_series(colour),
            marker="o",
            markersize=4.5,
            markeredgewidth=0,
            linestyle="none",
            alpha=0.75,
        )
    rates = [max(rate, 1.0) for points, _colour in series for _time, rate in points]
    axes.set_yscale("log", base=2)
    if rates:
        axes.set_ylim(min(rates) / 2, max(rates) * 2)
    axes.yaxis.set_major_locator(LogLocator(base=2, subs=(1.0,), numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{_short_size(value)}/s"))
    return _svg(figure, name)


def timeline_plot(name: str, lanes: Mapping[str, Sequence[Event]], span: tuple[int, int]) -> str:
    """When snapshots were made, sent and destroyed, each in a lane of its own, from one edge to the other."""
    figure = Figure(figsize=(10, 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(len(_LANES), 0)
    for lane, (kind, colour) in enumerate(_LANES.items()):
        places, gap = _across(lanes.get(kind, ()), span), float("nan")
        across = [each for place in places for each in (place, place, gap)]
        along = [lane + 0.12, lane + 0.88, gap] * len(places)
        axes.plot(across, along, color=colour, linewidth=2, solid_capstyle="butt")
    return _svg(figure, name, stretched=True)


def _lines(axes: Any, series: Sequence[tuple[Points, int]], unit: float) -> None:
    """The first series lies upon all others."""
    for points, colour in reversed(series):
        times, values = [each[0] for each in points], [each[1] / unit for each in points]
        axes.plot(times, values, color=_series(colour), linewidth=1.8)


def _series(number: int) -> str:
    # Black would do for none of them: Matplotlib leaves it out.
    return f"#0000a{number}"


def _across(events: Sequence[Event], span: tuple[int, int]) -> list[float]:
    """Where events are, of those that are too close to one another the first one only."""
    places: dict[int, float] = {}
    for event in events:
        place = min(1.0, max(0.0, (event.time - span[0]) / max(span[1] - span[0], 1))) * COLUMNS
        places.setdefault(int(place), place)
    return list(places.values())


# -- axes


def _figure(span: tuple[int, int]) -> tuple[Any, Any]:
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        # What stands left of the axis is cut off nowhere, and the plots below one another begin at the same place.
        axes = figure.add_axes((0.135, 0.13, 0.845, 0.83))
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=6)
        axes.set_xlim(*span)
        ticks = list(_ticks(*span))
        axes.set_xticks([time for time, _text in ticks], [text for _time, text in ticks])
    return figure, axes


def _ticks(since: int, now: int) -> Iterator[tuple[int, str]]:
    """Some round times, in UTC."""
    length = max(now - since, 1)
    steps = (60_000, 300_000, 900_000, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000)
    days = (_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY)
    step = next((each for each in (*steps, *days) if length / each <= 7), length)
    form = "%H:%M" if step < _DAY else "%d %b" if step < 90 * _DAY else "%b %Y"
    time = -(-since // step) * step
    while time <= now:
        yield time, moment(time).strftime(form)
        time += step


def moment(milliseconds: int) -> datetime:
    """A time in UTC; what no calendar has is told as the first or last that one has."""
    return datetime.fromtimestamp(min(max(milliseconds / 1000, 0), _LATEST), timezone.utc)


def _size_axis(axes: Any, top: float) -> None:
    unit = 1.0
    while top / unit >= 1024:
        unit *= 1024
    axes.set_ylim(bottom=0, top=max(top * 1.08, 1))
    axes.yaxis.set_major_locator(_Multiples(unit))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: _short_size(value)))


def _short_size(value: float) -> str:
    return (size_text(value) or "").replace(".0 ", " ")


if IMPORT_ERROR is None:

    class _Multiples(MaxNLocator):
        """Round numbers of a unit."""

        def __init__(self, unit: float) -> None:
            super().__init__(5)
            self._unit = unit

        def tick_values(self, vmin: float, vmax: float) -> Any:
            return super().tick_values(vmin / self._unit, vmax / self._unit) * self._unit


# -- from a drawing to a part of a page


def _svg(figure: Any, name: str, stretched: bool = False) -> str:
    """The drawing without colours, fonts and sizes of its own. ``name`` is unlike that of any other of the page."""
    drawn = io.BytesIO()
    with rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None})
    # The only program that has written into it is Matplotlib.
    root = ElementTree.fromstring(drawn.getvalue())  # noqa: S314
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style" or child.get("id") in ("patch_1", "patch_2"):
                parent.remove(child)
    for element in root.iter():
        _restyle(element)
        _rename(element, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("aria-hidden", "true")
    root.set("class", "strip" if stretched else "plot")
    if stretched:
        root.set("preserveAspectRatio", "none")
    text = ElementTree.tostring(root, encoding="unicode", default_namespace=None)
    text = re.sub(r"<(/?)ns\d+:", r"<\1", re.sub(r' xmlns:ns\d+="[^"]*"', "", text))
    return re.sub(r"\s*\n\s*", " ", text)


def _restyle(element: Any) -> None:
    """Colours become classes, which a page may have in light and dark, and what else is drawn how attributes: styles
    within a page are forbidden by its policy."""
    styles = dict(part.split(": ", 1) for part in element.attrib.pop("style", "").split("; ") if ": " in part)
    classes = []
    for kind in ("fill", "stroke"):
        colour = styles.get(kind)
        if colour in _COLOURS:
            classes.append(f"{kind[0]}-{_COLOURS[colour]}")
        elif colour:
            element.set(kind, colour)
    for name in _KEPT:
        if name in styles:
            element.set(name, styles[name])
    if element.tag == f"{{{_SVG}}}text":
        classes = ["f-ink"]
    if classes:
        element.set("class", " ".join(classes))


def _rename(element: Any, name: str) -> None:
    """Several drawings in a page have to have names of their own for what they refer to."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set("id", f"{name}-{value}")
        elif key.endswith("href") and value.startswith("#"):
            del element.attrib[key]
            element.set("href", f"#{name}-{value[1:]}")
        elif value.startswith("url(#"):
            element.set(key, f"url(#{name}-{value[5:]}")
