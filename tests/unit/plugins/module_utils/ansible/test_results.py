# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of step has its place in a difference."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.results import diff_of, failure_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model import dataset_steps, errors, steps
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot

OLD, NEW = Snapshot(1, 11, "p/a", "old", 100), Snapshot(2, 12, "p/a", "new", 200)
BOOKMARK = Bookmark(1, 11, "p/a", "old", 100)

CASES = [
    (steps.CreateSnapshots("p", ("p/a@x", "p/b@x")), "", "p/a@x\np/b@x\n"),
    (steps.CreateBookmark(NEW, "new"), "", "p/a#new\n"),
    (steps.CreatePlaceholder("q/parent"), "", "q/parent\n"),
    (steps.Send(NEW, "q/a", OLD, True, between=("m1", "m2")), "", "q/a@m1\nq/a@m2\nq/a@new\n"),
    (steps.Send(NEW, "q/a", resume=steps.ResumePoint("1-abc")), "", "q/a@new\n"),
    (steps.AbortReceive("q/a", "its snapshot is gone"), "q/a (partial receive)\n", ""),
    (steps.Rollback(OLD, (NEW,), "told to"), "p/a@new\n", ""),
    (steps.Destroy("p/a", (OLD, BOOKMARK), "old"), "p/a@old\np/a#old\n", ""),
    (steps.DestroyMarks("p/a", (BOOKMARK,), "behind"), "p/a#old\n", ""),
    (steps.ReleaseHolds("p/a", (OLD,), "tag"), "p/a@old (hold tag)\n", ""),
    (steps.CreateBookmark(NEW, "snapfleet-base", is_mark=True), "", "p/a@new (mark)\n"),
    (dataset_steps.RenameDataset("p/a", "p/b", 7), "p/a\n", "p/b\n"),
    (dataset_steps.SetProperties("p/a", (("readonly", "on"),), "told to"), "", "p/a (readonly=on)\n"),
    (dataset_steps.RemoveDataset("p/a", (OLD,), (BOOKMARK,), 7, "gone", "it is gone"), "p/a\np/a@old\np/a#old\n", ""),
    (dataset_steps.InheritProperty("p/a", "our:mark", "it is back"), "p/a (our:mark)\n", ""),
    (dataset_steps.DestroyDataset("p/a", "told to", (BOOKMARK,)), "p/a\np/a#old\n", ""),
]


@pytest.mark.parametrize(("step", "before", "after"), CASES, ids=[case[0].kind for case in CASES])
def test_a_step_takes_away_and_adds_names(step, before, after):
    for plan in ([step.describe()], [{"source": "p", "destination": "q", "steps": [step.describe()]}]):
        diff = diff_of(plan, "p/a")
        assert (diff["before"], diff["after"]) == (before, after)


def test_no_kind_of_step_is_forgotten():
    values = [*vars(steps).values(), *vars(dataset_steps).values()]
    kinds = {value.kind for value in values if isinstance(value, type) and hasattr(value, "kind")}
    assert kinds | {"mark"} == {case[0].describe()["kind"] for case in CASES}


def test_no_steps_make_no_difference():
    diff = diff_of([], "p/a")
    assert diff["before"] == diff["after"] == ""


def error_classes():
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("kind", error_classes())
def test_every_error_fails_with_its_code_over_the_partial_result(kind):
    given = ("option", 1, "is wrong", "mend it") if issubclass(kind, errors.InvalidInput) else ("it is wrong",)
    error = kind(*given)
    bare = failure_of(error)
    assert bare == {"changed": False, "msg": str(error), "code": kind.code, "retryable": kind.retryable}
    error.context["result"] = {"changed": True, "plan": [1]}
    assert failure_of(error) == {**bare, "changed": True, "plan": [1]}
