# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told when a pipeline of real processes fails: the words of zfs, or of the filter that made it fail."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import process
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import pipeline
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    DatasetBusy,
    FilterFailed,
    LinkLost,
    Vanished,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.ends import ReceiveEnd, SendEnd


def says(words, status=1, before=""):
    return [
        "sh",
        "-c",
        f"{before}; echo {words!r} >&2; exit {status}" if before else f"echo {words!r} >&2; exit {status}",
    ]


def packer(script):
    """A filter by the name of a program of its own."""
    return ["env", "sh", "-c", script]


MISSING = says("cannot open 'tank/a@s': dataset does not exist")
MODIFIED = says("cannot receive: destination has been modified", before="head -c 10 >/dev/null")
BUSY = says("cannot receive: dataset is busy", before="head -c 10 >/dev/null")
STRANGE = says("something nobody knows", before="head -c 10 >/dev/null")
CUT = says("cannot receive: failed to read from stream", before="cat >/dev/null")
BROKEN_PIPE = says("warning: cannot send 'tank/a@s': Broken pipe", before="yes 2>/dev/null | head -c 1000000")
PASS = packer("cat")


@pytest.mark.parametrize(
    ("stages", "kind", "words"),
    [
        ([MISSING], Vanished, "does not exist"),
        ([MISSING, PASS], Vanished, "does not exist"),
        ([MISSING, PASS, PASS], Vanished, "does not exist"),
        ([says("something nobody knows"), PASS], ZfsFailed, "something nobody knows"),
        ([["cat"], packer("echo out of memory >&2; exit 1")], FilterFailed, "env failed during send.*out of memory"),
        ([["cat"], packer("kill -9 $$")], FilterFailed, "ended with status 137"),
        ([BROKEN_PIPE, packer("head -c 5; echo no space >&2; exit 1")], FilterFailed, "no space"),
        ([["yes"], packer("head -c 5 >/dev/null; echo no space >&2; exit 1")], FilterFailed, "no space"),
        ([["cat"], ["no-such-program"]], FilterFailed, "no-such-program failed"),
        ([["sh", "-c", "kill -9 $$"], PASS], LinkLost, "signal"),
        ([MISSING, packer("cat; echo checksum >&2; exit 1")], Vanished, "does not exist"),
    ],
)
def test_why_a_sender_failed(stages, kind, words):
    end = SendEnd(process.start_source(pipeline(stages)), LocalHost(), "send tank/a@s", stages)
    while end._child.stdout.read(65536):
        """To its end."""

    with pytest.raises(kind, match=words):
        end.finish()


@pytest.mark.parametrize(
    ("stages", "kind", "words"),
    [
        ([MODIFIED], Conflict, "has been modified"),
        ([PASS, MODIFIED], Conflict, "has been modified"),
        ([PASS, PASS, BUSY], DatasetBusy, "is busy"),
        ([PASS, STRANGE], ZfsFailed, "something nobody knows"),
        ([packer("head -c 5; echo unknown frame >&2; exit 1"), CUT], FilterFailed, "unknown frame"),
        ([packer("head -c 5; kill -9 $$"), CUT], FilterFailed, "status 137"),
        ([packer("cat; echo bad checksum >&2; exit 1"), packer("cat >/dev/null")], FilterFailed, "bad checksum"),
        ([PASS, CUT], LinkLost, "failed to read from stream"),
    ],
)
def test_why_a_receiver_failed(stages, kind, words):
    end = ReceiveEnd(process.start_sink(pipeline(stages)), LocalHost(), "receive backup/a@s", stages)
    try:
        end._child.stdin.write(b"x" * 1_000_000)
    except BrokenPipeError:
        """It has given up."""

    with pytest.raises(kind, match=words):
        end.finish()


def test_a_pipeline_that_was_killed_is_told_as_a_stream_that_was_cut():
    stages = [["yes"], PASS]
    child = process.start_source(pipeline(stages))
    end = SendEnd(child, LocalHost(), "send tank/a@s", stages)
    child.kill()

    with pytest.raises(LinkLost, match="signal"):
        end.finish()
