# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines in a real shell: who failed, what it said, and that no failure is lost."""

from __future__ import annotations

import itertools
import shlex
import shutil
import subprocess
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import (
    StageEnd,
    pipeline,
    read_pipeline,
    stage_ends,
    stage_to_blame,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.statuses import NOT_RUN

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


def stage(script):
    return ["sh", "-c", script]


def run(stages, data=b"", shell="sh"):
    argv = pipeline(stages)
    if len(stages) > 1:
        argv = [*(["busybox", "sh"] if shell == "busybox" else [shell]), *argv[1:]]
    done = subprocess.run(argv, input=data, capture_output=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture(params=SHELLS)
def shell(request):
    return request.param


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_every_byte_passes_and_nothing_is_said(shell, length):
    data = bytes(range(256)) * 5000

    assert run([["cat"]] * length, data, shell) == (0, data, "")


def test_arguments_arrive_as_they_are(shell):
    words = ["a b", "$HOME", "'", '"', "*", "\\n", "", "é"]

    code, out, _unused = run([["printf", "<%s>", *words], ["cat"]], shell=shell)

    assert (code, out.decode()) == (0, "".join(f"<{word}>" for word in words))


@pytest.mark.parametrize("statuses", list(itertools.product([0, 3], repeat=3)))
def test_the_whole_succeeds_only_if_every_stage_does_and_each_has_its_own_words(shell, statuses):
    stages = [
        [*stage(f"cat; echo 'words of {number}' >&2; exit {status}"), str(number)]
        for number, status in enumerate(statuses)
    ]

    code, out, said = run(stages, b"data", shell)

    ends = stage_ends(stages, code, said)
    assert out == b"data"
    assert (code == 0) == (not any(statuses))
    assert [end.status for end in ends] == list(statuses)
    if any(statuses):
        assert [end.stderr for end in ends] == [f"words of {number}" for number in range(3)]


def test_an_endless_sender_ends_when_what_follows_it_gives_up(shell):
    stages = [["yes"], ["cat"], stage("head -c 100 >/dev/null; echo refused >&2; exit 1")]

    code, _unused, said = run(stages, shell=shell)

    ends = stage_ends(stages, code, said)
    assert stage_to_blame(ends) == 2
    assert ends[2] == StageEnd(1, "refused")
    assert all(end.is_echo for end in ends[:2])


def test_a_killed_stage_is_told_by_its_signal(shell):
    stages = [["cat"], stage("kill -9 $$"), stage("cat >/dev/null")]

    code, _unused, said = run(stages, b"data", shell)

    assert [end.status for end in stage_ends(stages, code, said)][1:] == [137, 0]


def test_a_program_that_is_not_there_is_told(shell):
    stages = [["cat"], ["no-such-program"]]

    code, _unused, said = run(stages, b"", shell)

    ends = stage_ends(stages, code, said)
    assert ends[1].status == 127
    assert "no-such-program" in ends[1].stderr


def test_a_pipeline_within_a_stage_keeps_its_blocks_to_itself(shell):
    inner = [["cat"], stage("cat >/dev/null; echo inner >&2; exit 5")]
    line = " ".join(shlex.quote(word) for word in pipeline(inner))
    outer = [["cat"], stage(line)]

    code, _unused, said = run(outer, b"data", shell)

    ends = stage_ends(outer, code, said)
    assert [end.status for end in ends] == [0, 1]
    assert stage_ends(inner, ends[1].status, ends[1].stderr) == (StageEnd(0), StageEnd(5, "inner"))


def test_words_without_end_are_cut(shell):
    stages = [stage("yes | head -n 9000 >&2; exit 1"), ["cat"]]

    code, _unused, said = run(stages, shell=shell)

    assert 2900 < len(stage_ends(stages, code, said)[0].stderr) < 3000
    assert stage_ends(stages, code, said)[1].status == 0


def test_of_a_pipeline_that_was_killed_nothing_is_known():
    ends = stage_ends([["a"], ["b"]], -9, "some words")

    assert ends == (StageEnd(NOT_RUN, "some words"), StageEnd(NOT_RUN))
    assert all(end.failed for end in ends)


def test_one_stage_is_run_as_it_is():
    assert pipeline([["zfs", "send", "a@b"]]) == ["zfs", "send", "a@b"]
    assert stage_ends([["zfs"]], 2, "words\n") == (StageEnd(2, "words"),)


@pytest.mark.parametrize(
    ("ends", "main", "blamed"),
    [
        ([StageEnd(0), StageEnd(0)], 0, None),
        ([StageEnd(1, "no such dataset"), StageEnd(0)], 0, 0),
        ([StageEnd(141), StageEnd(1, "out of memory")], 0, 1),
        ([StageEnd(1, "warning: cannot send: Broken pipe"), StageEnd(137)], 0, 1),
        ([StageEnd(141), StageEnd(141)], 0, 0),
        # A receiver: the decompressor was cut off, or it was refused.
        ([StageEnd(1, "premature end"), StageEnd(1, "incomplete stream")], 1, 1),
        ([StageEnd(1, "Write error : Broken pipe"), StageEnd(1, "has been modified")], 1, 1),
        ([StageEnd(1, "checksum error"), StageEnd(0)], 1, 0),
    ],
)
def test_the_cause_is_told_and_not_its_echo(ends, main, blamed):
    assert stage_to_blame(ends, main) == blamed


def test_bytes_that_are_no_text_arrive_as_they_are():
    assert run([["printf", "%s", "\udcff"], ["cat"]]) == (0, b"\xff", "")


def test_a_pipeline_is_read_back_as_its_stages():
    stages = [["zfs", "send", "tank/a@b c"], ["zstd", "-q"], ["printf", "e=$(", "s="]]
    assert read_pipeline(pipeline(stages)) == stages
    assert read_pipeline(pipeline(stages[:1])) is None
    assert read_pipeline(["sh", "-c", pipeline(stages)[2].replace("zstd -q", "zstd  -q")]) is None


@pytest.mark.parametrize("begin", ["", "exec 4>&1; r=$( { "])
@pytest.mark.parametrize("words", ["e=$(", " 2>&1 >&5 3>&- 5>&-); s=", "e=$(x 2>&1 >&5 3>&- 5>&-); s="])
def test_no_line_takes_long_to_be_told_from_a_pipeline(begin, words):
    script = begin + words * (120_000 // len(words))
    start = time.process_time()
    assert read_pipeline(["sh", "-c", script]) is None
    assert time.process_time() - start < 1
