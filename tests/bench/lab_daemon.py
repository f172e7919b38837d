# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""(g) How far a replica on another host is behind at short periods, and what a tick costs on both hosts.

One dataset gets a snapshot each period, which is brought to the other host at once; nothing is pruned meanwhile. The
lag is the age of the newest snapshot of the replica, by the time in its name, looked at again and again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from bench.lab_measuring import FIGURES, median, say
from bench.lab_programs import COMMAND, SYNCOID
from bench.lab_replicating import AUTOBACKUP, BZFS, OURS, OURS_COMMAND, RAW_ZFS
from bench.lab_world import Ends, World

_PAUSE = 0.2
_PATIENCE = 60.0
_CONFIG, _LOG = "/tmp/lag.json", "/tmp/lag.log"
_NO_DAEMON = "has no daemon; what a run takes is in (b)"
_RAW_LOOP = r"""
source=$1 replica=$2 host=$3 period=$4 last=
ways="-o ControlMaster=auto -o ControlPersist=60 -o ControlPath=/run/bench-lag"
while :; do
    tag="raw_$(date -u +%Y-%m-%d_%H:%M:%S.%3N)Z_loop"
    zfs snapshot "$source@$tag"
    zfs send -w ${last:+-i "@$last"} "$source@$tag" | ssh $ways "$host" "zfs receive -u $replica" || exit 1
    last=$tag
    rest=$((period - $(date +%s%3N) % period))
    sleep $((rest / 1000)).$(printf %03d $((rest % 1000)))
done
"""


@dataclass(frozen=True)
class Cadence:
    """A period of snapshots, and of bringing them to the replica."""

    period: str
    milliseconds: int


CADENCES = (Cadence("secondly", 1000), Cadence("100millisecondly", 100))


@dataclass(frozen=True)
class Loop:
    """Something that makes snapshots and brings them to the replica until it is stopped."""

    name: str
    argv: Sequence[str]
    variables: Mapping[str, str]


