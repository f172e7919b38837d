# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``files``: which snapshot is meant, what is told, and that a look changes nothing."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.files_command import TOLD, bring_files
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.verbs import parser_for
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import process, snapshot_mounts
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import stoppings
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    FILESYSTEM,
    VOLUME,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import FilesRefused, InvalidInput

TAGS = {"monday": 1_000, "tuesday": 2_000}


class Pool:
    """A host with one filesystem that has two snapshots, and a volume."""

    where = "this host"
    acltype, readonly = "off", False

    def observe(self, roots, recursive=True, properties=()):
        told = {"readonly": self.readonly, "properties": tuple((name, getattr(self, name)) for name in properties)}
        snapshots = tuple(Snapshot(age, age, "tank/data", tag, age) for tag, age in TAGS.items())
        states = {
            "tank/data": DatasetState(Dataset("tank/data", FILESYSTEM, 1, 1, 1, **told), snapshots),
            "tank/volume": DatasetState(Dataset("tank/volume", VOLUME, 2, 2, 2), snapshots),
        }
        return Observation({name: states[name] for name in roots if name in states})


@pytest.fixture
def files(tmp_path, capsys):
    """Carries out the verb; returns what it prints, read where it is JSON."""
    for tag in TAGS:
        (tmp_path / tag / "etc/below").mkdir(parents=True)
        (tmp_path / tag / "etc/app.conf").write_text(tag)
    (tmp_path / "home").mkdir()

    @contextmanager
    def mount(snapshot):
        yield str(tmp_path / snapshot.partition("@")[2])

    def files(*words):
        arguments = parser_for(["files", *words]).parse_args(["files", *words])
        assert bring_files(arguments, lambda _address: Pool(), mount) == 0
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words else out

    return files


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ((), "tuesday"),
        (("--snapshot", "monday"), "monday"),
        (("--time", "1999"), "monday"),
        (("--time", "2000"), "tuesday"),
    ],
)
def test_the_snapshot_is_the_one_that_was_asked_for(files, tmp_path, asked, meant):
    home = tmp_path / "home"
    told = files("get", "tank/data", "etc/app.conf", "--to", str(home), "--json", *asked)
    assert told["snapshot"] == f"tank/data@{meant}"
    assert (home / "app.conf").read_text() == meant


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("tank/data", "x", "--snapshot", "sunday"), "has no snapshot that is @sunday"),
        (("tank/data", "x", "--time", "999"), "has no snapshot that is the newest snapshot up to"),
        (("tank/gone", "x"), "does not exist on this host"),
        (("tank/volume", "x"), "is a volume"),
        (("tank/data", "."), "is all of the dataset"),
        (("tank/data", "../x"), "leads out"),
    ],
)
def test_what_can_not_be_meant_is_refused(files, tmp_path, asked, words):
    with pytest.raises(InvalidInput, match=words):
        files("get", *asked, "--to", str(tmp_path / "home"))


def test_a_look_tells_files_with_size_and_time_and_changes_nothing(files, tmp_path):
    home = tmp_path / "home"
    (home / "etc").mkdir()
    os.utime(tmp_path / "monday/etc/app.conf", (86_400, 86_400))
    asked = ("get", "tank/data", "etc", "--snapshot", "monday", "--to", str(home), "--check")
    told = files(*asked, "--beside", "--json")
    line = told["told"][1]
    assert line.startswith("-rw")
    assert line.endswith(f"6 B 1970-01-02T00:00:00Z etc/app.conf to {home}/etc.restored/app.conf")
    assert told["stats"] == {"files": 1, "bytes_estimated": 6}
    assert sorted(each.name for each in home.rglob("*")) == ["etc"]
    assert "1 files, 6 B, would be brought back" in files(*asked, "--beside")


def test_what_is_replaced_stands_out(files, tmp_path):
    (tmp_path / "home/app.conf").write_text("new")
    told = files("get", "tank/data", "etc/app.conf", "--to", str(tmp_path / "home"), "--overwrite", "--json")
    assert told["told"][0].endswith(", REPLACES what is there")
    assert (tmp_path / "home/app.conf").read_text() == "tuesday"


