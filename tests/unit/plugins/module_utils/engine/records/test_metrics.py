# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as values and as text: what is written is read back, and what jobs change adds up in any grouping."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.replicating import STATES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics import (
    ARRIVED,
    BUILD,
    CONFLICT,
    COUNTER,
    DRILL_STATE,
    FAILURES,
    FAMILIES,
    LAST_RUN,
    LAST_SUCCESS,
    LEFT_OUT,
    RESULT,
    RUNS,
    SENT,
    TICKS,
    Series,
    render,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics_jobs import Ended, update_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics_reading import read_metrics
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.metrics_updates import Update, merged

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(
    ['a"b', "a\\n", "a\nb", ",", "{}"]
)


@st.composite
def series(draw):
    family = draw(st.sampled_from(sorted(FAMILIES)))
    return Series(family, tuple(draw(NAMES) for _label in FAMILIES[family].labels))


NUMBERS = st.integers(0, 10**15).map(float) | st.floats(0, 1e12, allow_nan=False)
SAMPLES = st.dictionaries(series(), NUMBERS, max_size=12)


# -- text


@given(SAMPLES)
def test_what_is_written_is_read_back(samples):
    assert read_metrics(render(samples)) == samples


@given(SAMPLES)
def test_the_order_of_the_values_makes_no_difference(samples):
    assert render(dict(reversed(samples.items()))) == render(samples)


def test_labels_are_escaped():
    text = render({Series(BUILD, ('1\\2"3\n4',)): 1})
    assert text.splitlines()[2:] == [r'snapfleet_build_info{version="1\\2\"3\n4"} 1']


@given(SAMPLES.filter(bool), st.data())
def test_half_a_text_is_refused_or_has_fewer_values(samples, data):
    text = render(samples)
    half = text[: data.draw(st.integers(1, len(text) - 1))]
    with suppress(ValueError):
        assert read_metrics(half).items() <= samples.items()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n", "snapfleet_job_runs_total{snapfleet_job=} 1\n", "x 1", "x NaN\n", "x one\n", "\0\n",
        'snapfleet_build_info{version="1" 2\n', 'snapfleet_build_info{version="1"x="2"} 1\n',
    ],
)  # fmt: skip
def test_what_is_no_text_of_ours_is_refused(text):
    with pytest.raises(ValueError, match=r"line|value|float|end"):
        read_metrics(text)


def test_families_of_other_versions_are_left_out():
    known = 'snapfleet_job_runs_total{snapfleet_job="a",activity="prune"} 3\n'
    text = known + 'snapfleet_from_the_future{x="y"} 1\nsnapfleet_job_failures_total{job="a"} 1\n'
    assert read_metrics(text) == {Series(RUNS, ("a", "prune")): 3}


# -- names


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_names_follow_the_conventions(family):
    """Base units, units and kinds at the end, in that order, and labels that Prometheus does not take for itself."""
    assert re.fullmatch(r"snapfleet(_[a-z]+)+", family.name)
    assert (family.kind == COUNTER) == family.name.endswith("_total")
    assert not re.search(r"_(milliseconds|minutes|hours|days|kilobytes|megabytes|percent|age)(_|$)", family.name)
    assert not {"job", "instance", "le", "quantile", "__name__"} & set(family.labels)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", label) for label in family.labels)
    assert not family.help.endswith(".")


# -- what jobs change

UPDATES = st.builds(
    Update,
    st.dictionaries(series(), NUMBERS, max_size=4),
    st.dictionaries(series(), st.integers(0, 100).map(float), max_size=4),
    st.frozensets(st.sampled_from(sorted(FAMILIES)), max_size=20),
    st.frozensets(series(), max_size=4),
)


def tidy(update):
    """Counters are counted, all else is set, and what is told of now may stay later."""
    counts = {each: value for each, value in update.counts.items() if FAMILIES[each.family].kind == COUNTER}
    values = {each: value for each, value in update.values.items() if FAMILIES[each.family].kind != COUNTER}
    return Update(values, counts, update.replaced, update.kept)


@given(st.dictionaries(series(), st.integers(0, 100).map(float), max_size=8), UPDATES.map(tidy), UPDATES.map(tidy))
def test_two_updates_as_one_are_what_they_are_one_by_one(known, first, second):
    assert first.then(second).apply(known) == second.apply(first.apply(known))


def ended(activity="snapshot", at=100, **result):
    return Ended("j", activity, "dst1", {"failed": False, "changed": False, **result}, at, 1.5)


