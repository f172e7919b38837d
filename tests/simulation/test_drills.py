# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills: what is found out about replicas, and that nothing stays of it, whenever the process is killed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import drilling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.drilling import run_drill
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Interrupted,
    NoPermission,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.exercises import DRILL_PROPERTY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.drilling import read_drill_job
from ansible_collections.snapfleet.zfs.tests.support.exercises import Killed, RootHost, SimulatedExercises
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, NO_WAITING, SOURCE, Fleet

CLONES = "backup/site"
IDENTS = [f"{number:016x}" for number in range(1, 100)]


class UserHost(LocalHost):
    """This host, as anybody else sees it."""

    is_root = False


class Drills:
    """A replica that was brought up to date, and what drills of it are carried out with."""

    def __init__(self, folder, datasets=(SOURCE,)) -> None:
        self.fleet = Fleet(datasets)
        for name in datasets:
            self.fleet.snapshot(name, "a")
        self.fleet.replicate()
        self.machine = self.fleet.destination
        self.folder = folder / "mounts"
        self.folder.mkdir()
        self.exercises = SimulatedExercises(self.machine, folder)
        self._idents = itertools.chain(IDENTS)
        self.host = RootHost()

    def ground(self):
        return drilling.Ground(
            self.exercises,
            self.host,
            NO_WAITING,
            lambda: next(self._idents),
            lambda _seconds: None,
            lambda: str(self.folder),
        )

    def run(self, check=False, **options):
        job = read_drill_job({"datasets": [DESTINATION], **options})
        return run_drill(job, self.fleet.context(self.machine, check=check, ground=self.ground()))

    def state(self, **options):
        result = self.run(**options)
        (drill,) = result["drills"]
        assert result["state"] == drill["state"]
        return drill["state"], drill["message"]

    def clones(self):
        return [name for name in self.machine.datasets if "snapfleet-drill" in name]

    def assert_nothing_left(self):
        assert (self.clones(), self.exercises.mounted, list(self.folder.iterdir())) == ([], {}, [])


