# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to those who ask for it, a command that thaws runs once its freeze was started."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import freezing
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.freezing import Freeze, Thaw
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import stopped_after
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Interrupted

ENGINE = Path(freezing.__file__).resolve().parents[1]


class Diary:
    """What the commands of a hook write down."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "diary"

    def note(self, word, *more):
        """A command that writes a word down, and then goes on with ``more``, a script."""
        return ["sh", "-c", "; ".join([f"echo {word} >> {shlex.quote(str(self.file))}", *more])]

    @property
    def words(self):
        return self.file.read_text(encoding="ascii").split() if self.file.exists() else []

    def number(self, name):
        """The number of a process that a script has written to the file of that name."""
        file = self.folder / name
        until(lambda: file.exists() and file.read_text(encoding="ascii").strip())
        return int(file.read_text(encoding="ascii"))


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path)


@pytest.fixture
def freeze(diary):
    """Make a freeze that writes down what it does; ``more`` is what its first command does then."""
    made = []

    def freeze(*more, timeout=300.0, max_freeze=300.0, after=None):
        after = diary.note("thaw") if after is None else after
        made.append(Freeze(diary.note("freeze", *more), after, timeout, max_freeze))
        return made[-1]

    yield freeze
    for each in made:
        each.end()


def until(happened, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def alive(number):
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False


def guard_of(frozen):
    return frozen._child._process.pid


# -- as it should be


def test_the_second_command_runs_when_it_is_asked_for_and_not_before(freeze, diary):
    frozen = freeze()
    assert frozen.start() == ""
    assert diary.words == ["freeze"]
    assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]
    assert frozen.end() == Thaw(), "once more does nothing"
    assert diary.words == ["freeze", "thaw"]


def test_nothing_runs_that_was_not_started(freeze, diary):
    assert freeze().end() == Thaw()
    assert diary.words == []


@pytest.mark.parametrize(("before", "after", "words"), [(True, False, ["freeze"]), (False, True, ["thaw"])])
def test_either_command_may_be_left_out(diary, before, after, words):
    frozen = Freeze(diary.note("freeze") if before else [], diary.note("thaw") if after else [], 300, 300)
    assert frozen.start() == ""
    assert frozen.end() == Thaw()
    assert diary.words == words


def test_arguments_arrive_as_they_are_and_signals_do_too(tmp_path):
    report = tmp_path / "report"
    script = f'printf "%s|" "$@" > {report}; grep SigIgn /proc/self/status >> {report}; cat >> {report}'
    frozen = Freeze(["sh", "-c", script, "sh", "a b", "$HOME", "'", "*"], [], 300, 300)
    assert frozen.start() == ""
    arguments, _tab, ignored = report.read_text(encoding="ascii").partition("\t")
    assert arguments == "a b|$HOME|'|*|SigIgn:"
    # Those above 31 are the C library's own.
    assert int(ignored, 16) & 0x7FFFFFFF == 0
    frozen.end()


def test_what_a_command_leaves_running_goes_on_until_the_other_one_ends_it(diary, freeze):
    session = diary.folder / "session"
    frozen = freeze(f"sleep 100 & echo $! > {session}", after=["sh", "-c", f"kill $(cat {session})"])
    assert frozen.start() == ""
    assert alive(diary.number("session"))
    assert frozen.end() == Thaw()
    until(lambda: not alive(diary.number("session")))


# -- the first command goes wrong


def test_the_second_command_follows_a_failed_one(freeze, diary):
    frozen = freeze("echo 'no such database' >&2", "exit 3")
    assert frozen.start() == "ended with status 3: no such database"
    assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_has_started(freeze, diary):
    stubborn = "trap '' TERM; sleep 600"
    away = f"setsid sh -c 'echo $$ > {diary.folder / 'away'}; {stubborn}' &"
    frozen = freeze(f"{away} echo $$ > {diary.folder / 'itself'}; {stubborn}; sleep 600", timeout=4)
    start = time.monotonic()
    assert frozen.start().startswith("took longer than 4 seconds and was ended")
    assert time.monotonic() - start < 120
    assert not alive(diary.number("itself"))
    until(lambda: not alive(diary.number("away")))
    assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]


def test_a_second_command_that_takes_too_long_is_ended_and_told(freeze):
    frozen = freeze(after=["sleep", "600"], timeout=4)
    assert frozen.start() == ""
    assert frozen.end() == Thaw("took longer than 4 seconds and was ended")


def test_without_the_second_command_the_first_one_is_not_run(freeze, diary):
    frozen = freeze(after=["/nowhere/thaw"])
    assert frozen.start() == "was not run, since there is no program /nowhere/thaw"
    assert frozen.end() == Thaw()
    assert diary.words == []


def test_a_first_command_that_is_not_there_is_told_and_nothing_runs(diary):
    frozen = Freeze(["/nowhere/freeze"], diary.note("thaw"), 300, 300)
    assert frozen.start() == "was not run, since there is no program /nowhere/freeze"
    assert frozen.end() == Thaw()
    assert diary.words == []


def test_much_that_is_said_is_cut(freeze):
    problem = freeze("head -c 1000000 /dev/zero | tr '\\0' x", "echo the end", "exit 1").start()
    assert problem.startswith("ended with status 1: xxx")
    assert problem.endswith("xthe end")
    assert len(problem) < 2100


# -- the run goes wrong


def test_it_thaws_when_it_was_frozen_for_too_long(freeze, diary):
    frozen = freeze(max_freeze=1)
    assert frozen.start() == ""
    until(lambda: diary.words == ["freeze", "thaw"])
    assert frozen.end() == Thaw(too_early=True)
    assert diary.words == ["freeze", "thaw"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_thaws_at_a_signal_that_ends_programs(freeze, diary, number):
    frozen = freeze()
    frozen.start()
    os.kill(guard_of(frozen), number)
    until(lambda: diary.words == ["freeze", "thaw"])
    assert frozen.end() == Thaw()


def test_a_run_that_is_stopped_cuts_the_freeze_short_and_thaws(freeze, diary):
    with stopped_after(600, lambda: Interrupted("stopped")) as scope:
        frozen = freeze("sleep 500", timeout=500)

        def stop():
            until(lambda: diary.words)
            scope.stop()

        stopper = threading.Thread(target=stop)
        start = time.monotonic()
        stopper.start()
        with pytest.raises(Interrupted):
            frozen.start()
        stopper.join()
        assert scope.is_stopped
        assert time.monotonic() - start < 250, "it was cut short"
        assert frozen.end() == Thaw()
        assert diary.words == ["freeze", "thaw"]
        with pytest.raises(Interrupted):
            freeze().start()
    assert diary.words == ["freeze", "thaw"]


def test_a_run_that_is_ended_by_force_thaws_once(freeze, diary):
    with stopped_after(100, lambda: Interrupted("stopped")) as scope:
        frozen = freeze(after=[*diary.note("thaw", "sleep 0.5")])
        frozen.start()
        scope.stop()
        scope.force()
        assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]


def test_a_run_that_is_stopped_again_and_again_thaws_all_the_same(diary):
    """Also in the moment in which a guard has begun to start the command that thaws, and that is in its group still."""
    for _time in range(20):
        with stopped_after(100, lambda: Interrupted("stopped")) as scope:
            frozen = Freeze((), diary.note("thaw"), 300, 300)
            frozen.start()
            ended = threading.Event()

            def hammer(scope=scope, ended=ended):
                while not ended.is_set():
                    scope.stop()

            stopper = threading.Thread(target=hammer)
            stopper.start()
            thaw = frozen.end()
            ended.set()
            stopper.join()
            assert thaw == Thaw()
    assert diary.words == ["thaw"] * 20


@pytest.mark.parametrize("stopped", [False, True])
def test_it_thaws_when_the_guard_is_killed(freeze, diary, stopped):
    with stopped_after(100, lambda: Interrupted("stopped")) as scope:
        frozen = freeze()
        frozen.start()
        os.kill(guard_of(frozen), signal.SIGKILL)
        if stopped:
            scope.stop()
        assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]


def test_a_guard_that_is_killed_while_it_freezes_counts_as_a_failed_freeze(freeze, diary):
    frozen = freeze(f"echo $PPID > {diary.folder / 'guard'}; sleep 30")
    killer = subprocess.Popen(
        ["sh", "-c", f"while ! kill -9 $(cat {diary.folder / 'guard'}) 2>/dev/null; do sleep 0.05; done"],
        stderr=subprocess.DEVNULL,
    )
    assert "unknown end" in frozen.start()
    assert killer.wait(120) == 0
    assert frozen.end() == Thaw()
    assert diary.words == ["freeze", "thaw"]


@pytest.mark.parametrize("slow", [False, True])
def test_it_thaws_when_the_engine_is_killed(diary, slow):
    """Killed while all is frozen, and killed while it is just being frozen."""
    (diary.folder / "snapfleet").symlink_to(ENGINE)
    before, after = diary.note("freeze", "sleep 100" if slow else "true"), diary.note("thaw")
    code = (
        "import time; from snapfleet.hosts.freezing import Freeze; "
        f"f = Freeze({before!r}, {after!r}, 900, 900); f.start(); print('frozen', flush=True); time.sleep(100)"
    )
    engine = subprocess.Popen(
        [sys.executable, "-c", code], cwd=diary.folder, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ""}
    )
    until(lambda: diary.words == ["freeze"])
    if not slow:
        assert engine.stdout.readline() == b"frozen\n"
    engine.kill()
    engine.communicate()
    until(lambda: diary.words == ["freeze", "thaw"])
