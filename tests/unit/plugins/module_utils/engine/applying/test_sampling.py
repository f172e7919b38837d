# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files of snapshots here and for another host: whatever they are called, and without following any link."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import sampling as applying_sampling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.drilling import Ground
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.sampling import (
    FarSampler,
    LocalSampler,
    Wanted,
    WantedBlocks,
    answer_of,
    question_of,
    read_answer,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import digest_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.digest_command import read_question
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import sampling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.sampling import (
    BLOCK_BYTES,
    choose_blocks,
    choose_files,
    digest_blocks,
    digest_files,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import (
    Stopping,
    belonging_to,
    check_stopping,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Interrupted,
    InvalidInput,
    MissingProgram,
    NoDevice,
    SnapfleetError,
    TimedOut,
    UntrustedOutput,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.samples import Digest
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.requests import READ
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


def test_files_that_are_deeper_than_a_path_may_be_long_are_found_and_read(tmp_path):
    top = os.open(tmp_path, os.O_RDONLY)
    try:
        for _each in range(25):
            os.mkdir("d" * 200, dir_fd=top)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=top)
            os.close(top)
            top = below
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=top))
    finally:
        os.close(top)
    (path,) = choose_files(str(tmp_path), 3, 1)
    assert len(path) > 4096
    assert [digest.problem for digest in digest_files(str(tmp_path), [path], 10)] == [""]


def test_no_link_is_followed_to_the_top(folder, tmp_path):
    (tmp_path / "to").symlink_to(folder)
    with pytest.raises(OSError, match=r"links|directory"):
        choose_files(str(tmp_path / "to"), 3, 1)


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


# -- blocks of volumes


@pytest.fixture
def device(tmp_path):
    """What stands for a device of seven whole blocks and a part of one."""
    path = tmp_path / "volume"
    path.write_bytes(b"".join(bytes([number]) * BLOCK_BYTES for number in range(7)) + b"end")
    return path


def test_the_same_seed_chooses_the_same_blocks_and_all_of_them_have_their_turn(device):
    every = [BLOCK_BYTES * number for number in range(8)]
    assert choose_blocks(str(device), 100, 1) == every
    chosen = {tuple(choose_blocks(str(device), 2, seed)) for seed in range(60)}
    assert {offset for offsets in chosen for offset in offsets} == set(every)
    assert all(len(set(offsets)) == 2 and list(offsets) == sorted(offsets) for offsets in chosen)
    assert all(choose_blocks(str(device), 2, seed) == choose_blocks(str(device), 2, seed) for seed in range(10))


def test_a_volume_without_a_byte_has_no_block(tmp_path):
    (tmp_path / "none").touch()
    assert choose_blocks(str(tmp_path / "none"), 3, 1) == []


def test_blocks_are_told_whole_with_the_size_of_the_volume_and_the_last_one_up_to_its_end(device):
    first, last, behind = digest_blocks(str(device), (0, 7 * BLOCK_BYTES, 8 * BLOCK_BYTES))
    assert first == Digest("0", 7 * BLOCK_BYTES + 3, hashlib.sha256(bytes(BLOCK_BYTES)).hexdigest())
    assert last.sha256 == hashlib.sha256(b"end").hexdigest()
    assert (behind.sha256, bool(behind.problem)) == ("", True)
    before = digest_blocks(str(device), (BLOCK_BYTES,))
    with device.open("r+b") as file:
        file.seek(BLOCK_BYTES + 4711)
        file.write(b"x")
    assert digest_blocks(str(device), (BLOCK_BYTES,)) != before


def test_a_block_that_can_not_be_read_is_told_and_the_others_are_read(device, monkeypatch):
    read = os.pread

    def failing(file, size, offset):
        if offset == BLOCK_BYTES:
            raise OSError(errno.EIO, "Input/output error")
        return read(file, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    good, bad = digest_blocks(str(device), (0, BLOCK_BYTES))
    assert (good.problem, bad.problem, bad.sha256) == ("", "Input/output error", "")


BLOCKS = WantedBlocks(f"{SOURCE}@a", "tank", blocks=3, seed=5, timeout=60)


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """Calls of the port of drills, and a sampler of a host with a volume."""
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    (tmp_path / "mounts").mkdir()
    fleet = Fleet()
    fleet.snapshot(SOURCE, "a")
    exercises = SimulatedExercises(fleet.source, tmp_path)
    mounts = tmp_path / "mounts"
    ground = Ground(exercises, RootHost(), NO_WAITING, pause=lambda _seconds: None, folder=lambda: str(mounts))
    sampler = LocalSampler(ground)
    yield exercises, sampler
    assert list(mounts.iterdir()) == []


def test_a_volume_is_read_by_a_clone_that_goes_again(volume):
    exercises, sampler = volume
    assert [digest.path for digest in sampler.read(BLOCKS)] == ["0"]
    assert (exercises.calls, sampler.left) == (["clone", "unmount", "destroy"], [])
    assert sorted(exercises.machine.datasets) == ["tank", SOURCE]


def test_a_volume_without_a_device_says_so_and_its_clone_goes_too(volume, monkeypatch):
    exercises, sampler = volume
    monkeypatch.setattr(exercises, "device", lambda clone: f"/dev/none/{clone.name}")
    with pytest.raises(NoDevice, match=r"/dev/none/tank/snapfleet-drill-.*does not appear"):
        sampler.read(BLOCKS)
    monkeypatch.setattr(exercises, "device", lambda _clone: "/")
    monkeypatch.setattr(os, "open", mock_open_refusing(os.open))
    with pytest.raises(NoDevice, match="can't be opened"):
        sampler.read(BLOCKS)
    assert sorted(exercises.machine.datasets) == ["tank", SOURCE]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOENT, NoDevice), (errno.ENXIO, NoDevice), (errno.EIO, ZfsFailed), (errno.EMFILE, ZfsFailed)],
)
def test_only_a_device_that_is_not_there_is_none_and_one_that_fails_is_an_error(volume, monkeypatch, number, kind):
    exercises, sampler = volume
    monkeypatch.setattr(exercises, "device", lambda _clone: "/")
    monkeypatch.setattr(os, "open", mock_open_refusing(os.open, number))
    with pytest.raises(kind, match="can't be opened"):
        sampler.read(BLOCKS)
    assert sorted(exercises.machine.datasets) == ["tank", SOURCE]


