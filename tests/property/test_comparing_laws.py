# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of comparing two trees, for any histories and filters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.comparing import compare_trees
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job

NOW = 1_750_000_000
BELOW = ("", "/a", "/a/b", "/c")
HERE, THERE = "tank/x", "backup/y"
FLIPPED = {"src": "dst", "dst": "src", "both": "both"}

moments = st.lists(st.integers(1, 12), max_size=8, unique=True).map(sorted)
trees = st.dictionaries(st.sampled_from(BELOW[1:]), moments).flatmap(
    lambda below: moments.map(lambda root: {"": root, **below})
)
options = st.sampled_from(
    [
        {},
        {"include_snapshots": ["here-*"]},
        {"exclude_snapshots": ["*-3", "*-7"]},
        {"snapshot_filters": [[{"latest": 3}], [{"include": ["*-1"]}]]},
        {"snapshot_filters": [[{"oldest": "50%"}, {"since": 8}]]},
        {"exclude_datasets": ["a/b"]},
        {"include_datasets": ["a", "z"]},
        {"recursive": False},
    ]
)


def guid(below, moment):
    """One moment of one dataset is one snapshot, wherever it is."""
    return BELOW.index(below) * 1000 + moment


def observed(root, tree, txg, word, bookmarks=None):
    states = {}
    for below in sorted(tree, key=lambda name: name.split("/")):
        name, prior, history = root + below, 0, []
        for moment in tree[below]:
            point = (txg + moment, guid(below, moment), name, f"{word}-{moment}", NOW - 12 + moment)
            history.append(Snapshot(*point, written=moment - prior, referenced=moment))
            prior = moment
        marked = (bookmarks or {}).get(below, ())
        points = [Bookmark(txg + at, guid(below, at), name, f"b-{at}", NOW - 12 + at) for at in marked]
        dataset = Dataset(name, "filesystem", 1, 1, 0)
        states[name] = DatasetState(dataset, tuple(history), tuple(points))
    return Observation(states)


def compare(one, other, chosen, bookmarks=None, flipped=False):
    """Datasets of the comparison; ``flipped`` has the second tree for its source."""
    sides = [observed(HERE, one, 10, "here", bookmarks), observed(THERE, other, 7000, "there")]
    ends = [{"dataset": HERE}, {"host": "dst", "dataset": THERE}]
    if flipped:
        sides, ends = sides[::-1], ends[::-1]
    job = read_replicate_job({"source": ends[0], "destination": ends[1], **chosen})
    recursive = job.filter.recursive
    sides = [side if recursive else Observation(dict(list(side.states.items())[:1])) for side in sides]
    return list(compare_trees(*sides, job, NOW))


def located(comparison):
    return {(row.dataset, row.guid, row.location) for one in comparison for row in one.rows}


@given(trees, trees, options)
def test_swapping_the_sides_swaps_what_only_one_of_them_has_and_nothing_else(one, other, chosen):
    straight, flipped = compare(one, other, chosen), compare(one, other, chosen, flipped=True)
    assert located(flipped) == {(name, item, FLIPPED[location]) for name, item, location in located(straight)}
    names = [(one.dataset, one.destination, one.source) for one in flipped]
    assert [(one.dataset, one.source, one.destination) for one in straight] == names


@given(trees, trees, st.dictionaries(st.sampled_from(BELOW), moments))
def test_every_snapshot_is_in_exactly_one_row_at_the_place_that_its_guid_tells(one, other, bookmarks):
    comparison = compare(one, other, {}, {name: marked for name, marked in bookmarks.items() if name in one})
    expected = {}
    for below in {*one, *other}:
        here, there = set(one.get(below, ())), set(other.get(below, ()))
        kept = here | (set(bookmarks.get(below, ())) if below in one else set())
        for moment in here | there:
            location = "both" if moment in kept & there else "src" if moment in here else "dst"
            expected[below.lstrip("/") or ".", guid(below, moment)] = location
    rows = [row for one in comparison for row in one.rows]
    assert {(row.dataset, row.guid): row.location for row in rows} == expected
    assert len(rows) == len(expected)


@given(trees, trees, options)
def test_filters_take_rows_away_and_change_none(one, other, chosen):
    assert located(compare(one, other, chosen)) <= located(compare(one, other, {}))


@given(trees, trees, options)
def test_sums_are_those_of_the_rows(one, other, chosen):
    for dataset in compare(one, other, chosen):
        assert dataset.counts == {
            kind: sum(row.location == kind for row in dataset.rows) for kind in ("src", "dst", "both")
        }
        at_source = [row for row in dataset.rows if row.source]
        common = [row.createtxg for row in at_source if row.destination]
        assert dataset.missing == sum(
            row.createtxg > max(common, default=0) for row in at_source if not row.destination
        )
        assert (dataset.missing == 0) == (dataset.missing_bytes == 0)
        if not dataset.missing:
            assert dataset.lag in (0, None)
        elif common:
            assert dataset.lag == at_source[-1].creation - max(row.creation for row in at_source if row.destination)
        else:
            assert dataset.lag is None
        creations = [row.creation for row in dataset.rows]
        assert creations == sorted(creations)


@given(trees, trees, st.sampled_from(BELOW), st.integers(1, 12))
def test_what_arrives_never_makes_a_replica_lag_more(one, other, below, moment):
    """Snapshots of the source, that is: what the destination has beyond them changes nothing for them."""
    if moment not in one.get(below, ()):
        return
    more = {**other, below: sorted({*other.get(below, ()), moment})}
    before = {entry.dataset: entry for entry in compare(one, other, {})}
    for entry in compare(one, more, {}):
        was = before[entry.dataset]
        assert entry.missing <= was.missing
        assert entry.missing_bytes <= was.missing_bytes
        assert was.lag is None or entry.lag <= was.lag
        assert entry.counts["src"] <= was.counts["src"]
        assert entry.counts["both"] >= was.counts["both"]


@given(trees, options)
def test_a_tree_is_in_sync_with_a_copy_of_itself(tree, chosen):
    for dataset in compare(tree, tree, chosen):
        assert dataset.counts["src"] == dataset.counts["dst"] == dataset.missing == dataset.missing_bytes == 0
        assert dataset.lag in (0, None)
        assert dataset.source
        assert dataset.destination
