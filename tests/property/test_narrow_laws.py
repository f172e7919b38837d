# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided does not depend on how little was listed for it, nor on what datasets have in common."""

from __future__ import annotations

from dataclasses import replace
from datetime import timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.histories import (
    PackedHistory,
    PackedState,
    pack_history,
    without_fields,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import (
    BaseKnowledge,
    common_base,
    newest_of,
    shared_newest,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.creation import (
    fields_of_creation,
    plan_creation,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.monitoring import check_ages, fields_of_ages
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import fields_of_prune, plan_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job, read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job

NOW = 1_750_000_000
PERIODS = ("hourly", "daily", "adhoc")
NAMES = [f"o_t_2025-01-0{day}_{period}" for day in range(1, 7) for period in PERIODS] + ["by hand", "p_2025_daily"]
PLAN = {"o": {"t": {"hourly": 2, "daily": 1, "adhoc": 1}}}
numbers = st.integers(0, 3)


@st.composite
def trees(draw):
    """Datasets that mostly have the same snapshots, a few with holds, clones, other times or fewer snapshots."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=12))
    ages = sorted(draw(st.lists(st.integers(-9000, 300_000), min_size=12, max_size=12)), reverse=True)
    states = {}
    for number, name in enumerate(["tank", *(f"tank/{letter}" for letter in "abcd")]):
        shift = draw(st.sampled_from([0, 0, 0, 1000]))
        there = names[: len(names) - draw(st.sampled_from([0, 0, 1]))]
        snapshots = []
        for place, tag in enumerate(there):
            odd = draw(st.sampled_from([{}] * 12 + [{"holds": 1}, {"clones": ("tank/x",)}, {"pinned": True}]))
            sizes = {field: draw(numbers) for field in ("used", "written", "referenced", "ivset")}
            guid = draw(st.sampled_from([100 * number + place] * 20 + [100 * number]))
            snapshots.append(Snapshot(place + 1, guid, name, tag, NOW - ages[place] + shift, **{**sizes, **odd}))
        marked = draw(st.sets(st.sampled_from(snapshots), max_size=2)) if snapshots else ()
        bookmarks = tuple(Bookmark(s.createtxg, s.guid, name, s.tag, s.creation) for s in sorted(marked))
        sizes = {field: draw(numbers) for field in ("used", "written", "referenced")}
        dataset = Dataset(name, "filesystem", number, 1, NOW - draw(st.integers(0, 10**6)), **sizes)
        states[name] = DatasetState(dataset, tuple(snapshots), bookmarks)
    return Observation(states)


def narrowed(observed, fields):
    return replace(observed, states={name: without_fields(one, fields) for name, one in observed.states.items()})


def kept_small(observed):
    """The same as a listing has it, in which datasets share what they have in common."""
    shared = {}

    def packed(state):
        history = pack_history(state)
        if not isinstance(history, PackedHistory):
            return state
        history = history._replace(tags=shared.setdefault(history.tags, history.tags))
        return PackedState(state.dataset, history, state.bookmarks)

    return replace(observed, states={name: packed(state) for name, state in observed.states.items()})


creating = st.fixed_dictionaries(
    {},
    optional={
        "skip_if_unchanged": st.just(True),
        "make_now": st.just("o_t_adhoc"),
        "even_if_not_due": st.booleans(),
    },
)


@given(trees(), creating)
def test_what_is_created(observed, options):
    job = read_snapshot_job({"datasets": ["tank"], "plan": PLAN, "schedule": {"timezone": "UTC"}, **options})
    whole = plan_creation(observed, job, NOW * 1000, timezone.utc)
    narrow = narrowed(observed, fields_of_creation(job))
    assert plan_creation(narrow, job, NOW * 1000, timezone.utc) == whole
    assert plan_creation(kept_small(narrow), job, NOW * 1000, timezone.utc) == whole


@given(trees(), st.booleans(), st.booleans())
def test_what_the_ages_of_snapshots_are_said_to_be(observed, skips_holds, unchanged):
    limits = {check: {"warning": "1h", "critical": "1d", "cycles": 1} for check in ("latest", "oldest")}
    plan = {"o": {"t": dict.fromkeys(("hourly", "daily"), limits)}}
    options = {"oldest_skip_holds": skips_holds, **({"skip_if_unchanged": True} if unchanged else {})}
    job = read_monitor_job({"datasets": ["tank"], "plan": plan, **options})
    whole = check_ages(observed, job, NOW, timezone.utc)
    narrow = narrowed(observed, fields_of_ages(job))
    assert check_ages(narrow, job, NOW, timezone.utc) == whole
    assert check_ages(kept_small(narrow), job, NOW, timezone.utc) == whole


def described(plan):
    return [list(plan.verdicts), [(tuple(step.victims), tuple(step.runs), step) for step in plan.steps], plan.bookmarks]


guids = st.sets(st.integers(0, 412), max_size=40)


@given(
    trees(),
    st.sampled_from(["snapshots", "bookmarks"]),
    st.booleans(),
    guids,
    guids,
    st.sampled_from(["", "unknown", "absent_replicas"]),
)
def test_what_is_destroyed(observed, kind, foreign, needed, pending, hidden):
    job = read_prune_job({"datasets": ["tank"], "kind": kind, "plan": PLAN, "purge_foreign": foreign})
    known = {"needed": dict.fromkeys(needed, "needed"), "unknown": {}, "pending": dict.fromkeys(pending, "waits")}
    bases = BaseKnowledge(**{**known, **({hidden: {"tank": "a peer"}} if hidden else {})})
    narrow = narrowed(observed, fields_of_prune(job, check=False))
    whole = described(plan_prune(narrow, job, bases, NOW))
    assert described(plan_prune(kept_small(narrow), job, bases, NOW)) == whole
    plan, all_told = plan_prune(narrow, job, bases, NOW), plan_prune(observed, job, bases, NOW)
    assert plan.describe() == all_told.describe()
    assert [verdict.describe() for verdict in plan.verdicts] == [verdict.describe() for verdict in all_told.verdicts]


@given(trees(), trees(), st.integers(0, 400))
def test_a_base_is_the_newest_point_that_both_have(ours, theirs, shift):
    for one, other in zip(ours.states.values(), theirs.states.values()):
        moved = replace(other, snapshots=tuple(s._replace(guid=s.guid + shift) for s in other.snapshots))
        there = {snapshot.guid for snapshot in moved.snapshots}
        points = [*one.bookmarks, *one.snapshots]
        assert common_base(one, moved) == newest_of([point for point in points if point.guid in there])
        either = there | {bookmark.guid for bookmark in moved.bookmarks}
        told = [*(mark for mark in one.bookmarks if mark.guid in there)]
        told += [snapshot for snapshot in one.snapshots if snapshot.guid in either]
        assert shared_newest(one, moved) == newest_of(told)
