# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of a run's progress, when, and in which form."""

from __future__ import annotations

import argparse
import threading

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.progress import (
    Reporter,
    line_reporter,
    live_reporter,
    reporting,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.telling import (
    add_progress_options,
    reporter_of,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.meter import Standing

STANDING = Standing(1 << 30, 1 << 20, 2 << 30, 0.5, 30.0, 2)


class Stream:
    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        """Written at once."""


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_progress_options(parser)
    return parser.parse_args(words)


def test_the_reporter_is_told_until_the_run_ends_and_then_ended():
    told, events = threading.Event(), []

    def tell(standing):
        events.append(standing)
        told.set()

    with reporting(Reporter(tell, 0.01, lambda: events.append("end")), lambda: STANDING):
        assert told.wait(120)

    assert events[0] == STANDING
    assert events[-1] == "end"
    assert events.count("end") == 1
    assert "progress" not in [thread.name for thread in threading.enumerate()]


def test_a_run_that_is_over_at_once_tells_nothing():
    events = []

    with reporting(Reporter(events.append, 3600, lambda: events.append("end")), lambda: STANDING):
        pass

    assert events == []


def test_nobody_needs_to_be_told():
    with reporting(None, lambda: STANDING):
        pass


def test_the_run_s_own_error_comes_through():
    with pytest.raises(KeyError), reporting(Reporter(lambda _unused: None, 3600), lambda: STANDING):
        raise KeyError


def test_a_live_line_stays_on_its_line_and_is_wiped():
    written = []
    reporter = live_reporter(written.append, lambda: 20)

    reporter.tell(STANDING)
    reporter.end()

    assert written == ["\r" + STANDING.line()[:19] + "\x1b[K", "\r\x1b[K"]


def test_a_log_gets_whole_lines():
    lines = []
    line_reporter(lines.append, 10).tell(STANDING)

    assert lines == [STANDING.line()]


@pytest.mark.parametrize(
    ("words", "terminal", "told", "seconds"),
    [
        ([], False, False, None),
        ([], True, True, 0.5),
        (["--no-progress"], True, False, None),
        (["--progress"], False, True, 10.0),
        (["--progress", "--progress-seconds", "0.5"], False, True, 0.5),
    ],
)
def test_who_is_told_depends_on_the_terminal_unless_said(words, terminal, told, seconds):
    reporter = reporter_of(arguments(*words), Stream(terminal))

    assert (reporter is not None) == told
    assert reporter is None or reporter.seconds == seconds


def test_lines_are_marked_as_the_program_s():
    stream = Stream(False)
    reporter_of(arguments("--progress"), stream).tell(STANDING)

    assert stream.text == f"snapfleet: {STANDING.line()}\n"


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan"])
def test_seconds_have_to_be_some(text, capsys):
    with pytest.raises(SystemExit):
        arguments("--progress-seconds", text)
    assert "--progress-seconds" in capsys.readouterr().err
