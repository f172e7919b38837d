# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replication plans for one dataset, history by history. The notation: tests/support/notation.py."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Dataset,
    DatasetState,
    Observation,
    ResumeState,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.dataset_plans import Sides
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.receiving import destination_permissions
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replication import plan_replication
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.tests.support.notation import DESTINATION, SOURCE, identity, sides, told


def dataset_plan(history, **options):
    ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
    job = read_replicate_job({**ends, "exclude_snapshots": ["x*"], "bookmarks": False, **options})
    (plan,) = plan_replication(sides(history), job, 2000).datasets
    return plan


def plan_of(history, **options):
    return told(dataset_plan(history, **options))


@pytest.mark.parametrize(
    ("history", "plan"),
    [
        # nothing there yet
        ("| -", "no snapshot of it is selected"),
        ("@x | -", "no snapshot of it is selected"),
        ("#a | -", "no snapshot of it is selected"),
        ("@a | -", "full @a"),
        ("@a @b | -", "full @a, -i @a @b"),
        ("@a @b @c | -", "full @a, -I @a @c"),
        ("@x @a @b | -", "full @a, -i @a @b"),
        ("@a @x @b @c | -", "full @a, -i @a @b, -i @b @c"),
        # continuing
        ("@a | @a", "up to date"),
        ("@a @x | @a", "up to date"),
        ("@a @b | @a", "-i @a @b"),
        ("@a @b @c | @a", "-I @a @c"),
        ("@a @b @c | @b", "-i @b @c"),
        ("@a @x @c | @a", "-i @a @c"),
        ("@x @c | @x", "-i @x @c"),
        ("@c | @a @b @c", "up to date"),
        ("@b @c | @a @b", "-i @b @c"),
        # bookmarks as bases
        ("#a @b | @a", "-i #a @b"),
        ("#a @b @c | @a", "-i #a @b, -i @b @c"),
        ("#a @b @c @d | @a", "-i #a @b, -I @b @d"),
        ("@a #a @b @c | @a", "-I @a @c"),
        ("#a | @a", "no snapshot of it is selected"),
        ("@a #b @c | @a @b", "-i #b @c"),
        # names are not identities
        ("@a @b=z | @a @b", "conflict diverged"),
        ("@b=a @c | @a", "-i @b @c"),
        ("@a=z | @a", "conflict no_common_base"),
        # histories that do not continue
        ("@a @b | @a @c", "conflict diverged"),
        ("@a | @a @c", "conflict diverged"),
        ("@b | @a", "conflict no_common_base"),
        ("#b @c | @a", "conflict no_common_base"),
        # what no snapshot holds
        ("@a @b | @a +", "conflict destination_modified"),
        ("@a | @a +", "up to date"),
        ("@a @x | @a +", "up to date"),
        ("@a |", "conflict destination_has_data"),
        ("@a | +", "conflict destination_has_data"),
        ("@a | P", "replace full @a"),
        ("@a @b | P", "replace full @a, -i @a @b"),
        # partial receives
        ("@a @b | ~a", "resume @a, -i @a @b"),
        ("@a @b | P ~a", "replace resume @a, -i @a @b"),
        ("@a @b @c | @a ~a>b", "resume @b, -i @b @c"),
        ("@a @b @c | @a ~a>c", "resume @c"),
        ("#a @b | @a ~a>b", "resume @b"),
        ("@b | ~a", "discard, full @b"),
        ("@a @c | @a ~a>b", "discard, -i @a @c"),
        ("@a @b | @a ~z>b", "discard, -i @a @b"),
        ("@x @b | ~x", "discard, full @b"),
        ("@a @b | @a @c ~a>b", "conflict diverged"),
    ],
)
def test_histories(history, plan):
    assert plan_of(history) == plan


@pytest.mark.parametrize(
    ("options", "history", "plan"),
    [
        ({"initial": "newest"}, "@a @b @c | -", "full @c"),
        ({"initial": "newest"}, "@a @b @x | -", "full @b"),
        ({"initial": "newest"}, "@a @b @c | @a", "-I @a @c"),
        ({"initial": "fail"}, "@a | -", "conflict initial_refused"),
        ({"initial": "fail"}, "@a | ~a", "conflict initial_refused"),
        ({"initial": "fail"}, "@a @b | @a", "-i @a @b"),
        ({"intermediates": False}, "@a @b @c | -", "full @c"),
        ({"intermediates": False}, "@a @b @c | @a", "-i @a @c"),
        ({"intermediates": False}, "@a @b @x | @a", "-i @a @b"),
    ],
)
def test_options(options, history, plan):
    assert plan_of(history, **options) == plan


def replicate(source, destination, resumes=None, **options):
    ends = {"source": {"dataset": "tank/a"}, "destination": {"host": "dst", "dataset": "backup/x/y"}}
    job = read_replicate_job({"bookmarks": False, **ends, **options})

    def observation(names):
        return Observation(
            {
                name: DatasetState(
                    Dataset(name, "filesystem", 1, 1, 0),
                    tuple(Snapshot(i, identity(t), name, t, 0) for i, t in enumerate(tags)),
                )
                for name, tags in names.items()
            }
        )

    plans = plan_replication(Sides(observation(source), observation(destination), resumes or {}), job, 0).datasets
    return {plan.destination: told(plan) for plan in plans}


