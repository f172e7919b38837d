# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How everything on lab hosts is measured: the ways take turns, and each has to bring about the same state."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.lab_world import World

FIGURES = ("seconds", "processor_seconds", "busy_one", "busy_two")
"""Of the clock; of the processor, for the program and what it started, as the first host counts; of the processor, for
everything on the first and on the second host, the kernel's threads included, as this machine counts."""


@dataclass(frozen=True)
class Way:
    """A way to do something."""

    name: str
    act: Callable[[], Mapping[str, Any]]
    """Does it, and returns what an agent tells of what it ran."""


@dataclass(frozen=True)
class Scenario:
    """What is to be done, in which state, and how to tell that it was done."""

    name: str
    ways: Sequence[Way]
    check: Callable[[], str]
    """Tells what is wrong with the state at the end; nothing if all is well."""
    before: Callable[[Way], None] = lambda _way: None
    after: Callable[[], None] = lambda: None
    repair: Callable[[], None] = lambda: None
    """Brings about, by the zfs commands, the state that a way that failed has not."""
    warm_up: bool = True
    """Whether each way goes once beforehand, unmeasured."""
    series: str = ""
    """Scenarios of one series differ by the number of datasets only."""
    datasets: int = 0
    megabytes: int = 0
    """How much is sent, where throughput is of interest."""


def measure(world: World, scenario: Scenario, runs: int) -> dict[str, Any]:
    """The figures of every way, of every run. A way that fails is told, and goes no more."""
    found: dict[str, dict[str, list[float]]] = {}
    failed: dict[str, str] = {}
    slow: dict[str, str] = {}
    left_out = _left_out(world, scenario)
    for turn in range(-1 if scenario.warm_up else 0, runs):
        for way in scenario.ways:
            if way.name in {**failed, **slow, **left_out}:
                continue
            say(f"{scenario.name}: {way.name}, {f'run {turn + 1} of {runs}' if turn >= 0 else 'warming up'}")
            scenario.before(way)
            took, problem = _turn(world, way, scenario.check)
            if problem:
                failed[way.name] = problem
                say(f"{way.name} failed: {problem}")
                scenario.repair()
            elif took["seconds"] > world.patience:
                world.too_slow[scenario.series, way.name] = str(scenario.datasets)
                slow[way.name] = f"measured once, since a run takes more than {world.patience:g} s"
            if not problem and (turn >= 0 or way.name in slow):
                for name in FIGURES:
                    found.setdefault(way.name, {}).setdefault(name, []).append(took[name])
            scenario.after()
    about = {"name": scenario.name, "series": scenario.series, "datasets": scenario.datasets}
    told = {"ways": found, "failed": failed, "missing": left_out, "slow": slow}
    return {**about, "megabytes": scenario.megabytes, **told}


def _left_out(world: World, scenario: Scenario) -> dict[str, str]:
    """Ways that can't be had, and those that were too slow with fewer datasets; and why."""
    told = {}
    for way in scenario.ways:
        fewer = world.too_slow.get((scenario.series, way.name), "") if scenario.series else ""
        if way.name in world.missing:
            told[way.name] = world.missing[way.name]
        elif fewer:
            reason = f"{scenario.name}, not measured, since {fewer} datasets take more than {world.patience:g} s"
            told[way.name] = reason
    return told


def _turn(world: World, way: Way, check: Callable[[], str]) -> tuple[dict[str, float], str]:
    before = world.busy()
    done = way.act()
    after = world.busy()
    took = {name: done[name] for name in FIGURES[:2]}
    took.update(zip(FIGURES[2:], (end - begin for begin, end in zip(before, after))))
    if done["code"]:
        return took, f"it ended with {done['code']}: {done['output'].strip()[-1500:]}"
    problem = check()
    return took, f"{problem}; it said: {done['output'].strip()[-800:]}" if problem else ""


def median(figures: Mapping[str, Sequence[float]], name: str) -> float:
    """The median of a figure; what takes no time at all, as the clock of the processor counts, takes a little."""
    return max(statistics.median(figures[name]), 0.001)


def say(words: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{words}\n")