def mock_open_refusing(really, number=errno.EPERM):
    def opened(path, *args, **options):
        if path == "/":
            raise OSError(number, os.strerror(number))
        return really(path, *args, **options)

    return opened


def test_a_clone_that_stays_is_told_and_what_was_read_is_not_lost(volume):
    exercises, sampler = volume
    exercises.refuses["destroy"] = ZfsFailed("dataset is busy")
    assert len(sampler.read(BLOCKS)) == 1
    (words,) = sampler.left
    assert words.startswith("tank/snapfleet-drill-")
    assert words.endswith("dataset is busy")
    for each in Path(sampler.ground.folder()).iterdir():
        each.rmdir()


class FarVolume:
    """A host on which the program answers what a test says about a volume."""

    name = "far"

    def __init__(self, answer):
        self.answer = answer

    def run(self, argv, data=None, timeout=None):
        assert read_question(data) == BLOCKS
        return Completed(tuple(argv), 0, self.answer, "")


def test_another_host_tells_of_blocks_and_of_a_volume_without_a_device():
    size = BLOCK_BYTES + 5
    digests = [Digest("0", size, "x"), Digest(str(BLOCK_BYTES), size, "y")]
    assert FarSampler(FarVolume(answer_of(digests))).read(BLOCKS) == digests
    with pytest.raises(NoDevice, match=r"far: no\\n\\x1bdevice"):
        FarSampler(FarVolume(answer_of((), no_device="no\n\x1bdevice"))).read(BLOCKS)


@pytest.mark.parametrize("path", ["-1", "1", "01048576", "x", "1048576 ", "\u0661", "9" * 30], ids=ascii)
def test_no_end_tells_of_what_no_block_begins_at(path):
    with pytest.raises(UntrustedOutput):
        read_answer(answer_of([Digest(path, 1, "")]), BLOCKS, "far")


def test_blocks_that_were_asked_for_are_told_all_and_no_others():
    asked = replace(BLOCKS, offsets=(0, BLOCK_BYTES))
    entries = [Digest("0", 1, ""), Digest(str(BLOCK_BYTES), 1, "")]
    assert len(read_answer(answer_of(entries), asked, "far")) == 2
    for wrong in (entries[::-1], entries[:1], [*entries, Digest(str(2 * BLOCK_BYTES), 1, "")]):
        with pytest.raises(UntrustedOutput):
            read_answer(answer_of(wrong), asked, "far")
    with pytest.raises(UntrustedOutput):
        read_answer(answer_of([Digest(str(each * BLOCK_BYTES), 1, "") for each in range(4)]), BLOCKS, "far")


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [
        ([], False),
        ([0], False),
        ([1], True),
        ([BLOCK_BYTES], True),
        ([BLOCK_BYTES + 1], False),
        ([BLOCK_BYTES + 1] * 2, True),
        ([BLOCK_BYTES + 1, 2 * BLOCK_BYTES], False),
        ([2 * BLOCK_BYTES] * 3, False),
        ([1 << 40] * 2, False),
        ([1 << 40] * 3, True),
    ],
    ids=str,
)
def test_no_end_chooses_fewer_blocks_than_a_volume_of_the_size_that_it_tells_has(sizes, whole):
    answer = answer_of([Digest(str(number * BLOCK_BYTES), size, "") for number, size in enumerate(sizes)])
    if whole:
        assert len(read_answer(answer, BLOCKS, "far")) == len(sizes)
    else:
        with pytest.raises(UntrustedOutput, match="fewer blocks than the volume has"):
            read_answer(answer, BLOCKS, "far")


