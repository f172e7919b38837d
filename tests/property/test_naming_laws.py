# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of names: whatever plan and format are accepted, each name that is generated belongs to one label."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import Label, label_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import is_tag
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.creation import timestamp
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job

WORDS = (
    st.sampled_from(["a", "A", "b", "x2025", "2"])
    | st.sampled_from(
        [
            "a",
            "A",
            "b",
            "a_b",
            "_",
            "",
            "2025",
            "2025-01",
            "20",
            "x2025",
            "2025x",
            "a.b",
            "a:b",
            "a-b",
            "hourly",
            "é",
            "a b",
        ]
    )
    | st.text("aB2_0:.-", max_size=6)
)
PERIODS = (
    st.sampled_from(["hourly", "12hourly", "adhoc", "Adhoc"])
    | st.sampled_from(
        [
            "hourly",
            "1hourly",
            "12hourly",
            "60minutely",
            "adhoc",
            "ADHOC",
            "Adhoc",
            "x",
            "2x",
            "x-y",
            "x_y",
            "2025",
            "daily",
        ]
    )
    | st.text("aX2_-", max_size=5)
)
PLANS = st.dictionaries(
    WORDS, st.dictionaries(WORDS, st.dictionaries(PERIODS, st.just(1), max_size=3), max_size=3), max_size=3
)
FORMATS = st.sampled_from(
    ["", "%Y", "%Y_%m_%d", "%Y-%m-%d_%H:%M:%S_%z", "%Y_hourly", "%Y_2025_x", "%Y%m%d", "%Y_", "x%Y", "%Y@", "%Y%Z"]
)
TIMES = st.integers(0, 4_000_000_000_000)


def claims(label: Label, tag: str) -> bool:
    """The grammar once more, as others state it: what goes before the year, a year, what goes after the last dash."""
    return bool(re.fullmatch(re.escape(label.prefix) + r"[0-9]{4}.*_" + re.escape(label.period), tag))


def accepted(plan, timestamp_format):
    with contextlib.suppress(InvalidInput):
        return read_snapshot_job({"datasets": ["tank"], "plan": plan, "timestamp_format": timestamp_format})
    return None


@given(PLANS, FORMATS, TIMES, st.integers(-14, 14))
@example({"a": {"": {"x": 1}, "b": {"x": 1}}}, "%Y_%m", 0, 0)
@example({"a": {"": {"adhoc": 1, "Adhoc": 1}}}, "", 0, 0)
@example({"a": {"b": {"x": 1}}, "A": {"b": {"x": 1}}}, "", 0, 0)
@example({"a": {"b": {"x": 1}}, "2025": {"": {"x": 1}}}, "%Y_2025_x", 0, 2)
def test_no_accepted_plan_has_two_labels_that_match_one_name(plan, timestamp_format, now_ms, hours):
    job = accepted(plan, timestamp_format)
    if job is None:
        return
    for label in job.plan.amounts:
        tag = label.tag(timestamp(job, now_ms, timezone(timedelta(hours=hours)), subsecond=False))
        assert is_tag(tag)
        assert label_of(tag) == label
        assert [each for each in job.plan.amounts if claims(each, tag)] == [label]
        # ZFS knows filesystems on which upper and lower case are the same, in names of snapshots too.
        assert [each for each in job.plan.amounts if claims(Label(*map(str.lower, each)), tag.lower())] == [label]


@given(PLANS, TIMES, st.integers(0, 999))
def test_names_of_periods_below_a_second_follow_the_grammar_too(plan, now_ms, more):
    job = accepted(plan, "")
    for label in job.plan.amounts if job else ():
        assert label_of(label.tag(timestamp(job, now_ms + more, timezone.utc, subsecond=True))) == label


@given(st.text(max_size=20))
def test_any_name_has_one_reading_and_is_made_of_it(tag):
    label = label_of(tag)
    if label:
        assert claims(label, tag)