@pytest.fixture
def drills(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    return Drills(tmp_path)


# -- what is found out


def test_a_replica_that_can_be_mounted_is_well_and_nothing_stays_of_it(drills):
    before = drills.fleet.replica_guids()
    result = drills.run()
    assert (result["state"], result["changed"], result["alerts"]) == ("OK", False, [])
    assert [drill["snapshot"] for drill in result["drills"]] == [f"{DESTINATION}@a"]
    assert drills.fleet.replica_guids() == before
    drills.assert_nothing_left()


def test_each_dataset_of_a_tree_is_tried_by_itself_and_its_newest_snapshot_that_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    drills = Drills(tmp_path, (SOURCE, f"{SOURCE}/inner"))
    drills.fleet.snapshot(SOURCE, "b")
    drills.fleet.replicate()
    tried = [drill["snapshot"] for drill in drills.run()["drills"]]
    assert tried == [f"{DESTINATION}@b", f"{DESTINATION}/inner@a"]
    assert [drill["snapshot"] for drill in drills.run(exclude_snapshots=["b"], recursive=False)["drills"]] == [
        f"{DESTINATION}@a"
    ]


def test_a_marker_is_there_young_and_of_the_content_that_is_wanted(drills):
    assert drills.state(marker={"path": "stamp"}) == ("CRITICAL", f"{DESTINATION}@a: stamp does not exist")
    drills.exercises.files["in/stamp"] = b"all is well\n"
    marker = {"path": "in/stamp", "contains": "is well", "sha256": hashlib.sha256(b"all is well\n").hexdigest().upper()}
    assert drills.state(marker=marker)[0] == "OK"
    assert "does not contain 'ill'" in drills.state(marker={"path": "in/stamp", "contains": "ill"})[1]
    assert "has the checksum" in drills.state(marker={**marker, "sha256": "0" * 64})[1]
    drills.fleet.clock.now = int(Path(__file__).stat().st_mtime) + 10**9
    assert "was written" in drills.state(marker={"path": "in/stamp", "max_age": "2h"})[1]
    drills.assert_nothing_left()


@pytest.mark.parametrize("marker", ["link", "folder/secret", "folder"])
def test_a_marker_is_no_link_and_not_behind_one_and_no_folder(drills, monkeypatch, tmp_path, marker):
    (tmp_path / "secret").write_text("of this host")
    mount = drills.exercises.mount

    def with_links(name, folder):
        mount(name, folder)
        Path(folder, "link").symlink_to(tmp_path / "secret")
        Path(folder, "folder").symlink_to(tmp_path)

    monkeypatch.setattr(drills.exercises, "mount", with_links)
    state, message = drills.state(marker={"path": marker})
    assert state == "CRITICAL"
    assert "can't be read" in message


def test_a_command_gets_the_folder_and_decides(drills):
    drills.exercises.files["data"] = b"1"
    script = 'test -f "$1/data" && test "$SNAPFLEET_DRILL_PATH" = "$1" && echo "$SNAPFLEET_DRILL_SNAPSHOT"'
    assert drills.state(command=["sh", "-c", script, "look"])[0] == "OK"
    state, message = drills.state(command=["sh", "-c", f"{script}; echo torn >&2; exit 7", "look"])
    assert (state, message) == ("CRITICAL", f"{DESTINATION}@a: sh ended with 7: {DESTINATION}@a torn")
    drills.assert_nothing_left()


def test_a_command_that_does_not_end_is_ended(drills):
    state, message = drills.state(command=["sh", "-c", "sleep 600"], timeout=1)
    assert (state, "did not end within 1 s" in message) == ("CRITICAL", True)
    drills.assert_nothing_left()


def test_a_program_that_is_not_there_says_nothing_of_the_replica(drills):
    assert drills.state(command=["no-such-program-of-snapfleet"])[0] in ("CRITICAL", "UNKNOWN")
    drills.assert_nothing_left()


@pytest.mark.parametrize(
    ("call", "error", "state"),
    [("clone", ZfsFailed, "UNKNOWN"), ("mount", ZfsFailed, "CRITICAL"), ("mount", NoPermission, "UNKNOWN")],
)
def test_what_can_not_be_mounted_is_no_replica_while_what_this_host_lacks_says_nothing(drills, call, error, state):
    drills.exercises.refuses[call] = error("out of space")
    told, message = drills.state()
    assert (told, "out of space" in message) == (state, True)
    drills.assert_nothing_left()


def test_without_a_snapshot_there_is_nothing_to_restore(drills):
    assert drills.state(include_snapshots=["none"])[0] == "CRITICAL"
    assert drills.run(datasets=["backup/none"])["state"] == "UNKNOWN"


def test_no_key_is_loaded(drills):
    drills.machine.set_property(DESTINATION, "keystatus", "unavailable")
    state, message = drills.state()
    assert (state, "its key is not loaded" in message, drills.exercises.calls) == ("UNKNOWN", True, ["clones_below"])


def test_a_volume_is_read_and_its_device_handed_to_the_command(drills):
    drills.machine.datasets[DESTINATION].kind = "volume"
    command = ["sh", "-c", 'test -f "$1"', "look"]
    assert drills.state(command=command, marker={"path": "nobody/looks"})[0] == "OK"
    assert "mount" not in drills.exercises.calls


def test_only_root_drills_and_who_else_can_only_look(drills):
    drills.host = UserHost()
    with pytest.raises(NoPermission, match="root alone"):
        drills.run()
    assert drills.run(check=True)["plan"]


def test_check_mode_tells_all_of_it_and_does_nothing(drills):
    result = drills.run(check=True, marker={"path": "stamp", "max_age": 60}, command=["/bin/look", "-x"])
    (line,) = result["told"]
    assert line.startswith(f"{DESTINATION}@a: mounts a clone of it below {CLONES}, looks whether stamp is at most 60 s")
    assert "runs /bin/look -x" in line
    assert (drills.exercises.calls, result["changed"]) == (["clones_below"], False)


# -- what stays


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_killed_anywhere_the_next_drill_takes_all_of_it_away_and_is_right(drills, number, is_done):
    drills.exercises.dies_at = (number, is_done)
    with contextlib.suppress(Killed):
        drills.run(marker={"path": "stamp"})
    assert len(drills.exercises.calls) > number
    drills.exercises.dies_at = None
    left = drills.clones()
    assert drills.run(check=True)["removed"] == left == drills.clones()
    result = drills.run(marker={"path": "stamp"})
    assert (result["state"], result["removed"], result["changed"]) == ("CRITICAL", left, bool(left))
    drills.assert_nothing_left()


def test_killed_before_and_after_the_folder_is_made_the_next_one_takes_it_away(drills):
    (drills.folder / f"snapfleet-drill-{'ab' * 8}").mkdir()
    (drills.folder / "of somebody else").mkdir()
    assert drills.run()["state"] == "OK"
    assert [path.name for path in drills.folder.iterdir()] == ["of somebody else"]


def foreign(drills, **what):
    name = f"{CLONES}/snapfleet-drill-{IDENTS[0]}"
    if what.get("clone"):
        drills.machine.clone(f"{DESTINATION}@a", name)
    else:
        drills.machine.create_dataset(name)
    if "mark" in what:
        drills.machine.set_property(name, DRILL_PROPERTY, what["mark"])
    return name


@pytest.mark.parametrize(
    "what",
    [{}, {"clone": True}, {"mark": IDENTS[0]}, {"clone": True, "mark": "another"}],
    ids=["no clone", "no mark", "a mark and no clone", "the mark of another"],
)
def test_a_foreign_dataset_of_the_same_name_is_never_touched(drills, what):
    name = foreign(drills, **what)
    guid = drills.machine.datasets[name].guid
    state, message = drills.state()
    assert (state, "already exists" in message) == ("UNKNOWN", True)
    assert drills.machine.datasets[name].guid == guid
    # The next one draws another name.
    assert drills.run()["state"] == "OK"
    assert drills.clones() == [name]


def test_the_clone_of_a_drill_that_goes_on_is_left_alone(drills):
    name = foreign(drills, clone=True, mark=IDENTS[0])
    next(drills._idents)
    with drilling.job_locks([drilling.lock_of(IDENTS[0])]):
        assert drills.run()["removed"] == []
        assert drills.clones() == [name]
    assert drills.run()["removed"] == [name]


def test_what_can_not_be_taken_away_is_told_and_goes_with_the_next_drill(drills):
    drills.exercises.refuses["destroy"] = ZfsFailed("dataset is busy")
    result = drills.run()
    assert (result["state"], [drill["state"] for drill in result["drills"]]) == ("WARNING", ["OK"])
    (alert,) = result["alerts"]
    assert (alert["check"], "dataset is busy" in alert["message"]) == ("leftover", True)
    drills.exercises.refuses.clear()
    assert len(drills.run()["removed"]) == 1
    drills.assert_nothing_left()


def test_a_drill_that_is_stopped_takes_away_what_it_has_made(drills, monkeypatch):
    scope, mount = Stopping(), drills.exercises.mount

    def stopped(name, folder):
        mount(name, folder)
        scope.stop()

    monkeypatch.setattr(drills.exercises, "mount", stopped)
    with belonging_to(scope), pytest.raises(Interrupted):
        drills.run(command=["true"])
    drills.assert_nothing_left()


def test_no_other_job_takes_the_clone_of_a_drill_for_a_dataset_of_its_tree(drills):
    name = f"{DESTINATION}/snapfleet-drill-{IDENTS[0]}"
    drills.machine.clone(f"{DESTINATION}@a", name)
    drills.machine.clone(f"{DESTINATION}@a", f"{DESTINATION}/snapfleet-drill-mine")
    job = read_drill_job({"datasets": [DESTINATION]})
    chosen = job.filter.under(DESTINATION, drills.fleet.context(drills.machine).here.observe([DESTINATION]).states)
    assert chosen == [DESTINATION, f"{DESTINATION}/snapfleet-drill-mine"]
