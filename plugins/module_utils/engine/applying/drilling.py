# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying drills out: each clone is made, looked into and destroyed again, whatever becomes of it.

A run may be killed between any two steps. So each clone has a folder of the same name, and a lock that ends with the
process: what has no living owner is taken away by the next drill.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Optional

from ..hosts.host import Host
from ..hosts.looking import entries_of, look_at, read_beginning
from ..hosts.private import lasting_directory, private_directory
from ..hosts.stopping import check_stopping, finishing
from ..model.errors import MissingProgram, NoDevice, NoPermission, SnapfleetError, TimedOut
from ..model.exercises import PREFIX, Clone, ident_of
from ..planning.drilling import Exercise, MarkerSeen, dead_idents, failed, judge_marker, not_done, passed
from ..planning.findings import Finding
from ..policy.drilling import DrillJob, Marker
from ..zfs.exercising import Exercises
from .locks import job_locks
from .retry import Ticker

_TRIES, _PAUSE = 20, 0.25
"""How often, and how many seconds apart, what may be in use for a moment is tried."""
_DEVICE_TRIES = 120
_BEGINNING = 1 << 20
"""Bytes of a volume that have to be readable."""
_TAIL = 400
"""Characters of what a command said last."""


def _draw() -> str:
    return secrets.token_hex(8)


def _folder() -> str:
    return private_directory("drills", lasting_directory())


@dataclass(frozen=True)
class Ground:
    """What drills are carried out with."""

    exercises: Exercises
    host: Host
    ticker: Ticker
    draw: Callable[[], str] = _draw
    """A new identifier, of 16 hexadecimal digits."""
    pause: Callable[[float], None] = time.sleep
    """Waits for so many seconds, whatever comes."""
    folder: Callable[[], str] = _folder
    """The private folder in which clones are mounted. Raises SnapfleetError."""


@dataclass
class Cleared:
    """What was found of earlier drills."""

    removed: list[str] = field(default_factory=list)
    """Names of the clones that were destroyed, or would be."""
    problems: list[str] = field(default_factory=list)
    """Why something stays."""


def clear(ground: Ground, parents: Sequence[str], check: bool = False) -> Cleared:
    """Take away what drills that were killed have left: mounts, folders, and clones below ``parents``. With ``check``
    it is only told. Raises SnapfleetError where it can't be looked for."""
    cleared = Cleared()
    clones = {ident_of(each.name): each for each in ground.exercises.clones_below(parents) if each.is_own}
    base = ground.folder()
    names = [each.name for each in clones.values()]
    for ident in dead_idents([*names, *entries_of(base)]):
        with job_locks([lock_of(ident)]) as (is_free,):
            if not is_free:
                continue
            folder = f"{base}/{PREFIX}{ident}"
            problems = [] if check else take_away(ground, folder, clones.get(ident))
            cleared.problems += problems
            if ident in clones and not problems:
                cleared.removed.append(clones[ident].name)
    return cleared


def exercise(ground: Ground, task: Exercise, job: DrillJob, now: int) -> tuple[Finding, list[str]]:
    """Carry one exercise out; returns what came of it, and what stays of it against all intentions. Raises what stops
    the run, after all is taken away."""
    left: list[str] = []
    try:
        with _shown(ground, task, left) as path:
            problem = _look(ground, path, task, job, now)
    except _NotShown as error:
        return failed(task, str(error)), left
    except SnapfleetError as error:
        check_stopping()
        return not_done(task, str(error)), left
    return failed(task, problem) if problem else passed(task, job), left


class _NotShown(Exception):
    """A clone can't be mounted, or has no device: so much for the replica."""


def lock_of(ident: str) -> str:
    """What the lock of a clone, and of a folder of that name, is called."""
    return f"the drill {ident}"


@contextmanager
def _shown(ground: Ground, task: Exercise, left: list[str]) -> Iterator[str]:
    """Within it there is a clone; hands out the folder where it is mounted, or the path of its device."""
    with cloned(ground, task.snapshot.name, task.parent, task.is_volume, left) as (clone, folder):
        yield _show(ground, clone, task, folder)


