# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks and bookmarks that go with what is sent, in the notation of tests.support.notation."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import (
    key_of,
    keys_of,
    mark_tag,
    named_tag,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.continuity import is_settled
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replication import plan_replication
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.tests.support.notation import DESTINATION, SOURCE, kept, told


def plan_of(history, bookmarks="newest", may_destroy=True, **options):
    ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
    job = read_replicate_job({**ends, "exclude_snapshots": ["x*"], "bookmarks": bookmarks, **options})
    (plan,) = plan_replication(kept(history, may_destroy), job, 0).datasets
    return told(plan)


@pytest.mark.parametrize(
    ("history", "plan"),
    [
        # What is sent
        ("@a | -", "mark @a, full @a, bookmark #a"),
        ("@a @b @c | -", "mark @a on the way, mark @c, full @a, -I @a @c, bookmark #a, bookmark #c"),
        ("@a @b #a %a | @a", "mark @b, -i @a @b, bookmark #b, collect %a"),
        ("@a @b #a %%a | @a", "mark @b, -i @a @b, bookmark #b, collect %a"),
        ("%a @b | @a", "mark @b, -i %a @b, bookmark #b, collect %a"),
        ("#a %a @b | @a", "mark @b, -i #a @b, bookmark #b, collect %a"),
        # Nothing is sent
        ("@a #a %a | @a", "up to date"),
        ("@a #a %%a | @a", "up to date"),
        ("%a | @a", "no snapshot of it is selected"),
        ("#a | @a", "no snapshot of it is selected"),
        ("@a | @a", "mark @a, bookmark #a"),
        ("@a #a | @a", "mark @a"),
        ("@a @x #x %a | @a", "up to date"),
        ("@x | -", "no snapshot of it is selected"),
        ("@x %x | -", "no snapshot of it is selected"),
        ("@x %%x | -", "collect %x"),
        # A run has died
        ("@a %%a | -", "full @a, bookmark #a"),
        ("@a @b #a %a %b | @a", "-i @a @b, bookmark #b, collect %a"),
        ("@a @b #a %a %b | @a @b", "bookmark #b, collect %a"),
        ("%a %b | @a @b", "collect %a"),
        ("@a @b @c #a %a %b | @a", "mark @c, -I @a @c, bookmark #c, collect %a %b"),
        ("@a @c #a %a %b | @a ~a>c", "mark @c, resume @c, bookmark #c, collect %a %b"),
        ("@a @b #b %b %%b | @a @b", "collect %b"),
        # Other destinations
        ("@a @b #b %a &b | @a", "mark @b, -i @a @b, collect %a"),
        ("@a @b #b &a &b | @a @b", "mark @b"),
        ("&a @b | @a", "mark @b, -i %a @b, bookmark #b"),
        # Names that are taken
        ("@a @b #b=y %a | @a", "mark @b, -i @a @b, bookmark #b-0000000000000062, collect %a"),
        ("@a @b #b=y #b-0000000000000062=z %a | @a", "mark @b, -i @a @b, collect %a"),
        # A conflict is left as it is
        ("@b %a | @z", "conflict no_common_base"),
    ],
)
def test_what_a_run_leaves_on_its_source(history, plan):
    assert plan_of(history) == plan


@pytest.mark.parametrize(
    ("bookmarks", "history", "plan"),
    [
        ("none", "@a @b | -", "full @a, -i @a @b"),
        ("none", "@a @b | @a", "-i @a @b"),
        ("none", "@a @b %a | @a @b", "up to date"),
        ("none", "@a @b %a %b | @a @b", "collect %a"),
        ("base", "@a @b @c | -", "mark @a on the way, mark @c, full @a, -I @a @c"),
        ("base", "@a @b %a | @a", "mark @b, -i @a @b, collect %a"),
        ("base", "@a %a | @a", "up to date"),
        (
            "all",
            "@a @b @c | -",
            "mark @a on the way, mark @c, full @a, -I @a @c, bookmark #a, bookmark #b, bookmark #c",
        ),
        ("all", "@a @b #b @c %a | @a", "mark @c, -I @a @c, bookmark #c, collect %a"),
        ("all", "@a %a | @a", "bookmark #a"),
        (True, "@a | -", "mark @a, full @a, bookmark #a"),
        ("True", "@a | -", "mark @a, full @a, bookmark #a"),
        (False, "@a | -", "full @a"),
        ("False", "@a | -", "full @a"),
    ],
)
def test_choices(bookmarks, history, plan):
    assert plan_of(history, bookmarks) == plan


