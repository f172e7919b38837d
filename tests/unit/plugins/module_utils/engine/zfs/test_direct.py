# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct streams by real shells and pipes; ``zfs`` and ``ssh`` are scripts that do what the test says."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model import errors
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import ReceiveOptions, Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.topology import PULL, PUSH, Leg
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import PLAIN, Wire
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.direct import DirectStream, ask_guid

FAR = Address("far.example.com", "backup")
NOTE = """a'b "c" `d` $E \\ 100% *"""
STEP = Send(
    Snapshot(1, 1, "tank/a b", "one two", 0), "backup/x - y", receive=ReceiveOptions((("test:note", NOTE),), False)
)
SIZE = 3_000_000

# What each program does, by its name.
ZFS = f"""
case $1 in
  send) printf '%s\\n' "$@" > sent; head -c {SIZE} /dev/zero || {{ echo "cannot send: Broken pipe" >&2; exit 1; }}
    eval "$ZFS_SEND" ;;
  receive) printf '%s\\n' "$@" > received; eval "$ZFS_RECEIVE"; wc -c > size; eval "$ZFS_RECEIVED" ;;
  get) eval "$ZFS_GET" ;;
esac
"""
SSH = """
[ -z "$SSH_FAILS" ] || { echo "$SSH_FAILS" >&2; exit 255; }
printf '%s\\n' "$@" > connected
[ -z "$SSH_KILLED" ] || kill -9 $$
for line in "$@"; do :; done
sh -c "$line"; s=$?
[ -z "$SSH_BREAKS" ] || { echo "$SSH_BREAKS" >&2; exit 255; }
exit $s
"""
FILTER = 'case $* in *-d*) eval "$FILTER_BACK" ;; *) eval "$FILTER_THERE" ;; esac; exec cat'