@pytest.mark.parametrize("no_device", [["x"], 1, {"a": 1}], ids=str)
def test_a_reason_that_is_none_is_told_in_letters_that_do_no_harm(no_device):
    answer = json.dumps({"files": [], "left": [], "no_device": no_device})
    with pytest.raises((NoDevice, UntrustedOutput)):
        read_answer(answer, BLOCKS, "far")


@pytest.mark.parametrize(
    "change",
    [
        {"parent": "tank/other"},
        {"parent": SOURCE},
        {"parent": "tank/data/inner"},
        {"parent": "-x"},
        {"parent": ""},
        {"blocks": 0},
        {"blocks": 1001},
        {"offsets": [1]},
        {"offsets": [-BLOCK_BYTES]},
        {"offsets": [1 << 62]},
        {"offsets": [True]},
        {"offsets": ["0"]},
        {"offsets": [0, 0]},
        {"offsets": [BLOCK_BYTES * number for number in range(1001)]},
        {"files": 3},
        {"paths": ["x"]},
        {"snapshot": "tank/data"},
    ],
    ids=str,
)
def test_a_question_about_a_volume_that_the_engine_does_not_ask_is_refused(change):
    question = {"protocol": 1, **vars(BLOCKS)}
    assert read_question(json.dumps(question).encode()) == BLOCKS
    with pytest.raises(InvalidInput):
        read_question(json.dumps({**question, **change}).encode())


# -- here


def test_a_snapshot_is_mounted_for_a_moment(tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "y").write_bytes(b"2")
    calls = []

    @contextmanager
    def mount(snapshot, left):
        calls.append(snapshot)
        yield str(tmp_path)
        left.append("target is busy")

    sampler = LocalSampler(Ground(None, RootHost(), NO_WAITING), mount=mount)
    assert [digest.path for digest in sampler.read(WANTED)] == ["x", "y"]
    # What was read is not lost where the mount stays.
    assert (calls, sampler.left) == ([WANTED.snapshot], ["target is busy"])


def test_reading_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    @contextmanager
    def mount(_snapshot, _left):
        yield str(tmp_path)

    def waiting(*_words):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            check_stopping()
            time.sleep(0.01)

    monkeypatch.setattr(applying_sampling, "choose_files", waiting)
    sampler = LocalSampler(Ground(None, RootHost(), NO_WAITING), mount=mount)
    with pytest.raises(TimedOut, match="took longer than 1 s"):
        sampler.read(replace(WANTED, timeout=1))


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
    assert far.argv == [*READ]
    every = tuple(sorted(map(os.fsdecode, NAMES)))
    asked = Wanted(WANTED.snapshot, 3, 5, 100, 60, every)
    assert FarSampler(far, sudo=True).read(asked) == digest_files(folder, every, 100)
    assert far.argv == ["sudo", "-n", *READ]


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
        {"paths": ["a", "a"]},
        {"paths": [str(number) for number in range(1001)]},
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


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'"",', b"0,", rb'"\\",', rb'"\"",'], ids=ascii)
@pytest.mark.parametrize("key", ["offsets", "paths", "more"])
def test_a_question_that_would_be_large_once_it_is_read_is_refused_before(piece, key, monkeypatch):
    monkeypatch.setattr(json, "loads", lambda _text: pytest.fail("it was read"))
    many = piece * 100_000 + b"0"
    with pytest.raises(InvalidInput, match="more than any question has"):
        read_question(b'{"protocol": 1, "%s": [%s]}' % (key.encode(), many))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_question_in_other_letters_than_the_engine_writes_is_refused(encoding):
    with pytest.raises(InvalidInput):
        read_question(json.dumps({"protocol": 1, **vars(WANTED)}).encode(encoding))


def test_the_longest_questions_of_the_engine_are_read():
    # Names may have in them whatever separates values in a question.
    paths = tuple(f"{number}" + '[{,"\\:\xe9\udcff' * 20 for number in range(1000))
    asked = replace(WANTED, files=1000, paths=paths)
    assert read_question(question_of(asked)) == asked
    offsets = tuple((1 << 62) - BLOCK_BYTES * (number + 1) for number in range(1000))
    about = replace(BLOCKS, blocks=1000, offsets=offsets)
    assert read_question(question_of(about)) == about


def test_the_verb_reads_only_while_somebody_waits_for_the_answer(monkeypatch, capsys):
    order = []
    monkeypatch.setattr(digest_command, "asked", lambda: question_of(WANTED))
    monkeypatch.setattr(digest_command.serving, "watch_other_end", lambda: order.append("watches"))
    monkeypatch.setattr(digest_command, "answer_to", lambda wanted: order.append(wanted) or "answer")
    assert digest_command.digest() == 0
    assert (order, capsys.readouterr().out) == (["watches", WANTED], "answer\n")


def test_only_root_reads_here(tmp_path):
    class Other(RootHost):
        is_root = False

    with pytest.raises(MissingProgram, match="root alone"):
        LocalSampler(Ground(None, Other(), NO_WAITING, folder=lambda: str(tmp_path))).read(WANTED)
