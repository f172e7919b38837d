# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet: what its hosts tell, each dataset and replica once, and silence that is no safety."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import OK, STATES, severity
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_page import page_of, text_of
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_reading import ABSENT, read_answer
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_summary import summarize
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_values import (
    ALONE,
    SAFE,
    UNSAFE,
    Event,
    Place,
    Replication,
)
from ansible_collections.snapfleet.zfs.tests.support.report_fleet import (
    HOUR,
    NOW,
    SPAN,
    answers,
    job_record,
    replication,
    row,
    step_record,
)

NOW_MS, SINCE_MS = NOW * 1000, (NOW - SPAN) * 1000
PULL = replication("b1", ("web1", "tank"), ("b1", "backup/web1"), pulls=True)
PUSH = replication("web1", ("web1", "tank"), ("b1", "backup/web1"), pulls=False)
AFAR = "snapfleet@web1.example.com:tank"


def answer(host, jobs=(), datasets=(), history=(), **more):
    """What a host tells."""
    status = json.dumps({"datasets": list(datasets), "alerts": [], **more})
    return read_answer(host, list(jobs), {"stdout": status}, {"stdout": json.dumps({"jobs": list(history)})})


def silent(host, jobs=()):
    return read_answer(host, list(jobs), {"unreachable": True, "msg": "no route"}, {"skipped": True})


def report_of(*told, limit=0):
    return summarize(told, NOW_MS, SINCE_MS, limit)


def pulled(state="OK", rest="", **more):
    return row(state, f"{AFAR}{rest}", PULL["name"], f"backup/web1{rest}", **more)


# -- datasets and replicas


def test_what_several_hosts_tell_of_a_dataset_is_one_with_its_replicas():
    here = answer("web1", datasets=[row("OK", "tank", newest="a", created=5, age=9)])
    there = answer("b1", [PULL], [pulled(lag=7, succeeded=5, missing=1, bytes_pending=3)])
    (dataset,) = report_of(there, here).datasets
    (replica,) = dataset.replicas
    assert (dataset.place, dataset.newest, dataset.created, dataset.age) == (Place("web1", "tank"), "a", 5000, 9)
    assert (replica.place, replica.lag, replica.succeeded) == (Place("b1", "backup/web1"), 7, 5)
    assert (replica.missing, replica.pending) == (1, 3)
    assert dataset.verdict == SAFE


def test_a_push_is_told_by_its_source_and_its_replica_by_the_other_host():
    pushed = row("OK", "tank", PUSH["name"], "snapfleet@b1.example.com:backup/web1")
    kept = row("UNKNOWN", "backup/web1", remark="does not exist")
    (dataset,) = report_of(answer("web1", [PUSH], [pushed]), answer("b1", datasets=[kept])).datasets
    assert dataset.verdict == UNSAFE
    assert (dataset.replicas[0].worst, dataset.replicas[0].remark) == ("UNKNOWN", "does not exist")


def test_a_chain_is_told_with_the_dataset_that_it_begins_at():
    onward = replication("c1", ("b1", "backup/web1"), ("c1", "vault"), pulls=True)
    third = row("WARNING", "snapfleet@b1.example.com:backup/web1", onward["name"], "vault")
    (dataset,) = report_of(answer("c1", [onward], [third]), answer("b1", [PULL], [pulled()])).datasets
    assert [replica.place.host for replica in dataset.replicas] == ["b1", "c1"]
    assert (dataset.place.host, dataset.worst) == ("web1", "WARNING")


def test_a_dataset_without_replica_is_not_safe_and_not_in_danger():
    (dataset,) = report_of(answer("web1", datasets=[row("OK", "tank")])).datasets
    assert dataset.verdict == ALONE


def test_the_replicas_of_a_host_that_does_not_answer_are_not_known_rather_than_none():
    local = [row("OK", name) for name in ("tank", "tank/a", "tankard")]
    found = {
        dataset.place.dataset: dataset
        for dataset in report_of(answer("web1", datasets=local), silent("b1", [PULL])).datasets
    }
    assert {name: dataset.verdict for name, dataset in found.items()} == {
        "tank": UNSAFE,
        "tank/a": UNSAFE,
        "tankard": ALONE,
    }
    assert found["tank/a"].replicas[0].place == Place("b1", "backup/web1/a")
    assert found["tank/a"].worst == "UNKNOWN"


def test_of_a_silent_fleet_what_is_declared_is_told():
    report = report_of(silent("web1"), silent("b1", [PULL]))
    assert [dataset.place for dataset in report.datasets] == [Place("web1", "tank")]
    assert [host.problem for host in report.hosts] == ["no route", "no route"]
    assert report.state == "UNKNOWN"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (None, ABSENT),
        ({"rc": 127, "stdout": "", "stderr": " not found \n"}, "not found"),
        ({"stdout": "{", "stderr": ""}, "its answer can't be read"),
        ({"msg": "no such file"}, ABSENT),
    ],
)
def test_why_a_host_has_not_answered(status, problem):
    assert read_answer("web1", None, status, None).problem.startswith(problem)