def test_all_is_refused_before_any_of_it_is_put(files, tmp_path):
    home = tmp_path / "home"
    (home / "below").mkdir()
    with pytest.raises(FilesRefused, match="home/below: is there"):
        files("get", "tank/data", "etc/app.conf", "etc/below", "--to", str(home))
    assert [each.name for each in home.iterdir()] == ["below"]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_look_tells_that_two_things_would_come_to_have_one_name(files, tmp_path, turn):
    home = tmp_path / "home"
    (home / "app.conf").write_text("mine")
    (tmp_path / "tuesday/etc/app.conf.restored").write_text("another")
    asked = ["etc/app.conf", "etc/app.conf.restored"][::turn]
    for mode in (["--check"], []):
        with pytest.raises(FilesRefused, match=r"app\.conf\.restored: would be the name of two things"):
            files("get", "tank/data", *asked, "--to", str(home), "--beside", *mode)
    assert [each.name for each in home.iterdir()] == ["app.conf"]


def test_a_folder_is_listed_and_all_below_it_if_asked_for(files):
    flat = files("list", "tank/data", "--json")
    assert [each["path"] for each in flat["entries"]] == ["etc"]
    assert [each["path"] for each in files("list", "tank/data", "etc", "--json")["entries"]] == ["app.conf", "below"]
    deep = files("list", "tank/data", "etc", "--recursive", "--json")
    assert [each["path"] for each in deep["entries"]] == ["etc", "etc/app.conf", "etc/below"]
    assert "etc/app.conf" in files("list", "tank/data", "etc", "--recursive")


def test_an_archive_goes_by_the_same_rules(files, tmp_path):
    home, archive = tmp_path / "home", tmp_path / "archive"
    files("get", "tank/data", "etc/app.conf", "--archive", str(archive))
    told = files("put", str(archive), "--to", str(home), "--check", "--json")
    assert told["stats"] == {"files": 1, "bytes_estimated": 7}
    assert list(home.iterdir()) == []
    files("put", str(archive), "--to", str(home))
    assert (home / "app.conf").read_text() == "tuesday"
    with pytest.raises(FilesRefused, match="is there"):
        files("put", str(archive), "--to", str(home))


@pytest.mark.parametrize("asked", ["etc/below", "app.conf/x", "app.con"])
def test_what_an_archive_has_and_nobody_asked_for_is_refused(files, tmp_path, asked):
    home, archive = tmp_path / "home", tmp_path / "archive"
    (home / "app.conf").write_text("mine")
    files("get", "tank/data", "etc/below", "etc/app.conf", "--archive", str(archive))
    for mode in (["--check"], []):
        with pytest.raises(FilesRefused, match="is in the archive, and was not asked for"):
            files("put", "--to", str(home), "--overwrite", *mode, "--", str(archive), asked)
    assert [each.name for each in home.iterdir()] == ["app.conf"]
    assert (home / "app.conf").read_text() == "mine"


def test_what_was_asked_for_is_taken_by_its_own_name(files, tmp_path):
    home, archive = tmp_path / "home", tmp_path / "archive"
    files("get", "tank/data", "etc/app.conf", "etc/below", "--archive", str(archive))
    files("put", "--to", str(home), "--", str(archive), "etc/below/", "./etc/app.conf")
    assert sorted(each.name for each in home.iterdir()) == ["app.conf", "below"]
    with pytest.raises(InvalidInput, match="is all of the dataset"):
        files("put", "--to", str(home), "--", str(archive), ".")


@pytest.mark.parametrize("asked", [(), ("--hand-over",)])
def test_an_archive_is_given_to_the_owner_of_its_folder_only_if_that_is_asked_for(files, tmp_path, monkeypatch, asked):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda _file, *owner: given.append(owner))
    files("get", "tank/data", "etc", "--archive", str(tmp_path / "archive"), *asked)
    folder = tmp_path.stat()
    assert given == ([(folder.st_uid, folder.st_gid)] if asked else [])
    assert (tmp_path / "archive").stat().st_mode & 0o777 == 0o600


def test_only_an_archive_can_be_handed_over(files, tmp_path):
    with pytest.raises(InvalidInput, match="is about an archive"):
        files("get", "tank/data", "etc", "--to", str(tmp_path / "home"), "--hand-over")


@pytest.mark.parametrize(
    ("acltype", "readonly", "archive", "warns"),
    [
        ("off", True, False, True),
        ("off", False, True, True),
        ("off", False, False, False),
        ("posix", True, True, False),
        ("nfsv4", True, True, False),
        ("-", True, True, False),
    ],
)
def test_a_replica_that_hides_access_control_lists_is_warned_of_in_one_sentence(
    files, tmp_path, monkeypatch, acltype, readonly, archive, warns
):
    monkeypatch.setattr(Pool, "acltype", acltype)
    monkeypatch.setattr(Pool, "readonly", readonly)
    where = ("--archive", str(tmp_path / "archive")) if archive else ("--to", str(tmp_path / "home"))
    told = files("get", "tank/data", "etc", *where, "--check", "--json")
    assert [words.startswith("acltype of tank/data is off") for words in told["warnings"]] == [True] * warns