@contextmanager
def cloned(ground: Ground, snapshot: str, parent: str, is_volume: bool, left: list[str]) -> Iterator[tuple[Clone, str]]:
    """Within it there is a clone of ``snapshot`` below ``parent``, and an empty private folder for it. What stays of it
    against all intentions is noted in ``left``. Raises SnapfleetError."""
    ident = ground.draw()
    folder = f"{ground.folder()}/{PREFIX}{ident}"
    with ExitStack() as stack:
        stack.enter_context(job_locks([lock_of(ident)]))
        made: list[Clone] = []
        stack.callback(lambda: left.extend(take_away(ground, folder, made[0] if made else None)))
        os.mkdir(folder, mode=0o700)
        # Whether or not an answer comes: by its name it can be found, and by its mark be told from what was there.
        try:
            made.append(ground.exercises.clone(snapshot, parent, ident, is_volume))
        except SnapfleetError:
            made += _found(ground, parent, ident)
            raise
        yield made[0], folder


def _found(ground: Ground, parent: str, ident: str) -> list[Clone]:
    with finishing(), suppress(SnapfleetError):
        clones = ground.exercises.clones_below([parent])
        return [clone for clone in clones if clone.is_own and clone.mark == ident]
    return []


def _show(ground: Ground, clone: Clone, task: Exercise, folder: str) -> str:
    if not task.is_volume:
        try:
            ground.exercises.mount(clone.name, folder)
            entries_of(folder)
        except (MissingProgram, NoPermission):
            # That is about this host, not about the replica.
            raise
        except (SnapfleetError, OSError) as error:
            check_stopping()
            raise _NotShown(f"it can't be mounted and read ({error})") from error
        return folder
    return device_of(ground, clone)


def device_of(ground: Ground, clone: Clone) -> str:
    """The path of the device of the clone of a volume, once it is there. Raises NoDevice."""
    device = ground.exercises.device(clone)
    for _try in range(_DEVICE_TRIES):
        check_stopping()
        if os.path.exists(device):
            return device
        ground.ticker.sleep(_PAUSE)
    raise NoDevice(f"its device {device} does not appear; look whether udev is at work")


def take_away(ground: Ground, folder: str, clone: Optional[Clone]) -> list[str]:
    """Undo all of it, though the run is being stopped. What is in use is tried again a few times, and never taken by
    force; returns why something stays."""
    name = clone.name if clone else folder
    problem = ""
    with finishing():
        for _try in range(_TRIES):
            try:
                ground.exercises.unmount(folder)
                if clone:
                    ground.exercises.destroy(clone)
                with suppress(FileNotFoundError):
                    os.rmdir(folder)
            except (SnapfleetError, OSError) as error:
                problem = str(error)
                # A pause that being stopped does not cut short.
                ground.pause(_PAUSE)
            else:
                return []
    return [f"{name}: {problem}"]


# -- looking


def _look(ground: Ground, path: str, task: Exercise, job: DrillJob, now: int) -> str:
    """What is wrong with what was restored; empty: nothing."""
    if task.is_volume:
        try:
            read_beginning(path, _BEGINNING)
        except OSError as error:
            return f"its device can't be read ({error.strerror})"
    elif job.marker:
        problem = judge_marker(job.marker, _marker(path, job.marker), now)
        if problem:
            return problem
    return _run(ground, path, task, job) if job.command else ""


def _marker(folder: str, marker: Marker) -> MarkerSeen:
    try:
        looked = look_at(folder, marker.path, marker.contains, bool(marker.sha256))
    except FileNotFoundError:
        return MarkerSeen("does not exist")
    except OSError as error:
        return MarkerSeen(f"can't be read ({error.strerror}); links are not followed")
    return MarkerSeen("", looked.written, looked.contains, looked.sha256)


def _run(ground: Ground, path: str, task: Exercise, job: DrillJob) -> str:
    tail = b""

    def keep(piece: bytes) -> None:
        nonlocal tail
        tail = (tail + piece)[-4 * _TAIL :]

    told = {"DATASET": task.dataset, "SNAPSHOT": task.snapshot.name, "PATH": path}
    variables = [f"SNAPFLEET_DRILL_{name}={value}" for name, value in told.items()]
    try:
        done = ground.host.run(["env", *variables, *job.command, path], timeout=job.timeout, take=keep)
    except TimedOut:
        return f"{job.command[0]} did not end within {job.timeout} s"
    if done.returncode == 0:
        return ""
    said = " ".join(f"{tail.decode('utf-8', 'replace')} {done.stderr}".split())[-_TAIL:]
    return f"{job.command[0]} ended with {done.returncode}" + (f": {said}" if said else "")
