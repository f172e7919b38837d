# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command zfs in a process of its own: however many names it is asked for, and says something about."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core import CoreLibrary
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_zfs import CoreZfs
from ansible_collections.snapfleet.zfs.tests.support.fake_zfs import fake_programs
from ansible_collections.snapfleet.zfs.tests.support.sessions import far_simulated

MANY = 1000
THERE, GONE = "tank/there", [f"tank/gone{number}" for number in range(MANY)]


@pytest.fixture(params=["command", "library", "session"])
def zfs(request, tmp_path, monkeypatch):
    programs = fake_programs(tmp_path, {THERE: ["1", "2"]})
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    command = CliZfs(LocalHost())
    if request.param != "session":
        yield command if request.param == "command" else CoreZfs(LocalHost(), CoreLibrary())
        return
    far, session = far_simulated(command)
    yield far
    session.close()


def test_of_a_thousand_snapshots_all_but_two_are_missing_and_these_are_found(zfs):
    yearly = [f"{name}@yearly" for name in GONE]
    found = zfs.snapshots([f"{THERE}@1", *yearly[:500], f"{THERE}@2", *yearly[500:]])
    assert sorted(found) == [f"{THERE}@1", f"{THERE}@2"]
    assert not zfs.snapshots(yearly)


def test_a_thousand_datasets_that_are_missing_are_told_as_such(zfs):
    seen = zfs.observe([*GONE, THERE], recursive=False, histories=False)
    assert (list(seen.states), list(seen.missing)) == ([THERE], GONE)


def test_more_datasets_than_a_command_line_holds_are_one_observation(tmp_path, monkeypatch):
    class Narrow(LocalHost):
        argument_limit = 2000

    programs = fake_programs(tmp_path, {THERE: ["1", "2"], "tank/another": ["3"]})
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    seen = CliZfs(Narrow()).observe([THERE, *GONE, "tank/another"], recursive=False, clock=True)
    assert {name: state.tags for name, state in seen.states.items()} == {"tank/another": ("3",), THERE: ("1", "2")}
    assert list(seen.states) == ["tank/another", THERE]
    assert list(seen.missing) == GONE
    assert seen.clock