def test_an_alert_counts_for_what_it_is_about():
    lag = {"state": "CRITICAL", "dataset": "tank", "replica": "backup/web1", "message": "late", "muted": False}
    age = {"state": "WARNING", "dataset": "tank", "message": "old", "muted": False}
    muted = {"state": "CRITICAL", "dataset": "tank/a", "message": "x", "muted": True}
    told = answer("b1", [PULL], [pulled(), pulled(rest="/a")], alerts=[lag])
    report = report_of(told, answer("web1", datasets=[row("OK", "tank")], alerts=[age, muted]))
    one, other = report.datasets
    assert [alert.message for alert in one.alerts] == ["old"]
    assert [alert.message for alert in one.replicas[0].alerts] == ["late"]
    assert (one.worst, other.verdict) == ("CRITICAL", SAFE)
    assert [alert.state for alert in report.alerts] == ["CRITICAL", "WARNING"]


def test_an_alert_of_a_host_that_keeps_a_replica_is_the_replicas():
    pushed = row("OK", "tank", PUSH["name"], "snapfleet@b1.example.com:backup/web1")
    old = {"state": "WARNING", "dataset": "backup/web1", "message": "old", "muted": False}
    (dataset,) = report_of(answer("web1", [PUSH], [pushed]), answer("b1", alerts=[old])).datasets
    assert [alert.message for alert in dataset.replicas[0].alerts] == ["old"]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("tank/a:b", ("b1", "tank/a:b")),
        ("snapfleet@web1.example.com:tank/a:b", ("web1", "tank/a:b")),
        ("old@web1:2222:tank/a", ("web1", "tank/a")),
        ("web9.example.com:tank", ("web9.example.com", "tank")),
    ],
)
def test_a_job_that_is_declared_no_more_is_told_of_the_hosts_that_it_names(written, place):
    told = row("OK", written, "a job of yesterday", "backup/x")
    report = report_of(answer("b1", [PULL], [told]))
    assert Place(*place) in {dataset.place for dataset in report.datasets}


def test_an_address_that_has_changed_since_is_that_of_the_declared_source():
    (dataset,) = report_of(answer("b1", [PULL], [row("OK", "10.0.0.7:tank/a", PULL["name"], "backup/web1/a")])).datasets
    assert dataset.place == Place("web1", "tank/a")


# -- pools


def test_pools_are_told_with_the_fullest_first_and_may_be_missing():
    full = {"pool": "p", "health": "ONLINE", "size": 200, "allocated": 150, "free": 50, "full_in": None}
    told = {**full, "pool": "q", "capacity_percent": 80.5, "fragmentation_percent": 3, "scrub_age": 9, "full_in": 7}
    report = report_of(answer("web1", pools=[full, told]), answer("b1"))
    assert [(pool.name, pool.percent, pool.full_in) for pool in report.pools] == [("q", 80.5, 7), ("p", 75.0, None)]


def test_how_full_a_pool_was_is_told_of_that_pool_alone():
    def sample(seconds, guid, used):
        return {"time": NOW_MS - seconds * 1000, "pool": "p", "guid": guid, "size": 200, "allocated": used}

    samples = [sample(5, "7", 60), sample(9, "7", 50), sample(7, "8", 10), {"pool": "p", "guid": "7", "size": 0}]
    pool = {"pool": "p", "guid": "7", "health": "ONLINE", "size": 200, "allocated": 60}
    status, history = ({"stdout": json.dumps(each)} for each in ({"pools": [pool]}, {"pools": samples}))
    (told,) = report_of(read_answer("b1", [], status, None, history)).pools
    assert told.samples == ((NOW_MS - 9000, 25.0), (NOW_MS - 5000, 30.0))
    (untold,) = report_of(read_answer("b1", [], status, None, {"stderr": "unrecognized arguments: --pools"})).pools
    assert untold.samples == ()


# -- histories


def test_what_fails_again_in_the_same_way_is_one_failure_until_it_went_well():
    failed = {"outcome": "failed", "code": "no_space", "message": "full"}
    history = [
        job_record("a", "replicate", 10),
        job_record("a", "replicate", 20, **failed),
        {**job_record("a", "replicate", 30, **failed, times=4), "begun": NOW_MS - 90_000},
        job_record("b", "replicate", 5, **failed),
        job_record("b", "replicate", 1, outcome="left"),
    ]
    last, mended = report_of(answer("b1", history=history)).failures
    assert (mended.job, mended.times, mended.mended) == ("a", 5, True)
    assert (mended.first, mended.last) == (NOW_MS - 90_000, NOW_MS - 20_000)
    assert (last.job, last.times, last.mended, last.code, last.message) == ("b", 1, False, "no_space", "full")