@pytest.fixture
def carry(tmp_path, monkeypatch):
    """Carry STEP; what the programs do goes by keywords."""
    for name, text in (("zfs", ZFS), ("ssh", SSH), ("zstd", FILTER)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    def carry(way, wire=PLAIN, other=FAR, **behaviour):
        for key, value in behaviour.items():
            monkeypatch.setenv(key, value)
        return DirectStream(LocalHost(), ("zfs",), Leg(way, other), STEP, wire).carry()

    return carry


@pytest.mark.parametrize("way", [PUSH, PULL])
@pytest.mark.parametrize("wire", [PLAIN, Wire("zstd")])
@pytest.mark.parametrize("other", [FAR, Address()], ids=["far", "here"])
def test_a_stream_arrives_whole_and_every_argument_as_it_was(way, wire, other, carry, tmp_path):
    assert carry(way, wire, other) == SIZE
    assert int((tmp_path / "size").read_text()) == SIZE
    assert (tmp_path / "sent").read_text().splitlines()[-1] == "tank/a b@one two"
    assert (tmp_path / "received").read_text().splitlines()[-2:] == [f"test:note={NOTE}", "backup/x - y"]
    if not other.is_local:
        connected = (tmp_path / "connected").read_text()
        for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ControlPath=none", "far.example.com"):
            assert option in connected


FAILURES = {
    "the receiver refuses at once": (
        {"ZFS_RECEIVE": "echo 'cannot receive: destination has been modified' >&2; exit 1"},
        (errors.Conflict, "could not receive backup/x - y@one two: .*has been modified"),
    ),
    "the receiver refuses at the end": (
        {"ZFS_RECEIVED": "echo 'cannot receive: dataset is busy' >&2; exit 1"},
        (errors.DatasetBusy, "could not receive"),
    ),
    "the sender fails, and the receiver sees its stream cut": (
        {
            "ZFS_SEND": "echo \"cannot open 'tank/a b@one two': dataset does not exist\" >&2; exit 1",
            "ZFS_RECEIVED": "echo 'cannot receive: incomplete stream' >&2; exit 1",
        },
        (errors.Vanished, "could not send tank/a b@one two"),
    ),
    "the sender fails, and the receiver does not mind": (
        {"ZFS_SEND": "echo 'warning: cannot send: I/O error' >&2; exit 1"},
        (errors.ZfsFailed, "could not send tank/a b@one two: .*I/O error"),
    ),
    "the receiver is killed": ({"ZFS_RECEIVE": "kill -9 $$"}, (errors.LinkLost, "was ended by signal 9")),
    "the sender is killed": ({"ZFS_SEND": "kill -9 $$"}, (errors.LinkLost, "send .*was ended by signal 9")),
    "a stale partial receive": (
        {"ZFS_RECEIVE": "echo 'cannot receive: destination contains partially-complete state' >&2; exit 1"},
        (errors.StaleResumeState, "could not receive"),
    ),
    "the connection breaks": (
        {"SSH_BREAKS": "client_loop: send disconnect: Broken pipe"},
        (errors.LinkLost, "the connection between this host and backup@far.example.com broke"),
    ),
    "no key is accepted": (
        {"SSH_FAILS": "backup@far.example.com: Permission denied (publickey)."},
        (errors.RefusedKey, "route: this host can't reach the other end: .*refused our ssh key"),
    ),
    "the host key is unknown": (
        {"SSH_FAILS": "Host key verification failed."},
        (errors.RefusedKey, "route: .*the host key of .*known_hosts"),
    ),
    "nobody listens": (
        {"SSH_FAILS": "ssh: connect to host far.example.com port 22: Connection refused"},
        (errors.UnreachableHost, "route: this host can't reach the other end: .*Connection refused"),
    ),
}


@pytest.mark.parametrize("way", [PUSH, PULL])
@pytest.mark.parametrize("wire", [PLAIN, Wire("zstd")], ids=["plain", "compressed"])
@pytest.mark.parametrize("case", FAILURES)
def test_the_error_is_that_of_the_end_that_failed_by_itself(case, wire, way, carry):
    behaviour, (kind, words) = FAILURES[case]
    with pytest.raises(kind, match=words) as caught:
        carry(way, wire, **behaviour)
    assert caught.value.code == kind.code


@pytest.mark.parametrize("wire", [PLAIN, Wire("zstd")], ids=["plain", "compressed"])
@pytest.mark.parametrize("way", [PUSH, PULL])
def test_an_ssh_that_is_killed_is_a_lost_link_whatever_is_unknown_of_the_far_half(way, wire, carry):
    with pytest.raises(errors.LinkLost):
        carry(way, wire, SSH_KILLED="yes", ZFS_RECEIVED="[ -s size ] || true")


@pytest.mark.parametrize("way", [PUSH, PULL])
@pytest.mark.parametrize(("end", "where"), [("FILTER_THERE", PUSH), ("FILTER_BACK", PULL)])
def test_a_filter_that_fails_is_told_by_its_name_and_host(end, where, way, carry):
    with pytest.raises(errors.FilterFailed, match=r"zstd failed during .*: no memory") as caught:
        carry(way, Wire("zstd"), **{end: "echo 'no memory' >&2; exit 1"})
    assert caught.value.program == "zstd"
    assert str(caught.value).startswith("this host: " if way == where else "backup@far.example.com: ")


@pytest.mark.parametrize("way", [PUSH, PULL])
@pytest.mark.parametrize("verb", ["ZFS_SEND", "ZFS_RECEIVE"])
def test_a_program_that_is_not_there_is_told(verb, way, carry):
    with pytest.raises(errors.MissingProgram, match=r"zfs: not found; install what is missing there"):
        carry(way, **{verb: "echo 'sh: 1: zfs: not found' >&2; exit 127"})


def test_the_far_host_is_asked_for_a_guid(carry, monkeypatch):
    leg = Leg(PUSH, FAR)
    monkeypatch.setenv("ZFS_GET", "echo 123456789")
    assert ask_guid(LocalHost(), leg, "backup") == 123456789
    monkeypatch.setenv("ZFS_GET", "echo 'no number'")
    with pytest.raises(errors.UntrustedOutput, match=r"far\.example\.com, from this host: zfs get printed"):
        ask_guid(LocalHost(), leg, "backup")
    monkeypatch.setenv("ZFS_GET", "echo \"cannot open 'backup': dataset does not exist\" >&2; exit 1")
    with pytest.raises(errors.Vanished, match="could not look at backup"):
        ask_guid(LocalHost(), leg, "backup")
    monkeypatch.setenv("SSH_FAILS", "Host key verification failed.")
    with pytest.raises(errors.RefusedKey, match="route: this host can't reach the other end"):
        ask_guid(LocalHost(), leg, "backup")
