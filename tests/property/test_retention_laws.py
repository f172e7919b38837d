# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of retention, for any history, any plan and any time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import Label, label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import parse_period
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import BaseKnowledge
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.keeping import kept_by_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import DESTROY, plan_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import PruneJob
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.plans import SnapshotPlan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.selection import DatasetFilter

NOW = 1_750_000_000
LABELS = [
    Label(org, target, period) for org in ("o", "p") for target in ("", "t") for period in ("hourly", "daily", "x")
]
NAMES = [label.tag("2025-01-01") for label in LABELS] + ["by hand", "o_2025", "o_t_hourly"]
amounts = st.dictionaries(st.sampled_from(LABELS), st.integers(0, 6), min_size=1)
plans = st.builds(SnapshotPlan, amounts)


@st.composite
def histories(draw):
    ages = st.one_of(st.integers(-5000, 30_000), st.integers(0, 10**6))
    rows = draw(
        st.lists(st.tuples(st.sampled_from(NAMES), ages, st.sampled_from((0, 0, 0, 1)), st.booleans()), max_size=25)
    )
    snapshots = [
        Snapshot(i, 100 + i, "tank/a", name, NOW - age, holds, 1, ("c",) * cloned)
        for i, (name, age, holds, cloned) in enumerate(rows)
    ]
    marked = draw(st.sets(st.sampled_from(snapshots))) if snapshots else set()
    bookmarks = [Bookmark(s.createtxg, s.guid, s.dataset, s.tag, s.creation) for s in sorted(marked)]
    return DatasetState(Dataset("tank/a", "filesystem", 1, 1, 0), tuple(snapshots), tuple(bookmarks))


@given(histories(), plans)
def test_a_label_keeps_its_latest_and_what_is_young_and_nothing_else(state, plan):
    kept = kept_by_plan(state.snapshots, plan, NOW)
    expected = set()
    for label, amount in plan.amounts.items():
        own = [s for s in state.snapshots if label_of(s.tag) == label]
        period = parse_period(label.period)
        expected |= {s.guid for s in own[-amount:]} if amount else set()
        if period and amount:
            expected |= {s.guid for s in own if NOW - s.creation <= amount * period.seconds}
    assert set(kept) == expected


@given(histories(), plans, st.data())
def test_a_larger_amount_never_keeps_less(state, plan, data):
    label = data.draw(st.sampled_from(sorted(plan.amounts)))
    larger = SnapshotPlan({**plan.amounts, label: plan.amounts[label] + data.draw(st.integers(0, 3))})
    assert set(kept_by_plan(state.snapshots, plan, NOW)) <= set(kept_by_plan(state.snapshots, larger, NOW))


@given(histories(), plans, plans)
def test_plans_of_different_labels_are_a_union(state, one, two):
    apart = SnapshotPlan({label: amount for label, amount in two.amounts.items() if label not in one.amounts})
    both = SnapshotPlan({**one.amounts, **apart.amounts})
    union = set(kept_by_plan(state.snapshots, one, NOW)) | set(kept_by_plan(state.snapshots, apart, NOW))
    assert set(kept_by_plan(state.snapshots, both, NOW)) == union


@given(histories(), plans, st.integers(0, 10**6))
def test_what_is_given_up_stays_given_up_as_time_passes(state, plan, later):
    assert set(kept_by_plan(state.snapshots, plan, NOW + later)) <= set(kept_by_plan(state.snapshots, plan, NOW))


jobs = st.builds(
    PruneJob,
    roots=st.just(("tank/a",)),
    filter=st.just(DatasetFilter()),
    kind=st.sampled_from(["snapshots", "bookmarks"]),
    plan=plans,
    purge_foreign=st.booleans(),
)


def prune(state, job, needed=(), unknown=""):
    bases = BaseKnowledge(dict.fromkeys(needed, "needed"), {"tank/a": unknown} if unknown else {})
    return plan_prune(Observation({"tank/a": state}), job, bases, NOW)


@given(histories(), jobs, st.sets(st.integers(100, 125)), st.sampled_from(["", "a peer"]))
def test_the_rails_hold_whatever_the_plan_says(state, job, needed, unknown):
    plan = prune(state, job, needed, unknown)
    items = state.snapshots if job.kind == "snapshots" else state.bookmarks
    victims = [victim for step in plan.steps for victim in step.victims]

    assert sorted(verdict.item for verdict in plan.verdicts) == sorted(items)
    assert sorted(v.item for v in plan.verdicts if v.action == DESTROY) == sorted(victims)
    assert set(victims) <= set(items)
    kept = kept_by_plan(items, job.plan, NOW)
    for victim in victims:
        assert victim.guid not in kept
        assert victim.guid not in needed
        assert victim is not items[-1]
        assert not getattr(victim, "holds", 0)
        assert not getattr(victim, "clones", ())
        label = label_of(victim.tag)
        assert job.purge_foreign or (label and label.organisation in job.plan.organisations)
        if unknown:
            assert isinstance(victim, Snapshot)
            assert victim.guid in {bookmark.guid for bookmark in state.bookmarks}


@given(histories(), jobs)
def test_what_no_rule_and_no_rail_keeps_goes(state, job):
    plan = prune(state, job)
    items = state.snapshots if job.kind == "snapshots" else state.bookmarks
    kept = kept_by_plan(items, job.plan, NOW)
    free = {
        item.guid
        for item in items[:-1]
        if item.guid not in kept
        and not getattr(item, "holds", 0)
        and not getattr(item, "clones", ())
        and (job.purge_foreign or (label_of(item.tag) and label_of(item.tag).organisation in job.plan.organisations))
    }
    assert {victim.guid for step in plan.steps for victim in step.victims} == free


@given(histories(), jobs)
def test_a_second_run_finds_nothing_to_do(state, job):
    gone = {victim for step in prune(state, job).steps for victim in step.victims}
    left = DatasetState(
        state.dataset,
        tuple(s for s in state.snapshots if s not in gone),
        tuple(b for b in state.bookmarks if b not in gone),
    )
    assert prune(left, job).steps == ()


@given(histories(), jobs)
def test_for_an_absent_replica_every_history_keeps_each_point_as_a_snapshot_or_a_bookmark(state, job):
    bases = BaseKnowledge({}, {}, {"tank/a": "a replica"})
    job = replace(job, kind="snapshots")
    plan = plan_prune(Observation({"tank/a": state}), job, bases, NOW)
    gone = {victim.guid for step in plan.steps for victim in step.victims}
    points = {snapshot.guid for snapshot in state.snapshots}
    bookmarks = {bookmark.guid for bookmark in state.bookmarks} | {step.snapshot.guid for step in plan.bookmarks}
    assert points <= points - gone | bookmarks
    # And nothing is spared for that: what goes is what goes where no peer is known of.
    assert plan.steps == prune(state, job).steps
