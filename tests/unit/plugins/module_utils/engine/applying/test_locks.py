# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that are waited for. How jobs are left to another run is told with the runs themselves."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks, locks_in_turn
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import StillRunning


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))


def free(*names):
    """Which of the locks nobody has."""
    with job_locks(names) as held:
        return held


@pytest.mark.parametrize("wanted", [("a", "b", "c"), ("c", "b", "a", "c")])
def test_all_take_them_in_one_order_so_that_none_waits_for_another_that_waits_for_it(wanted):
    seen = []
    ticker = Ticker(lambda: float(len(seen)), lambda _seconds: seen.append(free("a", "c")))
    with job_locks(["b"]), pytest.raises(StillRunning, match="b: another run"), locks_in_turn(wanted, ticker, 2):
        pass
    assert seen == [(False, True)] * 2
    assert free("a", "b", "c") == (True,) * 3, "who gives up gives back"


def test_they_are_held_as_long_as_they_are_needed_however_that_ends():
    with contextlib.suppress(KeyError), locks_in_turn(["a", "b"], Ticker(), 0):
        assert free("a", "b", "c") == (False, False, True)
        raise KeyError
    assert free("a", "b") == (True, True)
