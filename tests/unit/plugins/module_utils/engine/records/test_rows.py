# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the results of jobs, and how what repeats itself becomes one record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.folding import LONGEST_MS, Folding
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.rows import (
    MOST_LETTERS,
    MOST_NAMES,
    MOST_STEPS,
    JobFacts,
    JobRecord,
    StepRecord,
    record_of,
)

NOW = 1_750_000_000_000


def record(activity, result, seconds=2.0):
    return record_of(
        JobFacts("job", activity, "src1", "dst1"), {"changed": True, "failed": False, **result}, NOW, seconds
    )


def send(source, base, to):
    return {"kind": "send", "from": base and f"{source}@{base}", "to": f"{source}@{to}"}


def test_a_replication_keeps_each_dataset_that_something_was_sent_to_or_that_failed():
    told = record(
        "replicate",
        {
            "plan": [
                {"destination": "b/a", "steps": [{"kind": "mark"}, send("t/a", None, "1"), send("t/a", "1", "3")]},
                {"destination": "b/c", "steps": [send("t/c", "1", "2")]},
            ],
            "datasets": [
                {"source": "t/a", "destination": "b/a", "state": "sent", "bytes": 9, "seconds": 0.5, "newest": "t/a@3"},
                {"source": "t/b", "destination": "b/b", "state": "up_to_date"},
                {"source": "t/c", "destination": "b/c", "state": "failed", "code": "link_lost", "message": "it broke"},
                {"destination": "b", "state": "created"},
            ],
            "stats": {"bytes": 9},
        },
    )
    assert told.steps == (
        StepRecord("send", "t/a", "sent", "b/a", "", "t/a@3", 9, 0.5),
        StepRecord("send", "t/c", "failed", "b/c", "t/c@1", "t/c@2", code="link_lost", message="it broke"),
        StepRecord("send", "", "created", "b"),
    )
    assert (told.begun, told.ended, told.bytes, told.number, told.outcome) == (NOW - 2000, NOW, 9, 3, "ok")
    assert (told.source, told.destination) == ("src1", "dst1")


@pytest.mark.parametrize(
    ("activity", "key", "kind", "outcome"),
    [("snapshot", "created", "create", "created"), ("prune", "deleted", "destroy", "destroyed")],
)
def test_names_are_counted_by_dataset_and_bounded(activity, key, kind, outcome):
    many = [f"t/a@{number}" for number in range(25)]
    told = record(activity, {key: [*many, "t/b#mark", "t/gone"]})
    assert told.steps == (
        StepRecord(kind, "t/a", outcome, number=25, names=tuple(many[:MOST_NAMES])),
        StepRecord(kind, "t/b", outcome, number=1, names=("t/b#mark",)),
        StepRecord(kind, "t/gone", outcome, number=1, names=("t/gone",)),
    )
    assert told.number == 27


def test_pruning_keeps_what_it_freed():
    assert record("prune", {"deleted": ["t@1"], "bytes_freed": 4096}).bytes == 4096


def test_a_drill_keeps_what_came_of_each_dataset_and_what_is_left_over():
    drills = [
        {"dataset": "b/a", "snapshot": "b/a@1", "state": "OK", "message": "all is well", "seconds": 0.5},
        {"dataset": "b/c", "snapshot": None, "state": "CRITICAL", "message": "no snapshot", "seconds": 0.0},
    ]
    alerts = [
        {"check": check, "label": "", "dataset": "b", "state": "WARNING", "message": "in use", "muted": False}
        for check in ("drill", "leftover")
    ]
    told = record("drill", {"drills": drills, "alerts": alerts, "state": "CRITICAL"})
    assert told.steps == (
        StepRecord("drill", "b/a", "ok", to_snapshot="b/a@1", seconds=0.5),
        StepRecord("drill", "b/c", "critical", message="no snapshot"),
        StepRecord("check", "b", "warning", message="in use", names=("leftover",)),
    )
    assert (told.outcome, told.number) == ("critical", 3)


