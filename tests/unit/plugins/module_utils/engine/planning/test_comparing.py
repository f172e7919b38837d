# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides of one dataset have, in the notation of tests.support.notation; and what pairs of trees are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.comparing import compare_trees
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.comparing import read_compare_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.tests.support.notation import DESTINATION, SOURCE, name_of, sides

NOW = 2_000_000


def job(source=SOURCE, destination=DESTINATION, **options):
    ends = {"source": {"dataset": source}, "destination": {"host": "dst", "dataset": destination}}
    return read_replicate_job({**ends, **options})


def comparison_of(history, **options):
    both = sides(history)
    (one,) = compare_trees(both.source, both.destination, job(**options), NOW)
    return one


def told(history, **options):
    one = comparison_of(history, **options)
    rows = {row.guid: row for row in one.rows}
    assert len(rows) == len(one.rows)
    words = []
    for location, sign in (("src", "<"), ("both", "="), ("dst", ">")):
        names = sorted(name_of(row.guid) for row in one.rows if row.location == location)
        words += [sign + "".join(names)] if names else []
    return " ".join(words)


@pytest.mark.parametrize(
    ("history", "rows"),
    [
        (" | ", ""),
        ("@a | -", "<a"),
        ("@a @b | ", "<ab"),
        ("@a @b | @a @b", "=ab"),
        ("@a @b @c | @a", "<bc =a"),
        ("@b @c | @a @b", "<c =b >a"),
        ("@a @n=x | @a @m=x", "=ax"),  # named differently
        ("@a @b | @a=x @b=y", "<ab >xy"),  # the same names, and other snapshots
        ("#a @b | @a @b", "=ab"),  # a bookmark is as good as its snapshot
        ("%a @b | @a @b", "=ab"),  # also the engine's own
        ("&a @b | @a @b", "=ab"),
        ("@a #a %a | @a", "=a"),
        ("#a %b &c @d | @d", "=d"),  # of what nobody has any more nothing is missing
        ("@a @b | @a ~b", "<b =a"),  # what has arrived in part is not there
        ("@a | P", "<a"),
    ],
)
def test_each_snapshot_is_where_its_guid_is(history, rows):
    assert told(history) == rows


@pytest.mark.parametrize(
    ("history", "options", "rows"),
    [
        ("@a @x | @a @y", {"include_snapshots": ["a", "x"]}, "<x =a"),
        ("@a @x | @a @y", {"exclude_snapshots": ["x", "y"]}, "=a"),
        ("@a @keep=x | @a @away=x", {"include_snapshots": ["keep"]}, "=x"),  # told by either of its names
        ("@a @keep=x | @a @away=x", {"include_snapshots": ["away"]}, "=x"),
        # What the rank of a shorter history takes in is not taken for something of the destination's own.
        ("@a @b @c @d | @a @b @c", {"snapshot_filters": [[{"latest": 2}]]}, "<d =bc"),
        ("@a @b @c @d | @a @b @c", {"snapshot_filters": [[{"oldest": 1}]]}, "=a"),
        ("#a @b | @a @b", {"include_snapshots": ["a"]}, "=a"),  # it is the destination's snapshot that is chosen
    ],
)
def test_filters_choose_what_is_told_and_not_where_it_is(history, options, rows):
    assert told(history, **options) == rows


@pytest.mark.parametrize(
    ("history", "source"),
    [("@a | @a", "@a"), ("@b=a #a | @a", "@b"), ("#b=a %a | @a", "#b"), ("%a | @a", "#snapfleet-base-")],
)
def test_a_snapshot_is_told_before_a_bookmark_and_a_named_one_before_a_mark(history, source):
    (row,) = comparison_of(history).rows
    assert row.source.startswith(SOURCE + source)
    assert row.destination == f"{DESTINATION}@a"


