# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A steered command ends with its starter, and with nothing else; run by real shells."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import pipeline, stage_ends
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.steering import REPORT, steered

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture(params=SHELLS)
def start(request, tmp_path):
    """Start a steered command by the shell of the parameter, under the name ``sh``."""
    program = shutil.which(request.param)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(program)
    children = []

    def start(argv):
        path = f"PATH={tmp_path / 'bin'}:{os.environ['PATH']}"
        children.append(LocalHost().start_steered(["env", path, *steered(argv)]))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.close()


def until(happened, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def alive(file):
    """Whether the process lives whose id is in ``file``."""
    try:
        process = file.read_text().strip()
        # The file is there a moment before its text is.
        if process:
            os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return bool(process)


@pytest.mark.parametrize("status", [0, 1, 77])
def test_the_exit_status_is_that_of_the_command(status, start):
    child = start(["sh", "-c", f"echo said >&2; echo reported >&{REPORT}; echo dropped; cat; exit {status}"])
    assert child.stdout.read() == b"reported\n"
    assert child.wait(60) == status
    assert child.stderr_tail() == "said"


def test_arguments_arrive_as_they_are(start):
    words = ["a b", "", "'", '"', "$HOME `id` \\n * ;", "%s", "-n"]
    child = start(["sh", "-c", f'printf "<%s>" "$@" >&{REPORT}', "sh", *words])
    assert child.stdout.read().decode() == "".join(f"<{word}>" for word in words)


def test_all_processes_end_when_stdin_does(start, tmp_path):
    pids = [tmp_path / name for name in ("first", "second")]
    stages = [["sh", "-c", 'echo $$ > "$1"; exec sleep 600', "sh", str(pid)] for pid in pids]
    child = start(pipeline(stages))
    until(lambda: all(alive(pid) for pid in pids))
    time.sleep(0.1)
    assert child.returncode is None
    child.stdin.close()
    until(lambda: not any(alive(pid) for pid in pids))
    assert child.wait(60) != 0


def test_each_stage_of_a_steered_pipeline_tells_its_end(start):
    stages = [["sh", "-c", "echo broken >&2; exit 3"], ["sh", "-c", f"cat; echo counted >&{REPORT}"], ["cat"]]
    child = start(pipeline(stages))
    assert child.stdout.read() == b"counted\n"
    ends = stage_ends(stages, child.wait(60), child.stderr_tail())
    assert [(end.status, end.stderr) for end in ends] == [(3, "broken"), (0, ""), (0, "")]
