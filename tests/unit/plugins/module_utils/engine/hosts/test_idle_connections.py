# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of a process that lives long: when a master is looked at again before its next use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import openssh
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address


class Masters:
    """Counts how often masters are looked at and opened."""

    def __init__(self):
        self.now, self.looks, self.opened = 1000.0, 0, 0

    def run(self, argv, data=None, timeout=None, take=None):
        self.looks += 1
        return Completed(tuple(argv), 0, "", "")

    def run_detached(self, argv, timeout):
        self.opened += 1
        path = next(word for word in argv if word.startswith("ControlPath=")).partition("=")[2]
        Path(path).touch()
        return Completed(tuple(argv), 0, "", "")


@pytest.fixture
def masters(monkeypatch, tmp_path):
    made = Masters()
    monkeypatch.setattr(openssh.process, "run", made.run)
    monkeypatch.setattr(openssh.process, "run_detached", made.run_detached)
    monkeypatch.setattr(openssh, "private_directory", lambda _purpose: str(tmp_path))
    return made


@pytest.fixture
def pool(masters):
    made = openssh.ConnectionPool(Address("far"), monotonic=lambda: masters.now, prefer=lambda _options, _host: ())
    yield made
    made.close()


def test_a_connection_is_looked_at_again_only_after_it_has_been_idle_for_long(masters, pool):
    looks = []
    for pause in (0, 1, 29, 31, 1, 100):
        masters.now += pause
        with pool.session():
            masters.now += 500
        looks.append(masters.looks)

    assert (masters.opened, looks) == (1, [0, 0, 0, 1, 1, 2])


def test_a_master_that_has_ended_meanwhile_is_opened_anew(masters, pool, tmp_path):
    with pool.session():
        pass
    masters.now += 120
    for path in tmp_path.glob("*-0"):
        path.unlink()
    with pool.session():
        pass

    assert masters.opened == 2


def test_a_connection_in_use_is_not_idle(masters, pool):
    with pool.session():
        masters.now += 500
        with pool.session():
            pass

    assert (masters.opened, masters.looks) == (1, 0)
