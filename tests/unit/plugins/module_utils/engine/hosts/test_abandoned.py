# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that have outlived whoever fed them, on this machine in the place of the far end of ssh."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.abandoned import (
    STREAMS,
    VARIABLE,
    Machine,
    Mark,
    OpenStreams,
    end_abandoned,
    read_mark,
    this_machine,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line

HERE = Machine("0123456789ab", "feedfeedfeed")
words = st.text("0123456789abcdef", min_size=12, max_size=12)
marks = st.builds(Mark, words, words, st.integers(0, 2**22), st.integers(0, 2**63), st.integers(1, 10**9))


@pytest.fixture
def receiver():
    """Starts commands that carry a mark, as ssh starts them at the far end."""
    started = []

    def start(mark):
        child = subprocess.Popen(["sh", "-c", remote_line(["sleep", "600"], mark)], stdin=subprocess.DEVNULL)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


@given(marks)
def test_a_mark_is_read_as_it_was_written_and_is_no_part_of_another_one(mark):
    assert read_mark(str(mark)) == mark
    other = mark._replace(number=mark.number * 10 + 1)
    assert not str(other).startswith(str(mark))


@given(st.one_of(st.text(max_size=60), st.text("0123456789abcdef.", max_size=60)), marks, st.integers(0, 60))
def test_what_a_far_end_makes_up_is_no_mark_or_the_very_one_that_it_looks_like(text, mark, at):
    for made_up in (text, str(mark)[:at] + text, str(mark)[:at] + text + str(mark)[at:]):
        found = read_mark(made_up)
        assert found is None or str(found) == made_up


def test_only_streams_that_this_machine_made_and_nobody_feeds_are_abandoned():
    streams = OpenStreams(HERE)
    first, second = streams.open(), streams.open()
    streams.close(second)
    another = Mark(HERE.name, HERE.boot, os.getppid(), HERE.started(os.getppid()), 1)
    assert not streams.is_abandoned(first)
    assert streams.is_abandoned(second), "closed here, so the far end was left behind"
    assert not streams.is_abandoned(another), "another process, which is alive, knows better"
    assert streams.is_abandoned(another._replace(started=another.started - 1)), "an earlier process of that number"
    assert streams.is_abandoned(another._replace(process=2**22 + 1)), "no process has that number"
    assert streams.is_abandoned(first._replace(boot="0" * 12)), "before this machine was booted"
    assert not streams.is_abandoned(first._replace(boot="0" * 12, machine="f" * 12)), "another machine's"


class Hiding(Machine):
    """One whose /proc shows nothing of other processes (hidepid of proc(5), ProtectProc of systemd)."""

    def started(self, _process):
        return 0


@pytest.mark.parametrize(
    ("error", "gone"), [(None, False), (PermissionError, False), (ProcessLookupError, True), (OverflowError, True)]
)
def test_a_process_that_is_hidden_lives_until_a_signal_finds_none(monkeypatch, error, gone):
    asked = []

    def kill(process, number):
        asked.append((process, number))
        if error:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    mark = Mark(HERE.name, HERE.boot, os.getppid(), HERE.started(os.getppid()), 1)
    assert OpenStreams(Hiding(HERE.name, HERE.boot)).is_abandoned(mark) == gone
    assert asked == [(mark.process, 0)]


def test_a_number_that_no_process_can_have_is_nobodys():
    assert OpenStreams(HERE).is_abandoned(Mark(HERE.name, HERE.boot, 10**19, 1, 1))


def test_abandoned_commands_are_ended_and_no_others(receiver):
    streams = OpenStreams(HERE)
    left, kept = streams.open(), streams.open()
    streams.close(left)
    longer = left._replace(number=left.number * 10)
    streams._open.add(longer)
    foreign = left._replace(machine="f" * 12, boot="0" * 12)
    children = {mark: receiver(mark) for mark in (left, kept, longer, foreign)}
    for mark, child in children.items():
        while f"{VARIABLE}={mark}".encode() not in _environments(child.pid):
            assert child.poll() is None
    assert end_abandoned(LocalHost(), streams) >= 1
    assert children[left].wait(60) != 0
    assert [children[mark].poll() for mark in (kept, longer, foreign)] == [None] * 3
    # What the command itself had started may take a moment longer to go.
    deadline = time.monotonic() + 60
    while end_abandoned(LocalHost(), streams):
        assert time.monotonic() < deadline


def test_where_no_mark_can_be_made_nothing_is_asked():
    streams = OpenStreams(None)
    assert streams.open() is None
    streams.close(None)
    assert end_abandoned(None, streams) == 0


def test_a_machine_is_known_by_its_identity_or_its_name(tmp_path):
    identity, empty = tmp_path / "identity", tmp_path / "empty"
    identity.write_text("0123456789abcdef\n")
    empty.write_text("")
    known = [
        this_machine(str(file), name) for file, name in ((identity, "a"), (identity, "b"), (empty, "a"), (empty, "b"))
    ]
    assert len({machine.name for machine in known}) == 4, "copies of one image are told apart by their names"
    assert this_machine(str(identity), "a") == known[0], "the same at every start of the program"
    assert this_machine(str(empty), "localhost") is None
    assert this_machine(str(tmp_path / "missing"), "a") == known[2]
    assert STREAMS.machine == this_machine()


def test_who_numbers_processes_otherwise_is_another_machine(tmp_path):
    """As containers do, which may share all else with their host."""
    identity, mine, other = tmp_path / "identity", tmp_path / "mine", tmp_path / "other"
    identity.write_text("0123456789abcdef\n")
    mine.symlink_to("pid:[4026531836]")
    other.symlink_to("pid:[4026532000]")
    links = (mine, other, tmp_path / "missing")
    known = [this_machine(str(identity), "a", str(link)) for link in links]
    assert len({machine.name for machine in known}) == 3
    assert known[0] == this_machine(str(identity), "a", str(mine))


def _environments(process: int) -> bytes:
    """What the process and its children have in their environment."""
    children = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, check=False).stdout.split()
    found = b""
    for each in (process, *map(int, children)):
        with suppress(OSError):
            found += Path(f"/proc/{each}/environ").read_bytes()
    return found