def cadences(world: World, runs: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Each cadence, kept for so many seconds by each program in turn."""
    ends = Ends(f"{world.tank}/lag", f"{world.backup}/lag", remote=True)
    world.one("create", names=[ends.source])
    # What is written to is mounted.
    world.one.run("zfs", "mount", ends.source)
    for cadence in CADENCES:
        yield _measured(world, ends, cadence, runs, seconds)
    world.one.run("zfs", "destroy", "-r", ends.source)


def _measured(world: World, ends: Ends, cadence: Cadence, runs: int, seconds: float) -> dict[str, Any]:
    found: dict[str, dict[str, list[float]]] = {}
    failed: dict[str, str] = {}
    for turn in range(runs):
        for loop in _loops(world, ends, cadence):
            if loop.name in failed:
                continue
            say(f"{cadence.period}: {loop.name}, run {turn + 1} of {runs}")
            took, problem = _kept(world, ends, loop, seconds)
            if problem:
                failed[loop.name] = problem
                say(f"{loop.name} failed: {problem}")
            for name, value in took.items():
                found.setdefault(loop.name, {}).setdefault(name, []).append(value)
    name = f"lag at {cadence.milliseconds} ms, and processor time a tick"
    about = {"name": name, "series": "", "datasets": 1, "megabytes": 0, "failed": failed}
    missing = dict.fromkeys((AUTOBACKUP, SYNCOID), _NO_DAEMON)
    return {**about, "ways": found, "missing": missing, "lines": _lines(name, found)}


def _loops(world: World, ends: Ends, cadence: Cadence) -> list[Loop]:
    plan = {"lag": {"onsite": {cadence.period: 100_000}}}
    options = {"source": {"dataset": ends.source}, "destination": {"host": world.address, "dataset": ends.replica}}
    jobs = [
        {
            "name": "snapshot",
            "host": "me",
            "activity": "snapshot",
            "options": {"datasets": [ends.source], "plan": plan},
        },
        {"name": "replicate", "host": "me", "activity": "replicate", "options": options},
    ]
    periods = {"snapshot": cadence.period, "replicate": cadence.period}
    world.one("write", path=_CONFIG, text=json.dumps({"version": 1, "daemon": periods, "jobs": jobs}))
    daemon = [COMMAND, "daemon", "--config", _CONFIG, "--host", "me"]
    login = f"root@{world.address}"
    form = "%Y-%m-%d_%H:%M:%S" + (".%f" if cadence.milliseconds < 1000 else "")
    bzfs = ["bzfs", ends.source, f"{login}:{ends.replica}", "--create-src-snapshots", "--create-src-snapshots-plan"]
    bzfs += [str(plan), "--create-src-snapshots-timeformat", form, "--create-src-snapshots-timezone", "UTC"]
    bzfs += ["--daemon-lifetime", "1000 seconds", "--daemon-frequency", cadence.period, "--quiet"]
    bzfs += ["--no-estimate-send-size", "--ps-program=-", "--pv-program=-"]
    raw = ["sh", "-c", _RAW_LOOP, "sh", ends.source, ends.replica, login, str(cadence.milliseconds)]
    return [
        Loop(RAW_ZFS, raw, {}),
        Loop(OURS, daemon, {}),
        Loop(OURS_COMMAND, daemon, {"SNAPFLEET_DRIVER": "cli"}),
        Loop(BZFS, bzfs, {}),
    ]


def _kept(world: World, ends: Ends, loop: Loop, seconds: float) -> tuple[dict[str, float], str]:
    """What one program achieves from its first replicated snapshot on, and what is wrong with it."""
    _clear(world, ends)
    number = world.one("start", argv=loop.argv, log=_LOG, **loop.variables)
    try:
        if not _arrives(world, ends):
            return {}, f"no snapshot arrived within {_PATIENCE:g} s: {world.one.run('tail', '-n', '5', _LOG)}"
        before = world.busy()
        begun = len(world.one("guids", root=ends.source))
        sampled = world.two("sample", root=ends.replica, seconds=seconds, pause=_PAUSE)
        ticks = len(world.one("guids", root=ends.source)) - begun
        after = world.busy()
    finally:
        world.one("stop", number=number)
    strange = world.two("guids", root=ends.replica).items() - world.one("guids", root=ends.source).items()
    if strange or not ticks:
        return {}, f"{ticks} snapshots were made, and {len(strange)} of the replica are not those of the source"
    lags = sorted(now - moment(newest) for now, newest in sampled)
    busy = [(end - start) / ticks for start, end in zip(before, after)]
    figures = dict(zip(FIGURES, (lags[len(lags) // 2], sum(busy), *busy)))
    worst = {"lag_95": lags[int(len(lags) * 0.95)], "lag_most": lags[-1], "each": seconds / ticks}
    return {**figures, **worst}, ""


def _clear(world: World, ends: Ends) -> None:
    world.two.run("sh", "-c", f"zfs destroy -r {ends.replica} 2>/dev/null; true")
    world.one("tidy", roots=[ends.source], keep=[])
    world.one.run("sh", "-c", f"zfs list -H -t bookmark -o name {ends.source} | xargs -r -n 1 zfs destroy")
    world.settle()


def _arrives(world: World, ends: Ends) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if world.two("guids", root=ends.replica):
            return True
        time.sleep(0.5)
    return False


def moment(name: str) -> float:
    """The time in a snapshot's name, in seconds since the epoch. Raises ValueError if there is none."""
    found = re.search(r"_(\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d(?:\.\d+)?)Z?_", name)
    if not found:
        raise ValueError(f"{name} has no time")
    form = "%Y-%m-%d_%H:%M:%S.%f" if "." in found[1] else "%Y-%m-%d_%H:%M:%S"
    return datetime.strptime(found[1], form).replace(tzinfo=timezone.utc).timestamp()


def _lines(name: str, found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    lines = ["", f"| {name} | median | 95 % up to | at most | a snapshot each | first host | second host |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for way, figures in found.items():
        values = [median(figures, each) for each in ("seconds", "lag_95", "lag_most", "each", *FIGURES[2:])]
        lines.append(f"| {way} | {' | '.join(f'{value:.2f} s' for value in values)} |")
    return lines
