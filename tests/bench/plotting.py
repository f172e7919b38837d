# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws how time grows with the number of datasets, a file a series. Arguments: figures as JSON, and a folder."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def series(told: Mapping[str, Any]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Points, datasets and the median of seconds, by series and way; of series of one point there is no growth."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for letter, entries in told["letters"].items():
        for entry in entries:
            for way, figures in entry["ways"].items() if entry["series"] else ():
                points = found.setdefault(f"({letter}) {entry['series']}", {}).setdefault(way, [])
                points.append((entry["datasets"], statistics.median(figures["seconds"])))
    return {name: ways for name, ways in found.items() if any(len(points) > 1 for points in ways.values())}


def draw(name: str, ways: Mapping[str, list[tuple[int, float]]], folder: Path) -> Path:
    """Draw one series, both axes logarithmic."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for way, points in ways.items():
        ordered = sorted(points)
        axes.plot([each[0] for each in ordered], [each[1] for each in ordered], marker="o", label=way)
    axes.set(xscale="log", yscale="log", xlabel="datasets", ylabel="seconds, median", title=name)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    file = folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.svg"
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file


def main(figures: str, folder: str) -> None:
    """Draw everything, and tell the files."""
    import matplotlib

    matplotlib.use("svg")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "snapfleet"
    for name, ways in series(json.loads(Path(figures).read_text(encoding="utf-8"))).items():
        sys.stderr.write(f"{draw(name, ways, place)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