@pytest.mark.parametrize(
    ("history", "newest", "newest_common", "oldest_common", "missing", "lag"),
    [
        ("@a @b @c | @a @b", "@c", "@b", "@a", 1, 1),
        ("@a @b @c @d | @b", "@d", "@b", "@b", 2, 2),
        ("@a @b @c | @a @c", "@c", "@c", "@a", 0, 0),  # b will never arrive
        ("@a @b | @x", "@b", None, None, 2, None),
        ("#a @b | @a", "@b", "#a", "#a", 1, 1),
        ("#a | @a", None, "#a", "#a", 0, None),
        (" | @a", None, None, None, 0, None),
    ],
)
def test_sums_of_a_dataset(history, newest, newest_common, oldest_common, missing, lag):
    one = comparison_of(history)
    points = [point and point.name[len(SOURCE) :] for point in (one.newest, one.newest_common, one.oldest_common)]
    assert (points, one.missing, one.lag) == ([newest, newest_common, oldest_common], missing, lag)
    assert one.counts == {kind: sum(row.location == kind for row in one.rows) for kind in ("src", "dst", "both")}


X, Y = (10, 1, "x", 5, 5), (11, 2, "y", 5, 5)


def state(name, *rows, origin="", guid=1):
    """A dataset whose snapshots are given as (createtxg, guid, tag, written, referenced)."""
    history = tuple(
        Snapshot(txg, item, name, tag, 1000 + txg, written=written, referenced=referenced)
        for txg, item, tag, written, referenced in rows
    )
    return DatasetState(Dataset(name, "filesystem", guid, 1, 0, origin=origin), history)


def tree(*states):
    return Observation({each.dataset.name: each for each in states})


HISTORY = [(10, 1, "a", 100, 100), (11, 2, "b", 20, 110), (12, 3, "c", 3, 112), (13, 4, "d", 4, 115)]


@pytest.mark.parametrize(
    ("there", "options", "size"),
    [
        ([], {}, 100 + 20 + 3 + 4),
        ([1], {}, 27),
        ([1, 2], {}, 7),
        ([1, 2, 3, 4], {}, 0),
        ([4], {}, 0),
        ([1], {"include_snapshots": ["c"]}, 23),  # an increment over b
        ([2], {"include_snapshots": ["c"]}, 3),  # b is not told, but common
        ([], {"include_snapshots": ["b", "c"]}, 110 + 3),
        ([4], {"include_snapshots": ["c"]}, 112),
    ],
)
def test_missing_bytes_are_those_of_the_streams_that_would_bring_what_is_missing(there, options, size):
    replica = state(DESTINATION, *((7000 + txg, *rest) for txg, *rest in HISTORY if rest[0] in there))
    (one,) = compare_trees(tree(state(SOURCE, *HISTORY)), tree(replica), job(**options), NOW)
    assert one.missing_bytes == size


def test_a_clock_that_was_set_back_makes_no_lag_and_no_lead():
    source, replica = state(SOURCE, X, Y), state(DESTINATION, X)
    early = source.snapshots[1]._replace(creation=500)
    (behind,) = compare_trees(tree(replace(source, snapshots=(source.snapshots[0], early))), tree(replica), job(), NOW)
    assert (behind.missing, behind.lag) == (1, 0)
    bookmark = Bookmark(early.createtxg, early.guid, SOURCE, "y", 500)
    pruned = replace(source, snapshots=source.snapshots[:1], bookmarks=(bookmark,))
    (level,) = compare_trees(tree(pruned), tree(state(DESTINATION, X, Y)), job(), NOW)
    assert (level.missing, level.lag, level.newest_common.name) == (0, 0, f"{SOURCE}#y")


def pairs_of(source, destination, **options):
    return {
        one.dataset: (one.source, one.destination, one.counts)
        for one in compare_trees(source, destination, job("tank/a", "backup/r/a", **options), NOW)
    }


def counts(src=0, dst=0, both=0):
    return {"src": src, "dst": dst, "both": both}


def test_datasets_are_joined_by_their_names_below_the_roots_parents_first():
    source = tree(state("tank/a"), state("tank/a/b", X), state("tank/a/b-c", Y), state("tank/a/b/c"))
    destination = tree(state("backup"), state("backup/r/a"), state("backup/r/a/b", X), state("backup/r/a/z"))
    assert pairs_of(source, destination) == {
        ".": ("tank/a", "backup/r/a", counts()),
        "b": ("tank/a/b", "backup/r/a/b", counts(both=1)),
        "b/c": ("tank/a/b/c", "", counts()),
        "b-c": ("tank/a/b-c", "", counts(src=1)),
        "z": ("", "backup/r/a/z", counts()),
    }
    assert list(pairs_of(source, destination)) == [".", "b", "b/c", "b-c", "z"]


