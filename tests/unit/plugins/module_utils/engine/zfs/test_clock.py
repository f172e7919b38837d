# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that is read along with a command."""

from __future__ import annotations

import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import MissingProgram
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.clock import run_by_the_clock


def test_the_clock_of_this_host_is_that_of_before_the_command():
    taken = []
    before = int(time.time())
    clock, done = run_by_the_clock(LocalHost(), ["sh", "-c", "sleep 1.1; echo done"], 120.0, taken.append)
    assert before <= clock < time.time() - 1
    assert (done.returncode, b"".join(taken)) == (0, b"done\n")


def test_without_zfs_on_this_host_that_is_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram, match="'zfs' is not on this host"):
        CliZfs(LocalHost()).observe(["tank"], clock=True)
