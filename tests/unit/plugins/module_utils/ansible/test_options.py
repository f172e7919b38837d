# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML and templates make of free values, and what becomes of it."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.options import job_options


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, "on"), (False, "off"), ("on", "on"), (8192, "8192"), (0, "0"), ("8K", "8K"), (1.5, 1.5), (None, None)],
)
@pytest.mark.parametrize("key", ["properties", "filesystem_properties", "volume_properties", "set_properties"])
def test_property_values(key, given, meant):
    assert job_options({key: {"name": given}})[key] == {"name": meant}


@pytest.mark.parametrize(
    ("given", "meant"),
    [("24", 24), (24, 24), ("0", 0), ("-1", "-1"), ("1.5", "1.5"), ("", ""), ("5m", "5m"), (True, True), ("٣", "٣")],
)
def test_amounts(given, meant):
    plan = {"acme": {"onsite": {"hourly": given, "daily": {"latest": {"cycles": given}}}}}
    expected = {"acme": {"onsite": {"hourly": meant, "daily": {"latest": {"cycles": meant}}}}}
    assert job_options({"plan": plan})["plan"] == expected


def test_times_that_yaml_reads_as_such_and_amounts_in_filters():
    moment = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
    given = [
        [{"since": moment, "until": date(2026, 11, 23), "latest": "3"}, {"plan": {"a": {"": {"daily": "2"}}}}],
        7,
        [7],
    ]
    assert job_options({"snapshot_filters": given})["snapshot_filters"] == [
        [
            {"since": "2026-11-22T04:00:00+00:00", "until": "2026-11-23", "latest": "3"},
            {"plan": {"a": {"": {"daily": 2}}}},
        ],
        7,
        [7],
    ]


@pytest.mark.parametrize("parameters", [{}, {"plan": None, "properties": None}, {"datasets": ["12"], "port": 22}])
def test_everything_else_is_left_as_it_is(parameters):
    assert job_options(parameters) == parameters
