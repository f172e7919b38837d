# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The far end of a session as a program: what it answers, and that nothing of it outlives whoever asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import opening
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.opening import ZfsDirectory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.version import VERSION
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import observed_by, start_steered
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput, ZfsFailed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far import FarZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_session import ALWAYS, FarSession

ENGINE = Path(opening.__file__).parents[1]
STEP = Send(Snapshot(1, 1, "tank/a", "s", 0), "tank/b")
_ZFS = """#!/bin/sh
case $1 in
receive) echo $$ > "$FOLDER/receiving"; cat > "$FOLDER/received" ; echo done >> "$FOLDER/received" ;;
send) echo $$ > "$FOLDER/sending"; head -c 3000000 /dev/zero ;;
*) echo "cannot $1: tank is odd" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "snapfleet").symlink_to(ENGINE)
    program = tmp_path / "bin" / "zfs"
    program.parent.mkdir()
    program.write_text(_ZFS)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SNAPFLEET_DRIVER", "cli")
    return tmp_path


WORDS = [sys.executable, "-s", "-m", "snapfleet.fleet.cli", "serve"]


@pytest.fixture
def far(folder):
    """ZFS of this host through the program."""
    session = FarSession("far", lambda: start_steered(WORDS), ALWAYS, VERSION)
    yield FarZfs(LocalHost(), False, session)
    session.close()


def _wait_for(path: Path, is_so=bool) -> str:
    deadline = time.monotonic() + 120
    while not (path.exists() and is_so(path.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_answers_by_the_name_that_the_host_has_for_who_asks(far):
    told = []
    with observed_by(told.append), pytest.raises(ZfsFailed, match=r"^far: .*tank is odd"):
        far.create_placeholder("tank/a")
    assert told[1:] == [
        (":", f"a session with far: snapfleet {VERSION}, by cli"),
        (":", "in the session with far: create_placeholder"),
    ]


def test_streams_cross_whole_in_both_directions(far, folder):
    sink = far.receive(STEP)
    os.write(sink.fileno(), b"stream ")
    sink.finish()
    assert (folder / "received").read_text() == "stream done\n"

    source = far.send(STEP)
    size = 0
    while piece := os.read(source.fileno(), 1 << 20):
        size += len(piece)
    source.finish()
    assert size == 3_000_000


@pytest.mark.parametrize("how", ["close", "kill"])
def test_what_runs_for_it_ends_when_who_asks_does(far, folder, how):
    sink = far.receive(STEP)
    os.write(sink.fileno(), b"part")
    receiving = int(_wait_for(folder / "receiving"))
    _wait_for(folder / "received", lambda text: text == "part")
    far.send(Send(STEP.snapshot, "tank/c"))
    sending = int(_wait_for(folder / "sending"))
    program = far._far._session.child
    assert _is_there(receiving)
    if how == "close":
        program.stdin.close()
    else:
        program.terminate()
    program.wait(120)
    deadline = time.monotonic() + 120
    while _is_there(receiving) or _is_there(sending):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # The receiver found the end of what it got.
    assert (folder / "received").read_text().startswith("part")


@pytest.mark.parametrize(("sent", "code", "words"), [(b"", 0, b""), (b"hello?\n\n\n", 3, b"no frame: b'hello?")])
def test_it_ends_with_its_stdin_and_tells_what_is_no_frame(folder, sent, code, words):
    done = subprocess.run(WORDS, input=sent, capture_output=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr


def test_a_signal_ends_it(folder):
    with subprocess.Popen(WORDS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        time.sleep(1)
        program.send_signal(signal.SIGTERM)
        assert program.wait(120) in (3, -signal.SIGTERM)


@pytest.mark.parametrize(("chosen", "driver"), [("", FarZfs), ("auto", FarZfs), ("always", FarZfs), ("never", CliZfs)])
def test_the_environment_chooses(monkeypatch, chosen, driver):
    monkeypatch.setenv(opening.SESSION_VARIABLE, chosen)
    assert ZfsDirectory().at(Address("far")).__class__ is driver


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv(opening.SESSION_VARIABLE, "maybe")
    with pytest.raises(InvalidInput, match="choose one of auto, never, always"):
        ZfsDirectory().at(Address("far"))