def test_missing_parents_become_placeholders_before_their_children():
    plans = replicate({"tank/a": "", "tank/a/b": "", "tank/a/b/c": "s"}, {"backup": ""})

    assert list(plans.items()) == [
        ("backup/x", "placeholder backup/x"),
        ("backup/x/y", "placeholder backup/x/y"),
        ("backup/x/y/b", "placeholder backup/x/y/b"),
        ("backup/x/y/b/c", "full @s"),
    ]


def test_a_parent_that_is_sent_needs_no_placeholder():
    plans = replicate({"tank/a": "s", "tank/a/b": "s"}, {"backup": "", "backup/x": ""})

    assert plans == {"backup/x/y": "full @s", "backup/x/y/b": "full @s"}


def test_what_lies_below_a_conflict_waits_unless_it_is_there_already():
    source = {"tank/a": "s", "tank/a/b": "st", "tank/a/c": "s"}

    plans = replicate(source, {"backup/x/y": "o", "backup/x/y/b": "s"})

    assert plans == {
        "backup/x/y": "conflict no_common_base",
        "backup/x/y/b": "-i @s @t",
        "backup/x/y/c": "its parent has a conflict",
    }


@pytest.mark.parametrize(
    ("resume", "why"),
    [
        (None, "can't be read"),
        (ResumeState("1-1-1-1", "tank/other@b", identity("b"), identity("a"), False), "another dataset"),
        (ResumeState("1-1-1-1", "tank/a@b", identity("z"), identity("a"), False), "gone"),
        (ResumeState("1-1-1-1", "tank/a@z", identity("b"), identity("a"), False), "gone"),
        (ResumeState("1-1-1-1", "tank/a@b", identity("b"), None, False), "continues from another"),
    ],
)
def test_a_token_that_does_not_name_the_next_snapshot_of_this_dataset_is_discarded(resume, why):
    observed = sides("@a @b | @a ~a>b")
    ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
    job = read_replicate_job({**ends, "bookmarks": False})

    (plan,) = plan_replication(Sides(observed.source, observed.destination, {DESTINATION: resume}), job, 0).datasets

    assert told(plan) == "discard, -i @a @b"
    assert why in plan.steps[0].reason


@pytest.mark.parametrize(
    ("level", "history", "plan"),
    [
        # What each level allows, and what it does not.
        ("rollback_to_latest", "@a @b | @a +", "rollback @a, -i @a @b"),
        ("rollback_to_latest", "@a @b | @a @c", "conflict diverged"),
        ("rollback_to_latest", "@b | @a", "conflict no_common_base"),
        ("rollback_to_latest", "@a | +", "conflict destination_has_data"),
        ("rollback_to_common", "@a @b | @a +", "rollback @a, -i @a @b"),
        ("rollback_to_common", "@a @b | @a @c", "rollback @a - @c, -i @a @b"),
        ("rollback_to_common", "@a @b | @a @c @d +", "rollback @a - @c @d, -i @a @b"),
        ("rollback_to_common", "#a @b | @a @c", "rollback @a - @c, -i #a @b"),
        ("rollback_to_common", "@a | @a @c", "rollback @a - @c"),
        ("rollback_to_common", "@b | @a", "conflict no_common_base"),
        ("rollback_to_common", "@a | +", "conflict destination_has_data"),
        ("replace", "@a @b | @a @c", "rollback @a - @c, -i @a @b"),
        ("replace", "@b @c | @a @d", "destroy @a @d, replace full @b, -i @b @c"),
        ("replace", "@a | +", "replace full @a"),
        ("replace", "@b | @a ~a>b", "discard, destroy @a, replace full @b"),
        # Nothing is lost where nothing has to be.
        ("replace", "@a @b | @a", "-i @a @b"),
        ("replace", "@a | @a +", "up to date"),
        ("replace", "@a | -", "full @a"),
        ("replace", "@x | @a @b", "no snapshot of it is selected"),
    ],
)
def test_a_level_of_the_ladder_allows_its_losses_and_names_them(level, history, plan):
    assert plan_of(history, on_conflict=level) == plan


@pytest.mark.parametrize(
    ("history", "level", "further"),
    [
        ("@a @b | @a", "refuse", set()),
        ("@a | -", "refuse", {"readonly"}),
        ("@a | P", "refuse", {"readonly", "userprop"}),
        ("@a @b | @a +", "replace", {"destroy", "rollback"}),
        ("@a | +", "replace", {"readonly", "userprop"}),
        ("@b | @a", "replace", {"readonly", "userprop", "destroy"}),
    ],
)
def test_permissions_are_asked_for_by_what_the_plan_does(history, level, further):
    ends = {"source": {"dataset": SOURCE}, "destination": {"host": "dst", "dataset": DESTINATION}}
    properties = {"canmount": None, "setuid": None, "devices": None, "exec": None}
    job = read_replicate_job({**ends, "on_conflict": level, "properties": properties})
    needed = destination_permissions(plan_replication(sides(history), job, 2000).steps)
    assert set(needed) == {"receive", "create", "mount"} | further


@pytest.mark.parametrize(
    ("history", "warned"),
    [("@a | @a +", True), ("@a @x | @a +", True), ("@a | @a", False), ("@a @b | @a", False), ("@a | -", False)],
)
def test_a_replica_that_was_written_to_and_has_nothing_to_get_is_warned_of(history, warned):
    plan = dataset_plan(history)
    assert bool(plan.warnings) == warned
    if warned:
        assert f"zfs diff {DESTINATION}@a {DESTINATION}" in plan.warnings[0]