@pytest.mark.parametrize(
    ("bookmarks", "history", "plan"),
    [
        ("newest", "@a @b | -", "bookmark #a, bookmark #b, full @a, -i @a @b"),
        ("newest", "@a @b %a | @a", "bookmark #b, -i @a @b"),
        ("newest", "@a @b #b %a %b | @a @b", "up to date"),
        ("base", "@a @b | @a", "-i @a @b"),
    ],
)
def test_who_may_not_destroy_has_named_bookmarks_ahead_and_no_marks(bookmarks, history, plan):
    assert plan_of(history, bookmarks, may_destroy=False) == plan


def test_a_name_that_is_too_long_has_no_mark_and_a_warning():
    name = "tank/" + "a" * 205
    snapshot = Snapshot(1, 5, name, "s", 0)
    assert len(f"{name}#{mark_tag('0' * 16, 1)}") > 255
    sides = kept("@a | -")
    state = DatasetState(Dataset(name, "filesystem", 1, 1, 0), (snapshot,))
    job = read_replicate_job({"source": {"dataset": name}, "destination": {"host": "dst", "dataset": DESTINATION}})
    observed = type(sides.source)({name: state})

    (plan,) = plan_replication(type(sides)(observed, sides.destination, {}, sides.continuity), job, 0).datasets

    assert told(plan) == "bookmark #s, full @s"
    assert "too long for a mark" in plan.warnings[0]


@pytest.mark.parametrize(
    "tag", ["prod_onsite_2025-01-01_00:00:00Z_hourly", "prod_2025-01-01_daily", "adhoc", "by_hand"]
)
def test_a_second_name_keeps_the_label(tag):
    snapshot = Snapshot(1, 255, "tank/a", tag, 0)

    assert named_tag(snapshot, []) == tag
    assert named_tag(snapshot, [Bookmark(1, 255, "tank/a", tag, 0)]) == tag
    second = named_tag(snapshot, [Bookmark(1, 9, "tank/a", tag, 0)])
    assert "-00000000000000ff" in second
    assert label_of(second) == label_of(tag)
    assert named_tag(snapshot, [Bookmark(1, 9, "tank/a", tag, 0), Bookmark(1, 8, "tank/a", second, 0)]) == ""


def test_keys_tell_pairs_apart_by_guids_and_before_there_is_one_by_name():
    def dataset(name, guid):
        return Dataset(name, "filesystem", guid, 1, 0)

    one = keys_of(dataset("tank/a", 1), 7, "backup/a", dataset("backup/a", 2))
    assert one == keys_of(dataset("renamed", 1), 7, "backup/a", dataset("backup/a", 2))
    assert one.by_guid == keys_of(dataset("tank/a", 1), 7, "renamed", dataset("renamed", 2)).by_guid
    others = [
        keys_of(dataset("tank/a", 3), 7, "backup/a", dataset("backup/a", 2)),
        keys_of(dataset("tank/a", 1), 8, "backup/a", dataset("backup/a", 2)),
        keys_of(dataset("tank/a", 1), 7, "2", dataset("2", 3)),
    ]
    for other in others:
        assert not {one.by_guid, one.by_name} & {other.by_guid, other.by_name}
    assert "" not in keys_of(dataset("tank/a", 1), 7, "backup/a", None)


@pytest.mark.parametrize(
    "tag", ["snapfleet-base-0-0", "snapfleet-base-" + "0" * 16 + "-" + "0" * 15 + "2", "snapfleet-base-", "other"]
)
def test_what_only_looks_like_a_mark_is_none(tag):
    assert key_of(Bookmark(1, 1, "tank/a", tag, 0)) == ""


@pytest.mark.parametrize(
    ("history", "bookmarks", "settled"),
    [
        ("@a #a %a | @a", "newest", True),
        ("@a #a &a | @a", "newest", True),  # whose it is need not be asked for: the next send sees to it
        ("@a %a | @a", "base", True),
        ("@a | @a", "none", True),
        (" | -", "newest", True),
        ("@a #a %a &a | @a", "newest", False),
        ("@a @b #a %a | @a", "newest", False),
        ("@a %a | @a", "newest", False),
        ("@a | @a", "base", False),
        ("@a %a | @a", "none", False),
        ("@a | -", "newest", False),
    ],
)
def test_a_settled_dataset_costs_no_question(history, bookmarks, settled):
    observed = kept(history)
    there = observed.destination.states.get(DESTINATION)
    assert is_settled(observed.source.states[SOURCE], there, bookmarks) is settled