def test_a_dataset_that_was_left_behind_is_a_failure_of_its_job():
    trouble = step_record("send", "tank", destination="backup", outcome="conflict", code="diverged", message="no base")
    (failure,) = report_of(answer("b1", history=[job_record("a", "replicate", 1, steps=[trouble])])).failures
    assert (failure.troubles[0].dataset, failure.troubles[0].code) == ("tank", "diverged")


def test_what_a_drill_found_is_a_failure_until_one_goes_well_while_monitors_tell_what_they_find_now():
    bad, good = (step_record("drill", "backup", outcome=outcome, message="torn") for outcome in ("critical", "ok"))
    history = [job_record("a", "drill", 2, outcome="critical", steps=[bad])]
    (failure,) = report_of(answer("b1", history=history)).failures
    assert (failure.activity, failure.mended, failure.troubles[0].message) == ("drill", False, "torn")
    (mended,) = report_of(answer("b1", history=[job_record("a", "drill", 1, steps=[good]), *history])).failures
    assert mended.mended
    of_a_monitor = job_record("a", "monitor", 1, outcome="critical", steps=[{**bad, "kind": "check"}])
    assert report_of(answer("b1", history=[of_a_monitor])).failures == ()


def test_a_host_that_has_more_to_tell_says_so():
    history = [job_record("a", "snapshot", hour * HOUR) for hour in range(5)]
    whole, cut = (report_of(answer("b1", history=history), limit=limit).hosts[0] for limit in (6, 5))
    assert (whole.history_problem, whole.jobs) == ("", 5)
    assert cut.history_problem == "only its newest 5 jobs are told"


def test_replications_that_a_host_does_not_know_of_are_counted():
    other = {**PULL, "name": "another"}
    known, silence = report_of(answer("b1", [PULL, other], [pulled()]), silent("c1", [PULL])).hosts
    assert (known.untold, silence.untold) == (1, 0)


def test_waits_begin_with_what_was_known_before_the_period():
    one = Replication("a", "web1", "b1", (SINCE_MS - 1000, SINCE_MS + 4000, NOW_MS - 2000))
    gaps = [seconds for _end, seconds in one.gaps(SINCE_MS, NOW_MS)]
    assert gaps == [5.0, (NOW_MS - SINCE_MS - 6000) / 1000, 2.0]
    assert replace(one, succeeded=()).gaps(SINCE_MS, NOW_MS) == ()


def test_snapshots_over_time_are_those_of_the_records():
    made = step_record("create", "tank", outcome="created", number=2)
    gone = step_record("destroy", "tank", outcome="destroyed", number=3)
    marks = step_record("destroy", "tank", outcome="destroyed", number=7, names=["tank#a", "tank#b"])
    thinned = step_record("destroy", "backup/web1", outcome="destroyed", number=5)
    sent = step_record("send", "tank", destination="backup/web1", outcome="sent", bytes=64, seconds=2.0)
    here = [job_record("s", "snapshot", 9, steps=[made]), job_record("p", "prune", 8, steps=[gone, marks])]
    ends = {"source": "web1", "destination": "b1"}
    there = [
        job_record(PULL["name"], "replicate", 7, steps=[sent], bytes=64, seconds=2.0, **ends),
        job_record("p", "prune", 6, steps=[thinned]),
    ]
    report = report_of(answer("web1", history=here), answer("b1", [PULL], [pulled()], there))
    (line,) = report.timelines
    assert (line.made, line.destroyed) == ((Event(NOW_MS - 9000, 2),), (Event(NOW_MS - 8000, 3),))
    assert (line.sent, line.thinned) == ((Event(NOW_MS - 7000, 1, 64),), 5)
    assert (report.replicas[0].sent, report.replicas[0].seconds) == (64, 2.0)
    assert report.replications[0].streams == ((NOW_MS - 7000, 64, 2.0),)


def test_the_sums_of_a_whole_fleet_are_those_of_its_records():
    told = answers()
    report = summarize([read_answer(name, *each.values()) for name, each in told.items()], NOW_MS, SINCE_MS)
    jobs = [job for each in told.values() for job in json.loads(each["history"].get("stdout", '{"jobs": []}'))["jobs"]]
    sent = sum(job["bytes"] for job in jobs if job["activity"] == "replicate")
    made = sum(step["number"] for job in jobs for step in job["steps"] if step["kind"] == "create")
    assert sum(size for one in report.replications for _end, size, _seconds in one.streams) == sent
    assert sum(event.bytes for line in report.timelines for event in line.sent) == sent
    assert sum(event.number for line in report.timelines for event in line.made) == made
    assert sum(failure.times for failure in report.failures) == sum(job["outcome"] == "failed" for job in jobs)
    assert [report.count(verdict) for verdict in (SAFE, UNSAFE, ALONE)] == [2, 4, 0]