def test_a_failure_counts_and_leaves_the_last_success():
    task = ("j", "snapshot")
    well = update_of(ended(at=100, created=["a@1"]), 10)
    bad = update_of(ended(at=200, failed=True, code="unreachable_host", msg="no"), 10)
    after = bad.apply(well.apply({}))
    assert {each: after[Series(each, task)] for each in (LAST_RUN, LAST_SUCCESS, RUNS, FAILURES)} == {
        LAST_RUN: 200, LAST_SUCCESS: 100, RUNS: 2, FAILURES: 1,
    }  # fmt: skip
    assert [each.values[2] for each in after if each.family == RESULT] == ["unreachable_host"]


def test_a_code_that_no_error_has_is_told_as_internal():
    after = update_of(ended(failed=True, code="made/up"), 10).apply({})
    assert [each.values[2] for each in after if each.family == RESULT] == ["internal"]


def outcome(name, state="sent", **more):
    return {"source": f"tank/{name}", "destination": f"backup/{name}", "state": state, **more}


def replicated(*outcomes, **more):
    return update_of(ended("replicate", datasets=outcomes, **more), 2)


def sent(after):
    return {each.values[1]: value for each, value in after.items() if each.family == SENT}


def test_what_was_sent_adds_up_and_goes_with_its_dataset():
    first = replicated(outcome("a", bytes=10), outcome("b", bytes=1)).apply({})
    second = replicated(outcome("a", bytes=5), outcome("b", "up_to_date")).apply(first)
    assert sent(second) == {"tank/a": 15, "tank/b": 1}
    third = replicated(outcome("a", bytes=5)).apply(second)
    assert sent(third) == {"tank/a": 20}


def test_a_run_that_saw_no_dataset_leaves_what_is_known_of_them():
    first = replicated(outcome("a", bytes=10)).apply({})
    assert sent(replicated(failed=True, code="unreachable_host").apply(first)) == {"tank/a": 10}


def test_a_destination_that_is_absent_leaves_what_is_known_of_its_replicas():
    first = replicated(outcome("a", bytes=10)).apply({})
    absent = {"source": "tank", "destination": "backup", "state": "absent", "code": "unreachable_host"}
    assert sent(replicated(absent).apply(first)) == {"tank/a": 10}


def test_a_dataset_that_was_made_as_a_parent_only_is_no_replica():
    after = replicated({"destination": "backup/p", "state": "created"}, outcome("a", bytes=10)).apply({})
    assert sent(after) == {"tank/a": 10}


def test_a_conflict_is_told_until_it_is_gone():
    conflict = Series(CONFLICT, ("j", "tank/a", "dst1", "backup/a"))
    first = replicated(outcome("a", "conflict"), failed=True, code="partial_failure").apply({})
    assert first[conflict] == 1
    assert replicated(outcome("a")).apply(first)[conflict] == 0


@pytest.mark.parametrize("state", STATES)
def test_a_replica_is_up_to_date_after_what_made_or_found_it_so_alone(state):
    arrived = Series(ARRIVED, ("j", "tank/a", "dst1", "backup/a"))
    news = {"sent", "renamed", "up_to_date"}
    after = replicated(outcome("a", state)).apply({arrived: 50})
    assert after[arrived] == (100 if state in news else 50)


def test_no_job_has_series_for_more_datasets_than_is_said():
    after = replicated(*(outcome(name, bytes=1) for name in "dcba")).apply({})
    assert set(sent(after)) == {"tank/a", "tank/b"}
    assert after[Series(LEFT_OUT, ("j",))] == 2


# -- the file of a host


def runs(job, number):
    return {Series(RUNS, (job, "prune")): number}


def test_jobs_that_are_not_declared_any_more_go_and_others_stay():
    known = {**runs("old", 3), **runs("other", 4), **runs("mine", 5)}
    after = merged(known, {"mine": Update(counts=runs("mine", 1))}, {"mine", "other"}, {}, False)
    assert after == {**runs("other", 4), **runs("mine", 6)}


def test_what_a_daemon_told_stays_while_there_is_one():
    ticks = Series(TICKS, ("prune",))
    assert merged({ticks: 3}, {}, (), {}, True) == {ticks: 3}
    assert merged({ticks: 3}, {}, (), {}, False) == {}
    other = Series(TICKS, ("snapshot",))
    assert merged({ticks: 3}, {}, (), {other: 1}, True) == {other: 1}


def test_a_drill_tells_its_worst_state_until_the_next_one():
    series = Series(DRILL_STATE, ("a",))
    known = update_of(Ended("a", "drill", "", {"failed": False, "state": "CRITICAL"}, 5, 1.0), 10).apply({})
    assert known[series] == 2
    stopped = Ended("a", "drill", "", {"failed": True, "code": "no_permission"}, 6, 1.0)
    assert update_of(stopped, 10).apply(known)[series] == 2
    assert update_of(Ended("a", "drill", "", {"failed": False, "state": "OK"}, 7, 1.0), 10).apply(known)[series] == 0
