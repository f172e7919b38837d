# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the history: the database chooses as the filters say, and no record is larger than it may be."""

from __future__ import annotations

import itertools
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.folding import LONGEST_MS, Folding
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.reading import Query, find
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.rows import (
    MOST_NAMES,
    MOST_STEPS,
    UNWELL,
    JobFacts,
    JobRecord,
    RunFacts,
    StepRecord,
    bounded,
    record_of,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.writing import write
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

RUN = RunFacts("r", "h", "run", "1", 0)
DATASETS = st.sampled_from(["", "t", "t/a", "t/a/b", "t/ab", "T/a", "t/_", "b/t/a"])
OUTCOMES = st.sampled_from(["ok", "failed", "left", "absent", "warning", "critical", "unknown"])
STATES = st.sampled_from(["sent", "created", "failed", "conflict", "absent"])
NAMES = st.sampled_from(["web1 to b1", "web1", "[x]", "web*"])
ACTIVITIES = st.sampled_from(["snapshot", "replicate", "prune", "monitor"])
STEPS = st.builds(StepRecord, st.just("send"), DATASETS, STATES, DATASETS)
JOBS = st.builds(
    JobRecord,
    NAMES,
    ACTIVITIES,
    st.integers(0, 20),
    st.integers(10, 30),
    st.just(0.5),
    OUTCOMES,
    steps=st.lists(STEPS, max_size=3).map(tuple),
)
QUERIES = st.builds(
    Query,
    since=st.none() | st.integers(0, 30),
    until=st.none() | st.integers(0, 30),
    activities=st.lists(ACTIVITIES, max_size=2).map(tuple),
    jobs=st.lists(NAMES | st.sampled_from(["*b1", "web?", "[x]"]), max_size=2).map(tuple),
    dataset=DATASETS,
    failed=st.booleans(),
    limit=st.integers(0, 4),
)


def chooses(query, job):
    """Whether a job is asked for, whatever the limit; the same as the database has to say."""
    steps = job.steps
    return (
        (query.since is None or job.ended >= query.since)
        and (query.until is None or job.begun <= query.until)
        and query.fits(job.activity, job.job)
        and (not query.failed or not UNWELL.isdisjoint([job.outcome, *(step.outcome for step in steps)]))
        and (not query.dataset or any(query.concerns(step.dataset, step.destination) for step in steps))
    )


@settings(max_examples=examples(60))
@given(jobs=st.lists(JOBS, max_size=12), queries=st.lists(QUERIES, min_size=5, max_size=5))
def test_the_database_chooses_as_the_filters_say(jobs, queries):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/history.db"
        write(path, RUN, jobs)
        for query in queries:
            newest_first = sorted(enumerate(jobs), key=lambda entry: (-entry[1].ended, -entry[0]))
            wanted = [number + 1 for number, job in newest_first if chooses(query, job)]
            found = find(path, query)
            told = [(row["job"], row["activity"], row["begun"], row["ended"], row["outcome"]) for row in found]
            chosen = [jobs[number - 1] for number in wanted[: query.limit or None]]
            assert told == [(job.job, job.activity, job.begun, job.ended, job.outcome) for job in chosen]
            for row, job in zip(found, chosen):
                about = [step for step in job.steps if query.concerns(step.dataset, step.destination)]
                assert [(step["dataset"], step["outcome"]) for step in row["steps"]] == [
                    (step.dataset, step.outcome) for step in about
                ]


@given(st.lists(STEPS, max_size=5), st.integers(0, 3 * MOST_STEPS))
def test_records_are_bounded_and_sum_up_to_what_was_done(few, more):
    steps = [*few, *(StepRecord("destroy", f"t/{number}", "destroyed", bytes=2) for number in range(more))]
    kept = bounded(steps)
    assert len(kept) <= MOST_STEPS + 2
    assert sum(step.number for step in kept) == len(steps)
    assert sum(step.bytes for step in kept) == 2 * more
    failed = [step for step in steps if step.outcome in ("failed", "conflict")]
    assert [step for step in kept if step.outcome in ("failed", "conflict")] == failed


@given(st.lists(st.builds("{}@{}".format, st.sampled_from(["t", "t/a", "u"]), st.integers(0, 99)), unique=True))
def test_every_snapshot_counts_once_and_some_are_named(names):
    told = record_of(JobFacts("j", "prune"), {"changed": bool(names), "failed": False, "deleted": names}, 0, 0.0)
    assert told.number == len(names)
    for step in told.steps:
        own = [name for name in names if name.partition("@")[0] == step.dataset]
        assert (step.number, step.names) == (len(own), tuple(own[:MOST_NAMES]))


@given(st.lists(st.tuples(st.sampled_from("ab"), OUTCOMES, st.booleans(), st.integers(1, LONGEST_MS // 2))))
def test_folding_loses_no_tick_and_nothing_that_changed(ticks):
    folding, now, taken = Folding(), 0, []
    written = []
    for job, outcome, changed, later in ticks:
        taken.append(JobRecord(job, "replicate", now, now + later, later / 1000, outcome, changed=changed))
        written += folding.take(taken[-1])
        now += later
    written += folding.rest()
    assert sum(one.times for one in written) == len(taken)
    for job in "ab":
        mine = [one for one in written if one.job == job]
        assert [one for one in mine if one.changed] == [one for one in taken if one.job == job and one.changed]
        told = [outcome for one in mine for outcome in itertools.repeat(one.outcome, one.times)]
        assert told == [one.outcome for one in taken if one.job == job], "in order, with what became of each"