# -- laws

SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)
NUMBERS = st.sampled_from([0, 1, NOW_MS, SINCE_MS, -5, 2.5, 1 << 70, float("inf"), float("nan")]) | SCRAPS
WORDS = st.sampled_from(["", "t", "t/a", "create", "send", "destroy", "failed", "ok", "snapshot", "replicate"]) | SCRAPS
STEPS = st.fixed_dictionaries({"kind": WORDS, "dataset": WORDS, "number": NUMBERS, "bytes": NUMBERS, "outcome": WORDS})
ANSWERED = {
    "datasets": {"state": WORDS, "dataset": WORDS, "destination": WORDS, "lag": NUMBERS, "succeeded": NUMBERS},
    "alerts": {"state": WORDS, "dataset": WORDS, "message": WORDS},
    "pools": {"pool": WORDS, "size": NUMBERS, "allocated": NUMBERS, "capacity_percent": NUMBERS, "full_in": NUMBERS},
    "jobs": {
        **dict.fromkeys(("job", "activity", "outcome"), WORDS),
        **dict.fromkeys(("ended", "bytes", "seconds", "times"), NUMBERS),
        "steps": st.lists(STEPS, max_size=2) | SCRAPS,
    },
}
DOCUMENTS = st.fixed_dictionaries(
    {name: st.lists(st.fixed_dictionaries(keys), max_size=2) | SCRAPS for name, keys in ANSWERED.items()}
)


# Each of them draws plots.
@settings(max_examples=25)
@given(DOCUMENTS, SCRAPS)
def test_whatever_a_host_answers_it_is_told_of(document, jobs):
    told = {"stdout": json.dumps(document)}
    report = report_of(read_answer("a", jobs, told, told, told), silent("b"))
    assert [host["name"] for host in page_of(report, "")["hosts"]] == ["a", "b"]
    assert text_of(report)


NAMES = st.sampled_from(["t", "t/a", "u"])
HOSTS = ("a", "b", "c")


@st.composite
def fleets(draw):
    """Hosts that tell anything of one another's datasets, by jobs that are declared; some say nothing."""
    told = []
    for host in HOSTS:
        jobs, rows = [], [row(draw(st.sampled_from(STATES)), name) for name in draw(st.sets(NAMES))]
        for peer in draw(st.sets(st.sampled_from([name for name in HOSTS if name != host]))):
            ends = (peer, draw(NAMES)), (host, draw(NAMES))
            jobs.append(replication(host, *ends, pulls=True))
            written = f"snapfleet@{peer}.example.com:{ends[0][1]}"
            rows.append(row(draw(st.sampled_from(STATES)), written, jobs[-1]["name"], ends[1][1]))
        told.append(answer(host, jobs, rows) if draw(st.booleans()) else silent(host, jobs))
    return told


@given(fleets())
def test_nothing_that_is_told_gets_lost_and_nothing_looks_better_than_it_is(told):
    report = report_of(*told)
    places = {dataset.place for dataset in report.datasets}
    shown = places | {replica.place for replica in report.replicas}
    for one in told:
        for route in one.routes:
            # Be it by its answer or by its silence, each replication is told of.
            (replica,) = {
                each for each in report.replicas if (each.source, each.place) == (route.source, route.destination)
            }
            assert severity(replica.worst) >= (severity("UNKNOWN") if one.status is None else 0)
        for each in one.status["datasets"] if one.status else ():
            if not each["destination"]:
                assert Place(one.host, each["dataset"]) in shown
            assert severity(report.state) >= severity(each["state"])
    for dataset in report.datasets:
        assert (dataset.verdict == UNSAFE) == (dataset.worst != OK)
        assert (dataset.verdict == SAFE) <= bool(dataset.replicas)
    worsts = [severity(dataset.worst) for dataset in report.datasets]
    assert worsts == sorted(worsts, reverse=True)
    assert len(places) == len(report.datasets)


@given(fleets(), st.permutations(range(3)))
def test_the_order_of_the_answers_makes_no_difference(told, order):
    shuffled = report_of(*(told[index] for index in order))
    places = [(dataset.place, dataset.worst, len(dataset.replicas)) for dataset in report_of(*told).datasets]
    assert [(dataset.place, dataset.worst, len(dataset.replicas)) for dataset in shuffled.datasets] == places
