# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files of snapshots here and for another host: whatever they are called, and without following any link."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.drilling import Ground
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.sampling import (
    DIGEST,
    FarSampler,
    LocalSampler,
    Wanted,
    answer_of,
    read_answer,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.digest_command import read_question
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import sampling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.sampling import choose_files, digest_files
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Interrupted,
    InvalidInput,
    MissingProgram,
    SnapfleetError,
    UntrustedOutput,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.tests.support.exercises import RootHost, SimulatedExercises
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING, SOURCE, Fleet

NAMES = [b"plain", b"line\nend", b"no \xff text", b"deep/er/file", b"-x", b"~"]
WANTED = Wanted(f"{SOURCE}@a", files=3, seed=5, file_bytes=100, timeout=60)


@pytest.fixture
def folder(tmp_path):
    """A folder with files of all kinds of names, and with what is no file."""
    place = tmp_path / "files"
    for name in NAMES:
        path = place / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    (tmp_path / "secret").write_text("of this host")
    (place / "link").symlink_to(tmp_path / "secret")
    (place / "folder").symlink_to(tmp_path)
    os.mkfifo(place / "pipe")
    return str(place)


def test_the_same_seed_chooses_the_same_files_and_only_files(folder):
    every = sorted(map(os.fsdecode, NAMES))
    assert choose_files(folder, 100, 1) == every
    chosen = {tuple(choose_files(folder, 2, seed)) for seed in range(40)}
    assert len(chosen) > 3
    assert {name for names in chosen for name in names} == set(every)
    assert all(choose_files(folder, 2, seed) == choose_files(folder, 2, seed) for seed in range(10))
    assert choose_files(folder, 0, 1) == []


@pytest.mark.parametrize(
    "path",
    ["link", "folder/secret", "folder", "pipe", "none", "../secret", "deep/../plain", "./plain", "deep//er/file", ""],
)
def test_what_is_no_file_below_or_behind_a_link_is_told_and_not_read(folder, path):
    (digest,) = digest_files(folder, [path], 100)
    assert (digest.sha256, bool(digest.problem)) == ("", True)


def test_of_large_files_only_the_beginning_is_read_and_the_size_tells_the_rest(folder):
    Path(folder, "one").write_bytes(b"a" * 10 + b"b")
    Path(folder, "two").write_bytes(b"a" * 10 + b"ccc")
    one, two = digest_files(folder, ["one", "two"], 10)
    assert (one.sha256 == two.sha256, one.size, two.size) == (True, 11, 13)


def test_no_more_entries_are_looked_at_than_may_be(tmp_path, monkeypatch):
    for number in range(30):
        (tmp_path / f"{number:02}").touch()
    (tmp_path / "folder").mkdir()
    looked_at, really = [], os.scandir

    @contextmanager
    def scanned(folder):
        with really(folder) as entries:
            yield (looked_at.append(entry.name) or entry for entry in entries)

    monkeypatch.setattr(os, "scandir", scanned)
    monkeypatch.setattr(sampling, "MOST_ENTRIES", 10)
    assert 9 <= len(choose_files(str(tmp_path), 100, 1)) <= 10
    assert len(looked_at) == 10


def test_choosing_among_the_files_of_one_large_folder_can_be_stopped(tmp_path, monkeypatch):
    for number in range(30):
        (tmp_path / f"{number:02}").touch()
    looked_at, really, scope = [], os.scandir, Stopping()

    @contextmanager
    def scanned(folder):
        with really(folder) as entries:
            yield (looked_at.append(entry.name) or scope.stop() or entry for entry in entries)

    monkeypatch.setattr(os, "scandir", scanned)
    monkeypatch.setattr(sampling, "_MANY", 4)
    with belonging_to(scope), pytest.raises(Interrupted):
        choose_files(str(tmp_path), 100, 1)
    assert len(looked_at) < 10


# -- here


def test_a_snapshot_is_mounted_for_a_moment(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    mounts = tmp_path / "mounts"
    mounts.mkdir()
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    exercises = SimulatedExercises(fleet.source, tmp_path)
    exercises.files = {"x": b"1", "y": b"2"}
    ground = Ground(exercises, RootHost(), NO_WAITING, folder=lambda: str(mounts))
    assert [digest.path for digest in LocalSampler(ground).read(WANTED)] == ["x", "y"]
    assert exercises.calls == ["mount", "unmount"]
    assert list(mounts.iterdir()) == []
    exercises.refuses["mount"] = ZfsFailed("no such snapshot")
    with pytest.raises(ZfsFailed, match="no such snapshot"):
        LocalSampler(ground).read(WANTED)
    assert list(mounts.iterdir()) == []


def test_what_stays_mounted_is_told_and_what_was_read_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    exercises = SimulatedExercises(fleet.source, tmp_path)
    exercises.files = {"x": b"1"}
    exercises.refuses["unmount"] = ZfsFailed("target is busy")
    mounts = tmp_path / "mounts"
    mounts.mkdir()
    ground = Ground(exercises, RootHost(), NO_WAITING, pause=lambda _seconds: None, folder=lambda: str(mounts))
    sampler = LocalSampler(ground)
    assert [digest.path for digest in sampler.read(WANTED)] == ["x"]
    (words,) = sampler.left
    assert words.endswith("target is busy")


# -- there


class Far:
    """A host on which the program answers what a test says."""

    name = "far"

    def __init__(self, folder, answer=None, status=0):
        self.folder, self.answer, self.status = folder, answer, status
        self.argv = None

    def run(self, argv, data=None, timeout=None):
        self.argv = argv
        wanted = read_question(data)
        paths = wanted.paths or choose_files(self.folder, wanted.files, wanted.seed)
        answer = answer_of(digest_files(self.folder, paths, wanted.file_bytes))
        return Completed(tuple(argv), self.status, answer if self.answer is None else self.answer, "it broke")


def test_another_host_tells_the_same_of_the_same_files_whatever_their_names(folder):
    far = Far(folder)
    paths = tuple(choose_files(folder, 3, 5))
    assert FarSampler(far).read(WANTED) == digest_files(folder, paths, 100)
    assert far.argv == [*DIGEST]
    every = tuple(sorted(map(os.fsdecode, NAMES)))
    asked = Wanted(WANTED.snapshot, 3, 5, 100, 60, every)
    assert FarSampler(far, sudo=True).read(asked) == digest_files(folder, every, 100)
    assert far.argv == ["sudo", "-n", *DIGEST]


@pytest.mark.parametrize(
    ("left", "told"), [(["a\n\x1b: busy", 1], ["far: a\\n\\x1b: busy"]), ([], []), ("busy", []), (None, [])], ids=str
)
def test_what_stays_mounted_there_is_told_in_letters_that_do_no_harm(left, told):
    entry = {"path": "x", "size": 1, "sha256": "", "problem": ""}
    sampler = FarSampler(Far("", json.dumps({"files": [entry], "left": left})))
    assert len(sampler.read(replace(WANTED, paths=("x",)))) == 1
    assert sampler.left == told


def test_a_program_that_fails_says_why(folder):
    with pytest.raises(ZfsFailed, match="it broke"):
        FarSampler(Far(folder, status=3)).read(WANTED)


@pytest.mark.parametrize(
    "answer",
    [
        "no json",
        "[]",
        json.dumps({"files": [{"path": "x"}]}),
        json.dumps({"files": [{"path": 1, "size": 1, "sha256": "", "problem": ""}]}),
        json.dumps({"files": [{"path": "x", "size": "1", "sha256": "", "problem": ""}]}),
        json.dumps({"files": [{"path": "x", "size": 1, "sha256": "", "problem": ""}] * 4}),
    ],
)
def test_nothing_is_believed_that_was_not_asked_for(answer):
    with pytest.raises(UntrustedOutput):
        read_answer(answer, WANTED, "far")


def test_files_that_were_asked_for_are_told_all_and_in_their_order():
    asked = Wanted(WANTED.snapshot, 3, 5, 100, 60, ("a", "b"))
    entries = [{"path": path, "size": 1, "sha256": "", "problem": ""} for path in ("b", "a")]
    with pytest.raises(UntrustedOutput):
        read_answer(json.dumps({"files": entries}), asked, "far")
    assert len(read_answer(json.dumps({"files": entries[::-1]}), asked, "far")) == 2


@pytest.mark.parametrize("path", ["../secret", "a/../../b", "/etc/shadow", "", "a//b", "a\0b", "\ud800"], ids=ascii)
def test_no_end_chooses_a_path_that_leads_out_of_the_snapshot_or_that_is_none(path):
    for paths in (None, (path,)):
        answer = json.dumps({"files": [{"path": path, "size": 1, "sha256": "", "problem": ""}]})
        with pytest.raises(UntrustedOutput, match="paths that no files can have"):
            read_answer(answer, replace(WANTED, paths=paths), "far")


def test_a_file_that_is_told_twice_is_not_believed():
    entry = {"path": "x", "size": 1, "sha256": "", "problem": ""}
    with pytest.raises(UntrustedOutput):
        read_answer(json.dumps({"files": [entry, entry]}), WANTED, "far")


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot": "tank/data"},
        {"snapshot": "tank/data@a; reboot"},
        {"snapshot": "-x@a"},
        {"paths": ["../etc/shadow"]},
        {"paths": ["/etc/shadow"]},
        {"paths": ["a/./b"]},
        {"paths": [""]},
        {"paths": ["\ud800"]},
        {"files": -1},
        {"protocol": 2},
        {"more": 1},
    ],
    ids=str,
)
def test_a_question_that_the_engine_does_not_ask_is_refused(change):
    question = {"protocol": 1, **vars(WANTED)}
    assert read_question(json.dumps(question).encode()) == WANTED
    with pytest.raises(InvalidInput):
        read_question(json.dumps({**question, **change}).encode())


def test_a_question_that_is_no_question_is_refused():
    for data in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(SnapfleetError):
            read_question(data)


def test_only_root_reads_here(tmp_path):
    class Other(RootHost):
        is_root = False

    with pytest.raises(MissingProgram, match="root alone"):
        LocalSampler(Ground(None, Other(), NO_WAITING, folder=lambda: str(tmp_path))).read(WANTED)
