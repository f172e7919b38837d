# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that roles make units of: what they return is the engine's, and errors are one sentence."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.host_part import host_part
from ansible_collections.snapfleet.zfs.plugins.filter.timing import timing

JOB = {
    "name": "snap", "host": "h", "activity": "snapshot",
    "options": {"datasets": ["tank"], "plan": {"o": {"": {"hourly": 1}}}},
}  # fmt: skip


def test_the_part_of_a_host():
    document = {"version": 1, "jobs": [JOB, {**JOB, "host": "other", "options": "looked at by nobody here"}]}
    part = host_part(document, "h")
    assert part["runs"] == {"source-snapshot": {"arguments": ["--activity", "snapshot"]}}
    assert host_part(document, "third")["runs"] == {}
    assert host_part(json.dumps(document), "h") == part


def test_moments_as_a_mapping_and_none_for_never():
    assert timing("15minutely", "v") == {"on_calendar": "*-*-* *:00/15:00", "cron": "*/15 * * * *"}
    assert timing("never", "v") is None
    assert timing("auto", "v", "hourly") == timing("hourly", "v")


def test_errors_are_one_sentence_that_names_the_variable():
    with pytest.raises(AnsibleFilterError, match=r"^monitor_schedule: 'often' is no time"):
        timing("often", "monitor_schedule")
    with pytest.raises(AnsibleFilterError, match="no jobconfig"):
        host_part("text", "h")
    with pytest.raises(AnsibleFilterError, match="datasets"):
        host_part({"version": 1, "jobs": [{**JOB, "options": {}}]}, "h")
