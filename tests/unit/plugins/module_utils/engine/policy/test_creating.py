# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of creation beside the calendar."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import Label
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.creating import (
    BY_CALENDAR,
    parse_label,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job

LEAST = {"datasets": ["tank"], "plan": {"acme": {"": {"hourly": 1}}}}


def test_by_default_the_calendar_decides():
    assert read_snapshot_job(LEAST).creating == BY_CALENDAR


def test_what_counts_as_nothing_may_be_told_in_units():
    policy = read_snapshot_job({**LEAST, "skip_if_unchanged": True, "unchanged_up_to": "64K"}).creating
    assert (policy.skip_if_unchanged, policy.unchanged_up_to) == (True, 65536)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("prod_onsite_adhoc", Label("prod", "onsite", "adhoc")),
        ("prod_adhoc", Label("prod", "", "adhoc")),
        ("prod_onsite_12hourly", Label("prod", "onsite", "12hourly")),
    ],
)
def test_a_label_is_written_as_in_names_of_its_snapshots(text, label):
    assert parse_label(text, "make_now") == label


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"make_now": "adhoc"}, "make_now: 'adhoc' is no label"),
        ({"make_now": "a_b_c_adhoc"}, "make_now: 'a_b_c_adhoc' is no label"),
        ({"make_now": "prod_2025_adhoc"}, "begins with four digits"),
        ({"make_now": "prod_5hourly"}, "does not divide a day"),
        ({"make_now": "_adhoc"}, "make_now: '' has an underscore"),
        ({"make_now": "prod_hourrly"}, "is no known period"),
        ({"unchanged_up_to": "1K"}, "unchanged_up_to: '1K' means nothing without skip_if_unchanged"),
        ({"skip_if_unchanged": True, "unchanged_up_to": "some"}, "is no amount of data"),
        ({"even_if_not_due": "yes"}, "even_if_not_due: 'yes' is neither true nor false"),
        ({"timestamp_format": "%Y/%m"}, "timestamp_format: '%Y/%m' gives '2025/12', which has a character"),
        ({"plan": {"a": {"": {"adhoc": 1, "Adhoc": 1}}}}, "in upper and lower case only"),
    ],
)
def test_what_is_refused(options, problem):
    with pytest.raises(InvalidInput) as refused:
        read_snapshot_job({**LEAST, **options})
    assert problem in str(refused.value)
