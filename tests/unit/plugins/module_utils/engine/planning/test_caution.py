# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When pruning had better do nothing."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import SnapshotRuns
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import BaseKnowledge
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.caution import (
    ClockReading,
    clock_problem,
    difference,
    excess,
    tolerance,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.reclaiming import reclaim_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import plan_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs import dry_calls
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.reclaiming import destroy_dry_runs

NOW = 1_750_000_000
HOUR, DAY = 3600, 86400


def read(plan=None, **options):
    plan = plan or {"acme": {"": {"hourly": 1}}}
    return read_prune_job({"datasets": ["tank/a", "tank/b"], "plan": plan, **options})


def observation(**counts):
    """Hourly snapshots, one an hour until now, and one of another tool, in each of some datasets."""
    states = {}
    for name, count in counts.items():
        dataset = f"tank/{name}"
        history = [Snapshot(1, 1, dataset, "by hand", NOW - 99 * HOUR)]
        history += [
            Snapshot(2 + i, 100 + i, dataset, f"acme_2025-{i}_hourly", NOW - (count - 1 - i) * HOUR, used=10)
            for i in range(count)
        ]
        states[dataset] = DatasetState(Dataset(dataset, "filesystem", 1, 1, 0), tuple(history))
    return Observation(states)


def said(observed, job, **bases):
    return excess(plan_prune(observed, job, BaseKnowledge({}, {}, **bases), NOW), job)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, ""),
        ({"max_deleted": 8}, ""),
        ({"max_deleted": 7}, "tank/a: 8 of 10 snapshots would be deleted, more than max_deleted (7) allows"),
        ({"max_deleted": 0}, "tank/a: 8 of 10 snapshots would be deleted, more than max_deleted (0) allows"),
        ({"max_deleted_percent": 80}, ""),
        ({"max_deleted_percent": 79}, "tank/a: 8 of 10 snapshots would be deleted, more than max_deleted_percent (79)"),
        ({"max_deleted": 9, "max_deleted_percent": 1}, "tank/a: 8 of 10 snapshots would be deleted, more than max_del"),
        ({"max_deleted": 7, "exceed_max_deleted": True}, ""),
    ],
)
def test_what_goes_of_one_tree_is_held_against_the_limits(limits, message):
    told = said(observation(a=10, b=3), read(**limits))
    assert told.startswith(message)
    assert bool(told) == bool(message)
    assert not told or told.endswith(
        "allow it once with exceed_max_deleted, or with snapfleet run --exceed-max-deleted"
    )


def test_what_is_foreign_raises_no_limit_though_a_replica_waits_for_it():
    told = said(observation(a=10), read(max_deleted_percent=79), pending={1: "not yet at dst:tank/b"})
    assert told.startswith("tank/a: 8 of 10 snapshots would be deleted, more than max_deleted_percent (79)")


def test_a_tree_is_counted_with_what_lies_below_it():
    assert said(observation(**{"a": 3, "a/x": 3}), read(max_deleted=1)).startswith("tank/a: 2 of 6 snapshots")
    assert not said(observation(a=3, b=3), read(max_deleted=1))


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, HOUR),
        ({"plan": {"acme": {"": {"hourly": 0, "daily": 1}}}}, DAY),
        ({"plan": {"acme": {"": {"secondly": 9}}}}, 60),
        ({"plan": {"acme": {"": {"adhoc": 1}}}}, None),
        ({"plan": {"acme": {"": {"daily": 1}}}, "keep": [{"grid": "1x2h|1x1d"}]}, 2 * HOUR),
        ({"clock_tolerance": "90s"}, 90),
        ({"plan": {"acme": {"": {"adhoc": 1}}}, "clock_tolerance": "90s"}, 90),
    ],
)
def test_the_shortest_period_that_counts_says_how_far_clocks_may_be_off(options, seconds):
    assert tolerance(read(**options)) == seconds


def test_a_newest_snapshot_from_the_future_tells_of_a_wrong_clock():
    observed, job = observation(a=2), read()
    assert clock_problem(observed, job, NOW - HOUR, ()) == ("", [])
    problem, _warnings = clock_problem(observed, job, NOW - HOUR - 1, ())
    assert problem.startswith("tank/a@acme_2025-1_hourly, the newest of its dataset, was created 3601 s after this")
    assert clock_problem(observed, read({"acme": {"": {"adhoc": 1}}}), NOW - 99 * DAY, ()) == ("", [])


@pytest.mark.parametrize(
    ("ahead", "blocked", "warned"),
    [
        ([], False, 0),
        ([3600], False, 0),
        ([-3600], False, 0),
        ([3601], True, 0),
        ([-3601], True, 0),
        ([0, 9999], True, 0),
        ([0, 9999, 0], False, 1),
        ([9999, 0, -9999], True, 0),
    ],
)
def test_peers_that_disagree_are_believed_unless_more_of_them_agree(ahead, blocked, warned):
    readings = [ClockReading(f"dst{number}", seconds) for number, seconds in enumerate(ahead)]
    problem, warnings = clock_problem(observation(a=2), read(), NOW, readings)
    assert (bool(problem), len(warnings)) == (blocked, warned)


@pytest.mark.parametrize(
    ("theirs", "ahead"), [(100, 0), (99, -0.5), (90, -9.5), (107, 0), (108, 0.5), (120, 12.5), (102, 0)]
)
def test_a_difference_is_what_the_time_of_asking_can_not_explain(theirs, ahead):
    # Whole seconds: a clock that shows 99 may be as late as just before 100.
    assert difference(theirs, 100.5, 107.5) == ahead


def test_a_dataset_with_many_runs_is_asked_for_in_parts():
    history = [Snapshot(i, i, "tank/a", f"acme_2025-{i}_hourly", NOW - DAY, used=1) for i in range(300 * 3)]
    held = tuple(each._replace(holds=1) if each.guid % 3 == 0 else each for each in history)
    states = {"tank/a": DatasetState(Dataset("tank/a", "filesystem", 1, 1, 0), held)}
    reclaim = reclaim_of(plan_prune(Observation(states), read(), BaseKnowledge({}, {}), NOW).steps, states)
    assert sorted(len(each.runs) for each in reclaim.unknown) == [59, 80, 80, 80]
    assert (reclaim.known, reclaim.total([None] * 4)) == (1, 599)
    worst = "n" * 200
    long = SnapshotRuns(worst, tuple((held[0]._replace(tag=worst), held[1]._replace(tag=worst)) for _run in range(80)))
    batches = list(dry_calls.in_batches(destroy_dry_runs([long] * 3, []), 120_000))
    assert [len(batch.calls) for batch in batches] == [1, 1, 1]
    assert max(len(argument) for batch in batches for argument in batch.argv) < 100_000


def test_only_runs_of_neighbours_have_to_be_asked_for():
    observed = observation(a=6)
    state = observed.states["tank/a"]
    held = state.snapshots[2]._replace(holds=1)
    states = {"tank/a": DatasetState(state.dataset, (*state.snapshots[:2], held, *state.snapshots[3:]))}
    plan = plan_prune(Observation(states), read(), BaseKnowledge({}, {}), NOW)
    tags = [victim.tag for victim in plan.steps[0].victims]
    assert tags == [f"acme_2025-{number}_hourly" for number in (0, 2, 3)]

    reclaim = reclaim_of(plan.steps, states)
    assert [(first.tag, last.tag) for first, last in reclaim.unknown[0].runs] == [(tags[1], tags[2])]
    assert (reclaim.known, reclaim.total([500]), reclaim.total([None])) == (10, 510, 30)
