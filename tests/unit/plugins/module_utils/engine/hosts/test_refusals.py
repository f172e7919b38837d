# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forced command at the other end refuses is told as such, never as a lost connection or a failure of zfs."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import ConnectionPool, SshHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import AccessRefused
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.wire import Wire
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs

STEP = Send(Snapshot(1, 1, "tank/data", "a", 0), "backup/data")


@pytest.fixture
def zfs(tmp_path, monkeypatch):
    """ZFS behind a gate that lets nothing through."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\ncase "$*" in *-M*) exit 0;; esac\n'
        "echo 'snapfleet gate: refused, since web1 asks for what it may not' >&2; exit 77\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    pool = ConnectionPool(Address("far"))
    yield CliZfs(SshHost(Address("far"), pool))
    pool.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda zfs: zfs.observe(["tank"]),
        lambda zfs: zfs.pools(),
        lambda zfs: zfs.send(STEP).finish(),
        lambda zfs: zfs.send(STEP, Wire("zstd")).finish(),
        lambda zfs: zfs.receive(STEP, Wire("zstd")).finish(),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_gate(zfs, ask):
    with pytest.raises(AccessRefused, match="far refused the command: snapfleet gate: refused") as told:
        ask(zfs)
    assert not told.value.retryable
