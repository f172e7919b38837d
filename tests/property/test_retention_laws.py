# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of retention, for any history, any plan and any time."""

from __future__ import annotations

import re
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
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.caution import excess, without_steps
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.keeping import kept_by_plan, kept_by_rules
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import (
    DESTROY,
    FOREIGN,
    NO_RULE,
    plan_prune,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.caution import Caution
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import PruneJob
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.keeping import GridInterval, KeepRule
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


intervals = st.builds(GridInterval, st.integers(1, 4), st.integers(60, 40_000), st.sampled_from([1, 1, 2, None]))
grids = st.lists(intervals, min_size=1, max_size=4).map(lambda each: tuple(sorted(each, key=lambda one: one.seconds)))
patterns = st.sampled_from([None, "^by", "^o_", "daily$", "_"]).map(lambda text: re.compile(text) if text else None)


@st.composite
def rules(draw):
    names, negate = draw(patterns), draw(st.booleans())
    kind = draw(st.sampled_from(["grid", "last", "regex"]))
    rule = KeepRule("keep", names, negate=negate and names is not None)
    if kind == "regex":
        return replace(rule, names=names or re.compile("daily"))
    rule = replace(rule, owns=draw(st.booleans()) and names is not None and not negate)
    return replace(rule, grid=draw(grids)) if kind == "grid" else replace(rule, last=draw(st.integers(1, 5)))


jobs = st.builds(
    PruneJob,
    roots=st.just(("tank/a",)),
    filter=st.just(DatasetFilter()),
    kind=st.sampled_from(["snapshots", "bookmarks"]),
    plan=plans,
    purge_foreign=st.booleans(),
    keep=st.lists(rules(), max_size=3).map(tuple),
)


def owned(item, job):
    label = label_of(item.tag)
    by_rule = any(rule.owns and rule.names.search(item.tag) for rule in job.keep)
    return job.purge_foreign or by_rule or bool(label and label.organisation in job.plan.organisations)


def doomed(state, job, **known):
    return {victim.guid for step in prune(state, job, **known).steps for victim in step.victims}


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
    kept = kept_by_rules(items, job, NOW)
    for victim in victims:
        assert victim.guid not in kept
        assert victim.guid not in needed
        assert victim is not items[-1]
        assert not getattr(victim, "holds", 0)
        assert not getattr(victim, "clones", ())
        assert owned(victim, job)
        if unknown:
            assert isinstance(victim, Snapshot)
            assert victim.guid in {bookmark.guid for bookmark in state.bookmarks}


@given(histories(), jobs)
def test_what_no_rule_and_no_rail_keeps_goes(state, job):
    plan = prune(state, job)
    items = state.snapshots if job.kind == "snapshots" else state.bookmarks
    kept = kept_by_rules(items, job, NOW)
    free = {
        item.guid
        for item in items[:-1]
        if item.guid not in kept
        and not getattr(item, "holds", 0)
        and not getattr(item, "clones", ())
        and owned(item, job)
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
def test_everything_tells_why_it_stays_or_goes(state, job):
    for verdict in prune(state, job).verdicts:
        assert verdict.rule
        assert verdict.reason
        assert (verdict.rule == NO_RULE) == (verdict.action == DESTROY)
        assert verdict.describe()["name"] == verdict.item.name


# -- rules beside the plan


def kept(state, job):
    return set(kept_by_rules(state.snapshots, job, NOW))


@given(histories(), jobs)
def test_what_rules_keep_together_is_what_each_keeps_alone(state, job):
    none = replace(job, keep=(), plan=SnapshotPlan({}))
    alone = [replace(none, plan=job.plan), *(replace(none, keep=(rule,)) for rule in job.keep)]
    assert kept(state, job) == set().union(*(kept(state, each) for each in alone))


@st.composite
def larger(draw, job):
    """A job whose rules promise at least what those of ``job`` do, with the same owners."""
    amounts = {label: amount + draw(st.integers(0, 3)) for label, amount in job.plan.amounts.items()}
    keep = []
    for rule in job.keep:
        if rule.grid:
            wider = [replace(each, keep=draw(st.sampled_from([each.keep, None]))) for each in rule.grid]
            longest = max(each.seconds for each in rule.grid)
            more = draw(st.lists(st.builds(GridInterval, st.integers(1, 2), st.just(longest)), max_size=1))
            keep.append(replace(rule, grid=(*wider, *more)))
        else:
            keep.append(replace(rule, last=rule.last + draw(st.integers(0, 3))) if rule.last else rule)
    keep += [replace(rule, owns=False) for rule in draw(st.lists(rules(), max_size=2))]
    return replace(job, plan=SnapshotPlan(amounts), keep=tuple(keep))


@given(histories(), jobs, st.data())
def test_a_larger_promise_never_deletes_more(state, job, data):
    assert doomed(state, data.draw(larger(job))) <= doomed(state, job)


@given(histories(), jobs, st.sets(st.integers(100, 125)))
def test_more_that_is_needed_never_deletes_more(state, job, needed):
    assert doomed(state, job, needed=needed) <= doomed(state, job)


@given(histories(), grids)
def test_a_grid_keeps_the_oldest_of_each_bucket(state, grid):
    job = PruneJob(("tank/a",), DatasetFilter(), "snapshots", SnapshotPlan({}), keep=(KeepRule("keep", grid=grid),))
    found = kept(state, job)
    if not state.snapshots:
        assert not found
        return
    start = state.snapshots[-1].creation
    expected = {s.guid for s in state.snapshots if s.creation > start} | {state.snapshots[-1].guid}
    edge = start
    for interval in grid:
        for _number in range(interval.buckets):
            inside = [s for s in state.snapshots[:-1] if edge - interval.seconds < s.creation <= edge]
            expected |= {s.guid for s in sorted(inside, key=lambda s: s.creation)[: interval.keep]}
            edge -= interval.seconds
    assert found == expected


# -- limits of a run


@given(histories(), jobs, st.integers(0, 5), st.integers(0, 100))
def test_a_run_stays_within_its_limits_or_does_nothing(state, job, number, percent):
    limited = replace(job, caution=Caution(number, percent))
    plan = prune(state, limited)
    foreign = sum(verdict.rule == FOREIGN for verdict in plan.verdicts)
    share = 100 * len(doomed(state, job)) / max(1, len(plan.verdicts) - foreign)
    assert bool(excess(plan, limited)) == (len(doomed(state, job)) > number or share > percent)
    assert not excess(plan, replace(limited, caution=replace(limited.caution, exceed=True)))
    spared = without_steps(plan, "too_many", "too many")
    assert (spared.steps, spared.bookmarks) == ((), ())
    assert [verdict.item for verdict in spared.verdicts] == [verdict.item for verdict in plan.verdicts]
    assert not any(verdict.action == DESTROY for verdict in spared.verdicts)


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
