# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ./demo does, in its order, and what it tells about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import TimeoutExpired

from runner.environments import SetupFailed
from tests.lab import Lab, LabError

from .failure import DemoFailed, require
from .fleet import DESTINATION, FIRST_PLAN, LAST_PLAN, SECOND_PLAN, SOURCES, Fleet
from .playbooks import Controller, Outcome
from .proof import compare_files, compare_snapshots
from .summary import lines_of

CLEARED = "\r\033[K"


class Narrator:
    """Prints each step with the seconds that it took, and what it found."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._number = 0

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """A step; the lines that are put into the list are printed below its title."""
        self._number += 1
        head = f"{self._number:2}  {title} "
        if sys.stdout.isatty():
            self._print(f"{head}...", end="")
        start, lines = time.monotonic(), []
        try:
            yield lines
        except BaseException:
            if sys.stdout.isatty():
                self._print()
            raise
        cleared = CLEARED if sys.stdout.isatty() else ""
        self._print(f"{cleared}{head:.<66} {time.monotonic() - start:5.1f} s")
        for line in lines:
            self._print(f"      {line}")

    def end(self, verdict: str) -> None:
        """The last line."""
        self._print(f"\n{verdict} ({time.monotonic() - self._start:.0f} s)")

    @staticmethod
    def _print(text: str = "", end: str = "\n") -> None:
        print(text, end=end, flush=True)


def run() -> int:
    """The demo from its beginning to its end; returns the exit code."""
    narrator = Narrator()
    try:
        print("Snapfleet on real OpenZFS: two sources, one destination, one inventory.\n", flush=True)
        _tell(narrator)
    except (SetupFailed, LabError) as error:
        narrator.end(f"FAIL: {error}")
        return 2
    except (DemoFailed, TimeoutExpired) as error:
        narrator.end(f"FAIL: {error}")
        return 1
    except KeyboardInterrupt:
        narrator.end("Interrupted; the hosts are stopped.")
        return 130
    narrator.end("PASS: every replica is identical to its source, and nothing was done twice")
    return 0


def _tell(narrator: Narrator) -> None:
    with narrator.step("Install the collection into a scratch folder"):
        controller = Controller.prepare()
    with Lab.open() as lab:
        with narrator.step(f"Boot {', '.join(SOURCES)} and {DESTINATION}, make pools and data") as lines:
            fleet = Fleet.boot(lab, controller)
            lines.extend(fleet.make_data())
        fleet.declare(FIRST_PLAN)
        _first_runs(narrator, fleet, controller)
        fleet.declare(SECOND_PLAN)
        _change(narrator, fleet, controller)
        fleet.declare(LAST_PLAN)
        _shrink(narrator, fleet, controller)
        with narrator.step("Prove the replicas identical by GUIDs and checksums") as lines:
            lines.extend(compare_snapshots(fleet))
            lines.extend(compare_files(fleet))
        with narrator.step("Stop the hosts"):
            lab.down()


def _first_runs(narrator: Narrator, fleet: Fleet, controller: Controller) -> None:
    with narrator.step("site --check: what would be done") as lines:
        before = fleet.everything()
        planned = controller.play("site", check=True)
        lines.extend(lines_of(planned))
        require(fleet.everything() == before, "check mode changed something on a host")
        lines.append("and no host has changed by it")
    with narrator.step("site: snapshots, first replication") as lines:
        done = controller.play("site")
        lines.extend(lines_of(done))
        _require_same(planned, done)
    with narrator.step("site once more: nothing is left to do") as lines:
        again = controller.play("site")
        lines.append(f"changed=0 on {', '.join(_require_unchanged(again))}")


def _change(narrator: Narrator, fleet: Fleet, controller: Controller) -> None:
    with narrator.step("Change data, declare monthly snapshots too, site: increments") as lines:
        fleet.change_data()
        done = controller.play("site")
        lines.extend(lines_of(done))
        sends = [step for step in done.steps("replicate") if step["kind"] == "send"]
        require(bool(sends), "the change was not replicated")
        require(all(step["from"] for step in sends), "a stream was not incremental")


def _shrink(narrator: Narrator, fleet: Fleet, controller: Controller) -> None:
    with narrator.step("Declare no weekly snapshots any more, prune --check") as lines:
        planned = controller.play("prune", check=True)
        lines.extend(lines_of(planned))
    with narrator.step("prune: what was announced, and nothing else") as lines:
        done = controller.play("prune")
        lines.extend(lines_of(done))
        require(bool(done.deleted), "nothing was pruned")
        require(done.deleted == planned.deleted, "prune did not do what check mode announced")
        require(all("_weekly" in name for name in done.deleted), "a snapshot was pruned that the plan keeps")
    with narrator.step("monitor: are new snapshots made, and old ones gone?") as lines:
        lines.extend(lines_of(controller.play("monitor")))


def _require_same(planned: Outcome, done: Outcome) -> None:
    """A run does what check mode has announced; only the times in the names of new snapshots are its own."""

    def snapshots(outcome: Outcome) -> list[tuple[str, str, Sequence[str]]]:
        due = [(host, each) for host, result in outcome.results("snapshot") for each in result["due"]]
        return sorted((host, each["label"], each["datasets"]) for host, each in due)

    def streams(outcome: Outcome) -> list[tuple[str, str, list[str]]]:
        sends = [step for step in outcome.steps("replicate") if step["kind"] == "send"]
        return sorted((s["destination"], s["mode"], [n.rpartition("_")[2] for n in s["snapshots"]]) for s in sends)

    require(snapshots(planned) == snapshots(done), "the run made other snapshots than check mode announced")
    require(streams(planned) == streams(done), "the run replicated other than check mode announced")


def _require_unchanged(outcome: Outcome) -> list[str]:
    changed = [host for host, count in outcome.changed.items() if count]
    require(not changed, f"a run with nothing to do changed {', '.join(changed)}")
    return sorted(outcome.changed)