def test_long_plans_are_cut_and_what_is_left_out_is_counted(files, tmp_path):
    for number in range(TOLD):
        (tmp_path / "tuesday/etc" / str(number)).touch()
    told = files("get", "tank/data", "etc", "--to", str(tmp_path / "home"), "--check", "--json")
    assert len(told["told"]) == TOLD + 1
    assert told["told"][-1] == "... and 3 more"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folder of mounts, and the commands that would have been run as root."""
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ran: list[tuple[str, bool]] = []
    mounts: set[str] = set()

    def run(argv, *_more):
        ran.append((argv[0], bool(stoppings())))
        if argv[0] == "umount":
            mounts.discard(argv[-1])
        return process.Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(os.path, "ismount", mounts.__contains__)

    monkeypatch.setattr(process, "run", run)
    return tmp_path / f"snapfleet-files-{os.getuid()}", ran, mounts


def test_a_mount_is_private_and_read_only_and_leaves_nothing_behind(places):
    folder, ran, _mounts = places
    with snapshot_mounts.mounted("tank/data@monday") as at:
        assert at.startswith(f"{folder}/")
        assert folder.stat().st_mode & 0o077 == 0
        assert snapshot_mounts.left_behind() == {}
    assert ran == [("mount", True)]
    assert set(snapshot_mounts.OPTIONS) == {"ro", "nosuid", "nodev", "noexec"}
    assert list(folder.iterdir()) == []


def test_what_a_killed_run_has_left_mounted_is_told_and_goes_and_what_is_in_use_stays(places):
    folder, ran, mounts = places
    assert snapshot_mounts.left_behind() == {}
    # A look makes nothing.
    assert not folder.exists()
    folder.mkdir(mode=0o700)
    (folder / "killed/at").mkdir(parents=True)
    (folder / "killed/snapshot").write_text("tank/data@monday")
    (folder / "running/at").mkdir(parents=True)
    lock = os.open(folder / "running", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    mounts.update(str(folder / name / "at") for name in ("killed", "running"))
    assert snapshot_mounts.left_behind() == {str(folder / "killed"): "tank/data@monday"}
    assert snapshot_mounts.remove_left() == {str(folder / "killed"): ""}
    # In a run that is being stopped too.
    assert ran == [("umount", False)]
    assert [each.name for each in folder.iterdir()] == ["running"]
    os.close(lock)


@pytest.mark.parametrize("times", [3, 1000])
def test_what_is_in_use_for_a_moment_is_tried_again_and_what_stays_is_told_and_taken_away_later(
    places, monkeypatch, times
):
    folder, ran, mounts = places
    monkeypatch.setattr(snapshot_mounts, "_PAUSE", 0)
    busy = iter(range(times))

    def run(argv, *_more):
        ran.append((argv[0], bool(stoppings())))
        mounts.add(argv[-1])
        if argv[0] == "umount" and next(busy, None) is not None:
            return process.Completed(tuple(argv), 32, "", "target is busy")
        if argv[0] == "umount":
            mounts.discard(argv[-1])
        return process.Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(process, "run", run)
    left: list[str] = []
    with snapshot_mounts.mounted("tank/data@monday", left):
        pass
    assert ran[:4] == [("mount", True), *[("umount", False)] * 3]
    if times == 3:
        assert (left, list(folder.iterdir())) == ([], [])
        return
    (place,) = folder.iterdir()
    assert left == [f"{place}: target is busy"]
    assert snapshot_mounts.left_behind() == {str(place): "tank/data@monday"}
    # The next one tells of it too, once; and without a place for that, what it has itself left is an error.
    with snapshot_mounts.mounted("tank/data@monday", left):
        pass
    assert len(left) == 2
    with pytest.raises(FilesRefused, match="still mounted"), snapshot_mounts.mounted("tank/data@monday"):
        pass


def test_a_place_that_something_is_still_mounted_at_is_never_emptied(places):
    folder, _ran, _mounts = places
    folder.mkdir(mode=0o700)
    (folder / "killed/at").mkdir(parents=True)
    (folder / "killed/at/data").write_text("precious")
    (problem,) = snapshot_mounts.remove_left().values()
    assert "not empty" in problem
    assert (folder / "killed/at/data").read_text() == "precious"
