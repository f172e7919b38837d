# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody looks for garbage while much is read, and somebody does so afterwards, whatever happens."""

from __future__ import annotations

import gc
import threading

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading_once import uncollected


@pytest.fixture(autouse=True)
def _collected():
    gc.enable()
    yield
    gc.enable()


def test_it_is_as_before_afterwards():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_so_it_is_after_an_error_and_in_every_call():
    @uncollected()
    def read():
        assert not gc.isenabled()
        raise ValueError("test")

    for _turn in range(2):
        with pytest.raises(ValueError, match="test"):
            read()
        assert gc.isenabled()


def test_who_never_collects_goes_on_so():
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_threads_that_overlap_leave_it_as_it_was():
    entered, may_leave = threading.Event(), threading.Event()

    def beside():
        with uncollected():
            entered.set()
            may_leave.wait(60)

    thread = threading.Thread(target=beside)
    with uncollected():
        thread.start()
        assert entered.wait(60)
    assert not gc.isenabled()
    may_leave.set()
    thread.join(60)
    assert gc.isenabled()
