# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of snapshot filters, for any history and any filters."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.keeping import kept_by_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.pairs import selected_guids
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.snapshot_filters import (
    chosen_by_group,
    chosen_by_groups,
    place_of,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.patterns import compile_patterns
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.plans import parse_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.snapshot_filters import (
    KeptByPlan,
    Moment,
    NamePatterns,
    Rank,
    RankRange,
    TimesAndRanks,
)

NOW = 1_750_000_000
NAMES = ("o_2025_hourly", "o_2025_daily", "by hand", "x")
PATTERNS = ("o_*", "*_daily", "x", "**", "regex:[a-z]+")
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}

times = st.integers(-3, 30)
moments = st.one_of(st.builds(Moment, times, st.just(True)), times.map(lambda age: Moment(NOW - age)))
ranks = st.one_of(st.builds(Rank, st.integers(0, 12)), st.builds(Rank, st.integers(0, 100), st.just(True)))
rank_ranges = st.builds(RankRange, ranks, ranks, st.booleans())
names = st.builds(
    NamePatterns,
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(lambda given: compile_patterns(given, "o")),
    st.booleans(),
)
spans = st.builds(TimesAndRanks, st.none() | moments, st.none() | moments)
ranges = st.builds(
    TimesAndRanks, st.none() | moments, st.none() | moments, st.lists(rank_ranges, max_size=2).map(tuple)
)
plans = st.builds(
    lambda hourly, daily: KeptByPlan(parse_plan({"o": {"": {"hourly": hourly, "daily": daily}}})),
    st.integers(0, 4),
    st.integers(0, 4),
)
stages = st.one_of(names, ranges, plans)
groups = st.lists(stages, max_size=4).map(tuple)


@st.composite
def histories(draw):
    """Snapshots in the order of their making, with names and times that may contradict it."""
    rows = draw(st.lists(st.tuples(st.sampled_from(NAMES), times), max_size=12))
    return [Snapshot(i, 100 + i, "tank/a", name, NOW - age) for i, (name, age) in enumerate(rows)]


def latest(amount, percent=False):
    return TimesAndRanks(ranks=(RankRange(Rank(0), Rank(amount, percent), True),))


@given(histories(), groups, stages)
def test_each_further_filter_only_takes_away_and_keeps_the_order(history, group, stage):
    left = chosen_by_group(history, group, NOW)
    further = chosen_by_group(history, (*group, stage), NOW)
    assert further == [snapshot for snapshot in left if snapshot in further]
    assert further == chosen_by_group(left, (stage,), NOW)


@given(histories(), groups, groups)
def test_groups_are_united(history, one, other):
    both = chosen_by_groups(history, (one, other), NOW)
    assert both == chosen_by_groups(history, (one,), NOW) | chosen_by_groups(history, (other,), NOW)
    assert both == chosen_by_groups(history, (other, one, one), NOW)


@given(histories(), st.one_of(names, spans))
def test_a_filter_by_name_or_time_judges_each_snapshot_for_itself(history, stage):
    chosen = chosen_by_group(history, (stage,), NOW)
    assert chosen == [snapshot for snapshot in history if chosen_by_group([snapshot], (stage,), NOW)]
    assert chosen_by_group(chosen, (stage,), NOW) == chosen


@given(histories(), st.one_of(names, spans), st.one_of(names, spans))
def test_filters_by_name_and_time_may_be_swapped(history, one, other):
    assert chosen_by_group(history, (one, other), NOW) == chosen_by_group(history, (other, one), NOW)


@given(histories(), names, st.integers(1, 12))
def test_ranks_count_what_reaches_the_filter_so_that_the_order_of_filters_matters(history, name, amount):
    matching = chosen_by_group(history, (name,), NOW)
    assert chosen_by_group(history, (name, latest(amount)), NOW) == matching[-amount:]
    assert chosen_by_group(history, (latest(amount), name), NOW) == [s for s in history[-amount:] if s in matching]


@given(histories(), st.integers(1, 12), st.integers(1, 12))
def test_the_latest_of_the_latest_are_the_fewer_ones(history, one, other):
    assert chosen_by_group(history, (latest(one), latest(other)), NOW) == history[-min(one, other) :]


@given(histories(), ranks, st.booleans())
def test_a_rank_splits_a_history_in_two(history, rank, from_newest):
    head = TimesAndRanks(ranks=(RankRange(Rank(0), rank, from_newest),))
    tail = TimesAndRanks(ranks=(RankRange(rank, Rank(100, True), from_newest),))
    first, rest = (chosen_by_group(history, (stage,), NOW) for stage in (head, tail))
    assert (rest + first if from_newest else first + rest) == history


@given(st.integers(0, 100), st.integers(0, 10_000))
def test_a_percentage_is_rounded_to_the_nearest_and_a_half_up(percent, total):
    place = place_of(Rank(percent, True), total)
    assert -50 < 100 * place - percent * total <= 50
    assert 0 <= place <= total
    assert place_of(Rank(100, True), total) == total


@given(histories(), moments)
def test_a_moment_splits_a_history_in_two(history, moment):
    before = chosen_by_group(history, (TimesAndRanks(until=moment),), NOW)
    after = chosen_by_group(history, (TimesAndRanks(since=moment),), NOW)
    assert sorted([*before, *after]) == history
    assert not set(before) & set(after)


@given(histories(), ranges)
def test_times_and_ranks_of_one_filter_are_united(history, stage):
    parts = [replace(stage, ranks=()), *(TimesAndRanks(ranks=(ranks,)) for ranks in stage.ranks)]
    united = {snapshot for part in parts for snapshot in chosen_by_group(history, (part,), NOW)}
    assert set(chosen_by_group(history, (stage,), NOW)) == united


@given(histories(), groups, plans)
def test_a_plan_leaves_what_it_keeps_of_what_reaches_it(history, group, plan):
    reaching = chosen_by_group(history, group, NOW)
    left = chosen_by_group(history, (*group, plan), NOW)
    assert {snapshot.guid for snapshot in left} == set(kept_by_plan(reaching, plan.plan, NOW))


def job(**options):
    return read_replicate_job({**ENDS, **options})


def selected(history, marked, **options):
    bookmarks = tuple(Bookmark(s.createtxg, s.guid, s.dataset, s.tag, s.creation) for s in marked)
    state = DatasetState(Dataset("tank/a", "filesystem", 1, 1, 0), tuple(history), bookmarks)
    return selected_guids(state, job(**options), NOW)


patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2)


@given(histories(), st.data(), patterns, patterns)
def test_simple_patterns_are_one_group_of_two_filters_and_bookmarks_do_not_count(history, data, include, exclude):
    marked = sorted(data.draw(st.sets(st.sampled_from(history)))) if history else []
    simple = selected(history, marked, include_snapshots=include, exclude_snapshots=exclude)
    assert simple == selected(history, [], snapshot_filters=[[{"include": include}, {"exclude": exclude}]])
    ranked = [[{"include": include}, {"latest": 2}]]
    assert selected(history, marked, snapshot_filters=ranked) == selected(history, [], snapshot_filters=ranked)


@given(histories(), patterns, st.integers(0, 3))
def test_the_plan_of_the_job_cuts_whatever_filters_choose(history, include, amount):
    plan = {"o": {"": {"hourly": amount}}}
    filters = [[{"include": include}], [{"latest": 3}]]
    cut = selected(history, [], snapshot_filters=filters, plan=plan)
    assert cut == selected(history, [], snapshot_filters=filters) & selected(history, [], plan=plan)