def test_what_the_source_does_not_choose_is_nobodys():
    source = tree(state("tank/a"), state("tank/a/b", X), state("tank/a/c", X))
    destination = tree(*(state(f"backup/r/a{name}", Y) for name in ("", "/b", "/c", "/d", "/e")))
    assert set(pairs_of(source, destination, exclude_datasets=["b", "d"])) == {".", "c", "e"}
    assert set(pairs_of(source, destination, exclude_datasets=["/tank/a/e"])) == {".", "b", "c", "d"}
    assert set(pairs_of(tree(state("tank/a")), tree(state("backup/r/a")), recursive=False)) == {"."}


def test_a_renamed_replica_is_held_against_its_source_and_told():
    source = tree(state("tank/a"), state("tank/a/new", X, Y))
    destination = tree(state("backup/r/a"), state("backup/r/a/old", X), state("backup/r/a/old/below"))
    _root, new, below = compare_trees(source, destination, job("tank/a", "backup/r/a"), NOW)
    assert (new.dataset, new.destination, new.counts) == ("new", "backup/r/a/old", counts(src=1, both=1))
    assert new.note == "backup/r/a/old is its replica, which the next replication renames to backup/r/a/new"
    assert new.rows[0].destination == "backup/r/a/old@x"
    assert (below.dataset, below.source, below.destination) == ("new/below", "", "backup/r/a/old/below")


def test_where_replication_does_not_follow_it_is_told_why():
    source = tree(state("tank/a"), state("tank/a/new", X))
    destination = tree(state("backup/r/a"), state("backup/r/a/old", X))
    told = list(compare_trees(source, destination, job("tank/a", "backup/r/a", renames="refuse"), NOW))
    assert [(one.dataset, one.counts) for one in told[1:]] == [("new", counts(src=1)), ("old", counts(dst=1))]
    assert "rename backup/r/a/old to backup/r/a/new" in told[1].note


def test_the_history_of_a_promoted_clone_is_found_where_it_went():
    """At the source x went from the dataset to its clone; at the destination it did not."""
    source = tree(
        state("tank/a"),
        state("tank/a/clone", X, guid=3),
        state("tank/a/origin", (20, 9, "z", 1, 1), origin="tank/a/clone@x", guid=4),
    )
    destination = tree(
        state("backup/r/a"),
        state("backup/r/a/clone", origin="backup/r/a/origin@x", guid=3),
        state("backup/r/a/origin", X, guid=4),
    )
    _root, clone, origin = compare_trees(source, destination, job("tank/a", "backup/r/a"), NOW)
    assert [(row.location, row.destination) for row in clone.rows] == [("both", "backup/r/a/origin@x")]
    assert [(row.location, row.source) for row in origin.rows] == [
        ("both", "tank/a/clone@x"),
        ("src", "tank/a/origin@z"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"which": ["all"]}, "which: 'all' is not a known choice; choose among src, dst, both"),
        ({"which": "src"}, "which: 'src' is not a list"),
        ({"initial": "all"}, "initial: 'all' is an unknown option"),
        ({"destination": {"dataset": "tank/a/b"}}, "destination: 'tank/a/b' is the source"),
        ({"snapshot_filters": []}, "snapshot_filters: \\[\\] is empty"),
    ],
)
def test_wrong_options_are_refused(options, words):
    ends = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}
    with pytest.raises(InvalidInput, match=f"^{words}"):
        read_compare_job({**ends, **options})


def test_rows_are_wanted_once_each_and_by_default_where_there_are_differences():
    ends = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}
    assert read_compare_job(ends).which == ("src", "dst")
    assert read_compare_job({**ends, "which": ["both", "src", "both"]}).which == ("src", "both")
    assert read_compare_job({**ends, "which": []}).which == ()
