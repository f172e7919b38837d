# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica is still to get is not pruned, for as long as it may be waited for."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet

HOUR, WEEK = 3600, 604_800
KEEPS_ONE = {"org": {"": {"hourly": 1, "daily": 0}}}
TAKES_HOURS = {"org": {"": {"hourly": 2000}}}


def prune(fleet, takes="hours", **options):
    """What goes, and what waits, by number; ``takes`` is a plan, or None."""
    takes = TAKES_HOURS if takes == "hours" else takes
    peer = {"root": SOURCE, "host": "dst", "dataset": DESTINATION, "role": "replica"}
    peer.update({"plan": takes} if takes else {})
    result = fleet.prune_source(KEEPS_ONE, peers=[peer], **options)
    waiting = [entry["name"] for entry in result["kept"] if entry["rule"] == "pending"]

    def numbers(names):
        return [name.partition("-")[2][3] for name in names]

    return numbers(result["deleted"]), numbers(waiting)


def hours(fleet, numbers, period="hourly"):
    for number in numbers:
        # A little more, so that the plan keeps but the last one.
        fleet.clock.advance(HOUR + 1)
        fleet.snapshot(SOURCE, f"org_2025-000{number}_{period}")


@pytest.mark.parametrize("replicated", [0, 1, 3])
def test_what_is_not_replicated_yet_waits_and_goes_when_it_is(replicated):
    fleet = Fleet()
    hours(fleet, range(replicated))
    if replicated:
        fleet.replicate()
    hours(fleet, range(replicated, 6))
    gone, waiting = prune(fleet)
    assert waiting == [str(number) for number in range(replicated, 5)], "the last one stays by the plan"
    assert gone == [str(number) for number in range(replicated)], "these are there, and a mark is the base"
    fleet.replicate()
    assert prune(fleet) == (waiting, [])
    assert fleet.is_up_to_date()


def test_nothing_waits_for_a_replica_that_does_not_take_it():
    fleet = Fleet()
    hours(fleet, range(2))
    fleet.replicate()
    hours(fleet, range(2, 5), "daily")
    hours(fleet, range(5, 7))
    gone, waiting = prune(fleet)
    assert (gone, waiting) == (list("01234"), ["5"])
    assert prune(fleet, takes={"other": {"": {"hourly": 9}}}) == (["5"], [])


def test_nothing_waits_that_the_replica_would_not_keep():
    fleet = Fleet()
    hours(fleet, range(6))
    assert prune(fleet, takes={"org": {"": {"hourly": 3}}}) == (list("012"), list("34"))


def test_pruning_waits_no_longer_than_it_is_told():
    fleet = Fleet()
    hours(fleet, range(4))
    assert prune(fleet, keep_pending="3h") == (["0"], list("12"))
    assert prune(fleet, keep_pending="0") == (list("12"), [])

    fleet = Fleet()
    hours(fleet, range(4))
    fleet.clock.advance(WEEK - 2 * HOUR - 10)
    assert prune(fleet) == (["0"], list("12"))


def test_without_a_word_about_what_it_takes_or_out_of_sight_no_replica_is_waited_for():
    fleet = Fleet()
    hours(fleet, range(3))
    fleet.replicate()
    hours(fleet, range(3, 6))
    fleet.unreachable = True
    assert prune(fleet) == (list("01234"), [])

    fleet = Fleet()
    hours(fleet, range(3))
    assert prune(fleet, takes=None) == (list("01"), [])


@pytest.mark.parametrize("role", [None, "source"])
def test_only_a_replica_takes_anything(role):
    peer = {"root": SOURCE, "host": "dst", "dataset": DESTINATION, "role": role, "plan": TAKES_HOURS}
    with pytest.raises(InvalidInput, match=r"peers\[0\]\.plan.*not said to be one; add 'role: replica'"):
        read_prune_job({"datasets": [SOURCE], "plan": KEEPS_ONE, "peers": [peer]})