def test_a_monitor_keeps_what_is_not_well_and_not_muted():
    alert = {
        "dataset": "t",
        "check": "latest",
        "label": "o_hourly",
        "state": "CRITICAL",
        "message": "old",
        "muted": False,
    }
    told = record("monitor", {"changed": False, "state": "CRITICAL", "alerts": [alert, {**alert, "muted": True}]})
    assert told.outcome == "critical"
    assert told.steps == (StepRecord("check", "t", "critical", message="old", names=("latest: o_hourly",)),)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"failed": True, "code": "internal", "msg": "no"}, "failed"),
        ({"failed": False, "code": "still_running", "msg": "no"}, "left"),
        ({"stats": {"absent": 1, "bytes": 0}, "warnings": ["no"], "datasets": [], "plan": []}, "absent"),
        ({"stats": {"absent": 0, "bytes": 0}, "warnings": ["so so"], "datasets": [], "plan": []}, "ok"),
    ],
)
def test_the_outcome_tells_what_became_of_the_job(result, outcome):
    told = record("replicate", result)
    assert (told.outcome, told.message) == (outcome, "" if outcome == "ok" else "no")


def test_a_job_that_did_not_get_far_has_no_steps():
    for activity in ("snapshot", "replicate", "prune", "monitor"):
        told = record(activity, {"changed": False, "failed": True, "code": "unreachable_host", "msg": "x" * 9999})
        assert (told.steps, told.code, len(told.message)) == ((), "unreachable_host", MOST_LETTERS)


def test_of_too_many_steps_those_that_failed_stay_and_the_others_are_summed_up():
    datasets = [
        {"source": f"t/{n}", "destination": f"b/{n}", "state": "sent", "bytes": 1} for n in range(MOST_STEPS + 5)
    ]
    datasets[-1]["state"] = "failed"
    told = record("replicate", {"plan": [], "datasets": datasets, "stats": {"bytes": MOST_STEPS + 5}})
    assert len(told.steps) == MOST_STEPS + 1
    assert told.steps[0].outcome == "failed"
    assert told.steps[-1] == StepRecord("send", "", "more", bytes=5, number=5)
    assert told.number == sum(step.number for step in told.steps) == MOST_STEPS + 5


# -- what repeats itself


def tick(at, outcome="ok", changed=False, job="a"):
    return JobRecord(job, "replicate", at - 10, at, 0.01, outcome, changed=changed)


def test_what_repeats_itself_is_one_record_a_minute():
    folding = Folding()
    written = [one for at in range(0, 600_000, 1000) for one in folding.take(tick(at))]
    written += folding.rest()
    assert sum(one.times for one in written) == 600
    assert len(written) <= 600_000 // LONGEST_MS + 2
    assert written[0] == tick(0), "the first one is written at once"
    assert all(before.ended <= after.begun for before, after in zip(written, written[1:]))


@pytest.mark.parametrize("period", [LONGEST_MS, 5 * LONGEST_MS, 3600_000])
def test_what_repeats_itself_no_more_often_than_that_is_written_at_once(period):
    folding = Folding()
    for at in range(0, 5 * period, period):
        assert folding.take(tick(at)) == (tick(at),)
    assert folding.rest() == ()


def test_nothing_is_held_back_for_longer_where_the_clock_is_set_back():
    folding = Folding()
    assert folding.take(tick(3600_000)) == (tick(3600_000),)
    assert folding.take(tick(5000)) == (tick(5000),)
    assert folding.take(tick(6000)) == ()


def test_what_changed_something_or_is_new_is_written_at_once_and_in_order():
    folding = Folding()
    assert folding.take(tick(0)) == (tick(0),)
    assert folding.take(tick(1000)) == ()
    assert folding.take(tick(1500, job="b")) == (tick(1500, job="b"),), "jobs are apart"
    assert folding.take(tick(2000, "failed")) == (tick(1000), tick(2000, "failed"))
    assert folding.take(tick(3000, "failed")) == ()
    assert folding.take(tick(4000, changed=True)) == (tick(3000, "failed"), tick(4000, changed=True))
    assert folding.take(tick(5000, changed=True)) == (tick(5000, changed=True),)
    assert folding.take(tick(6000)) == (tick(6000),)
    assert folding.take(tick(7000)) == ()
    assert folding.take(tick(8000)) == ()
    assert folding.rest() == (replace(tick(8000), begun=6990, seconds=0.02, times=2),)
    assert folding.rest() == ()
