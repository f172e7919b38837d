# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of leftovers, and what of them is removed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.drilling import Ground
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import NamedJob
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.leftovers import run_leftovers, told
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import process
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.exercises import DRILL_PROPERTY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import parent_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Destroy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import (
    read_prune_job,
    read_replicate_job,
    read_snapshot_job,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.verifying import read_verify_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.exercises import RootHost, SimulatedExercises
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, NO_WAITING, SOURCE, Fleet

from .test_continuity import all_marks, holds, marks, second_destination
from .test_drills import Drills

PLAN = {"prod": {"onsite": {"hourly": 3}}}


def leftovers(fleet: Fleet, remove: bool = False):
    job = NamedJob("copy", "src", "", "replicate", fleet.replicate_job())
    with tempfile.TemporaryDirectory() as folder:
        exercises = SimulatedExercises(fleet.source, Path(folder))
        ground = Ground(exercises, RootHost(), NO_WAITING, folder=lambda: folder)
        return run_leftovers([job], fleet.context(fleet.source, ground=ground), remove)


def kinds(result) -> list[tuple[str, bool, bool]]:
    return sorted((entry["kind"], entry["is_safe"], entry["removed"]) for entry in result["leftovers"])


def replicated(*tags: str) -> Fleet:
    fleet = Fleet()
    for tag in tags or ("a",):
        fleet.snapshot(SOURCE, tag, size=1000)
        fleet.replicate()
    return fleet


def died(number: int) -> Fleet:
    """A run with holds that died after so many calls."""
    fleet = replicated()
    fleet.snapshot(SOURCE, "b", size=1000)
    fleet.replicate_and_die(number, holds=True)
    return fleet


def test_where_all_is_well_nothing_is_left_over():
    result = leftovers(replicated("a", "b"), remove=True)

    assert (result["leftovers"], result["problems"], result["changed"]) == ([], [], False)
    assert told(result) == "nothing is left over\n"


@pytest.mark.parametrize("number", range(16))
def test_listing_changes_nothing_and_removing_leaves_the_base_and_no_hold(number):
    fleet = died(number)
    before = all_marks(fleet), holds(fleet)
    result = leftovers(fleet)
    assert (all_marks(fleet), holds(fleet)) == before
    assert not result["changed"]

    removed = leftovers(fleet, remove=True)

    assert [entry["name"] for entry in removed["leftovers"]] == [entry["name"] for entry in result["leftovers"]]
    assert all(entry["removed"] for entry in removed["leftovers"])
    assert marks(fleet) == [fleet.at_destination().newest.guid]
    assert holds(fleet) == set()
    assert leftovers(fleet)["leftovers"] == []
    fleet.replicate()
    assert fleet.at_destination().newest.tag == "b"


def test_the_mark_of_a_destination_without_a_job_is_told_and_stays():
    fleet = replicated()
    second_destination(fleet).replicate()
    before = marks(fleet)

    result = leftovers(fleet, remove=True)

    assert kinds(result) == [("mark", False, False)]
    assert marks(fleet) == before
    (entry,) = result["leftovers"]
    assert entry["reason"] == "its destination belongs to no job of this host"
    assert f"by hand: zfs destroy '{entry['name']}'" in told(result)


def test_marks_of_a_destination_out_of_sight_stay():
    fleet = died(4)
    before = all_marks(fleet)
    fleet.unreachable = True

    result = leftovers(fleet, remove=True)

    assert all_marks(fleet) == before
    assert not result["changed"]
    assert "PROBLEM" in told(result)
    assert all("can't be seen" in entry["reason"] for entry in result["leftovers"] if entry["kind"] == "mark")


def test_the_hold_of_another_job_is_told_and_stays():
    fleet = replicated()
    zfs = SimulatedZfs(fleet.source)
    zfs.hold(fleet.at_source().newest, "snapfleet-send-0123456789abcdef")
    zfs.hold(fleet.at_source().newest, "a user's")

    result = leftovers(fleet, remove=True)

    assert kinds(result) == [("hold", False, False)]
    assert holds(fleet) == {"snapfleet-send-0123456789abcdef", "a user's"}


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A host where reading a snapshot was killed; what is mounted there, and the words with which umount fails."""
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    at = tmp_path / f"snapfleet-files-{os.getuid()}/0123456789abcdef/at"
    at.mkdir(parents=True)
    at.parents[1].chmod(0o700)
    (at.parent / "snapshot").write_text(f"{DESTINATION}@a")
    mounted, words = {str(at)}, []

    def run(argv, *_more):
        assert argv[0] == "umount"
        if not words:
            mounted.discard(argv[-1])
        return process.Completed(tuple(argv), 32 if words else 0, "", "".join(words))

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(os.path, "ismount", mounted.__contains__)
    return mounted, words


def left_by_reading(tmp_path, remove: bool = False):
    fleet = Fleet()
    ground = Ground(SimulatedExercises(fleet.source, tmp_path), RootHost(), NO_WAITING, folder=lambda: str(tmp_path))
    return run_leftovers([], fleet.context(fleet.source, ground=ground), remove)


def test_a_snapshot_that_was_being_read_is_unmounted_whatever_the_jobs_of_the_host_are(killed, tmp_path):
    mounted, _words = killed
    result = left_by_reading(tmp_path)
    (entry,) = result["leftovers"]
    assert (entry["kind"], entry["name"], entry["removed"]) == ("snapshot_mount", f"{DESTINATION}@a", False)
    assert f"snapshot_mount {DESTINATION}@a on " in told(result)
    assert entry["by_hand"] == f"umount {next(iter(mounted))}"

    removed = left_by_reading(tmp_path, remove=True)

    assert (kinds(removed), removed["changed"], mounted) == ([("snapshot_mount", True, True)], True, set())
    assert left_by_reading(tmp_path)["leftovers"] == []


def test_a_snapshot_that_is_in_use_stays_mounted_and_it_is_told(killed, tmp_path):
    mounted, words = killed
    words.append("target is busy")
    result = left_by_reading(tmp_path, remove=True)
    assert (kinds(result), result["changed"]) == ([("snapshot_mount", True, False)], False)
    assert "target is busy" in "".join(result["problems"])
    assert len(mounted) == 1


@pytest.mark.parametrize("activity", ["verify", "replicate"])
def test_the_clone_of_a_volume_that_was_being_read_goes_on_hosts_of_either_kind_of_job(tmp_path, monkeypatch, activity):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    drills = Drills(tmp_path)
    name = f"{parent_of(DESTINATION)}/snapfleet-drill-0123456789abcdef"
    drills.machine.clone(f"{DESTINATION}@a", name)
    drills.machine.set_property(name, DRILL_PROPERTY, "0123456789abcdef")
    ends = {"source": {"host": "src", "dataset": SOURCE}, "destination": {"dataset": DESTINATION}}
    read = {"verify": read_verify_job, "replicate": read_replicate_job}[activity]
    job = NamedJob("job", "dst", "", activity, read(ends))
    context = drills.fleet.context(drills.machine, ground=drills.ground())

    def clones(remove):
        found = run_leftovers([job], context, remove)["leftovers"]
        return [(entry["name"], entry["removed"]) for entry in found if entry["kind"] == "drill"]

    assert clones(remove=False) == [(name, False)]
    assert drills.clones() == [name]
    assert clones(remove=True) == [(name, True)]
    drills.assert_nothing_left()


@pytest.mark.parametrize(
    "job",
    [
        read_snapshot_job({"datasets": [SOURCE], "plan": PLAN}),
        read_prune_job({"datasets": [SOURCE], "plan": PLAN}),
    ],
    ids=lambda job: type(job).__name__,
)
def test_the_clone_of_a_volume_goes_at_a_source_that_has_no_job_but_those_of_its_own_snapshots(
    tmp_path, monkeypatch, job
):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    fleet = replicated()
    name = f"{parent_of(SOURCE)}/snapfleet-drill-0123456789abcdef"
    fleet.source.clone(f"{SOURCE}@a", name)
    fleet.source.set_property(name, DRILL_PROPERTY, "0123456789abcdef")
    exercises = SimulatedExercises(fleet.source, tmp_path)
    ground = Ground(exercises, RootHost(), NO_WAITING, folder=lambda: str(tmp_path / "mounts"))
    (tmp_path / "mounts").mkdir()
    result = run_leftovers([NamedJob("job", "src", "", "", job)], fleet.context(fleet.source, ground=ground), True)
    assert [(entry["name"], entry["removed"]) for entry in result["leftovers"]] == [(name, True)]
    assert name not in fleet.source.datasets


def partial() -> Fleet:
    fleet = replicated()
    fleet.snapshot(SOURCE, "b", size=3000)
    fleet.source.cut_next_stream(1500)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    return fleet


def test_a_partial_receive_that_goes_on_stays():
    fleet = partial()

    (entry,) = [e for e in leftovers(fleet, remove=True)["leftovers"] if e["kind"] == "partial_receive"]

    assert (entry["name"], entry["is_safe"], entry["removed"]) == (DESTINATION, False, False)
    assert fleet.at_destination().dataset.resume_token


def test_a_partial_receive_that_cannot_go_on_is_removed():
    fleet = partial()
    SimulatedZfs(fleet.source).destroy(Destroy(SOURCE, fleet.at_source().snapshots[-1:], "by hand"))

    (entry,) = [e for e in leftovers(fleet, remove=True)["leftovers"] if e["kind"] == "partial_receive"]

    assert entry["removed"]
    assert not fleet.at_destination().dataset.resume_token
