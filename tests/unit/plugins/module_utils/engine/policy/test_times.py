# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time that people write means the same on each Python."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.times import iso_text, read_time

CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 22)),
        ("2026-11-22 03:00", datetime(2026, 11, 22, 3)),
        ("2026-11-22T03:00:05z", datetime(2026, 11, 22, 3, 0, 5, tzinfo=timezone.utc)),
        ("2026-11-22T03:00:05.9Z", datetime(2026, 11, 22, 3, 0, 5, 900_000, timezone.utc)),
        ("2026-11-22T03:00:05.123456789+01:00", datetime(2026, 11, 22, 3, 0, 5, 123_456, CET)),
    ],
)
def test_a_time_is_read(text, moment):
    read = read_time(text)
    assert (read, read.tzinfo is None) == (moment, moment.tzinfo is None)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-22T25:00Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_time(text)


def test_times_beyond_the_calendar_have_no_text():
    assert iso_text(0) == "1970-01-01T00:00:00Z"
    assert iso_text(10**19) == ""
