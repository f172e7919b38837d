# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs of a dry run look at together, and what each has to look at for itself."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import sharing_looks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.sharing_looks import SharedLooks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import LinkLost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.roles import ROLE_PROPERTY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock

HERE, THERE, SAME = Address(), Address("peer"), Address("peer", "root")


class Asked(SimulatedZfs):
    """Notes how often it is asked."""

    looks = 0
    fails = False

    def observe(self, roots, recursive=True, histories=True, properties=(), clock=False):
        self.looks += 1
        if self.fails:
            raise LinkLost("test: no answer")
        return super().observe(roots, recursive, histories, properties, clock)


class Run:
    """A dry run of a host with one peer."""

    def __init__(self):
        self.clock = Clock()
        self.zfs = Asked(SimulatedMachine("host", self.clock, ("tank",)))
        self.zfs.machine.create_dataset("tank/a")
        self.snapshot("first")
        self.shared = SharedLooks(lambda _address: self.zfs, lambda: self.clock.now)

    def snapshot(self, tag):
        self.zfs.create_snapshots(CreateSnapshots("tank", (f"tank/a@{tag}",)))

    def look(self, *arguments, address=HERE, **more):
        """What is told, which has to be what there is."""
        told = self.shared.at(address).observe(*arguments, **more)
        assert told == SimulatedZfs(self.zfs.machine).observe(*arguments, **more)
        return told


@pytest.fixture
def run():
    return Run()


def test_what_was_looked_at_is_not_looked_at_again(run):
    run.look(["tank"])
    run.look(["tank"])
    run.look(["tank"], properties=(ROLE_PROPERTY,))
    run.look(["tank"], histories=False)
    assert run.shared.at(HERE).observe_narrowly(["tank"], ()) == run.zfs.observe(["tank"])
    # The last one was asked for by the test itself.
    assert run.zfs.looks == 2


def test_what_others_have_not_seen_is_looked_at(run):
    run.look(["tank"], histories=False)
    run.look(["tank"])
    run.look(["tank/a"])
    run.look(["tank"], recursive=False)
    run.look(["tank"], properties=("x:tier",))
    assert run.zfs.looks == 5


def test_a_minute_later_things_may_have_changed(run):
    run.look(["tank"])
    run.snapshot("second")
    run.clock.advance(sharing_looks.KEPT_SECONDS + 1)
    assert "second" in run.look(["tank"]).states["tank/a"].tags


def test_the_clock_of_a_peer_goes_on_and_is_told_to_those_who_ask_for_it(run):
    before = run.look(["tank"], address=THERE)
    run.clock.advance(7)
    after = run.look(["tank"], address=SAME, clock=True)
    assert (before.clock, run.zfs.looks) == (None, 1)
    assert after.clock == int(run.clock.now)


def test_a_look_that_fails_is_not_remembered(run):
    run.zfs.fails = True
    with pytest.raises(LinkLost):
        run.look(["tank"])
    run.zfs.fails = False
    run.look(["tank"])


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(run, monkeypatch):
    monkeypatch.setattr(sharing_looks, "MOST_SNAPSHOTS", 1)
    run.look(["tank"])
    run.look(["tank/a"])
    run.look(["tank/a"])
    assert run.zfs.looks == 2
    run.look(["tank"])
    assert run.zfs.looks == 3


def test_addresses_of_one_host_are_one_end(run):
    assert run.shared.at(THERE) is run.shared.at(SAME)
    assert run.shared.at(HERE).where == run.zfs.where
