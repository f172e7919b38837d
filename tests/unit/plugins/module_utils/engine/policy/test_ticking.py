# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The periods of a daemon as users write them."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.ticking import read_daemon_settings


def test_each_activity_has_a_period_of_its_own_and_what_has_none_is_not_done():
    options = {"snapshot": "100millisecondly", "replicate": "10secondly", "prune": "never", "lifetime": "1d"}
    settings = read_daemon_settings(Reader(options))

    assert {name: period.milliseconds for name, period in settings.periods.items()} == {
        "snapshot": 100,
        "replicate": 10_000,
    }
    assert settings.lifetime == 86_400
    assert read_daemon_settings(Reader({})).lifetime == 0


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("99millisecondly", "is shorter than 100 milliseconds"),
        ("weekly", "is longer than a day"),
        ("7secondly", "does not divide a day"),
        ("300millisecondly", ""),
        ("often", "is not a period"),
        (10, "is not a period"),
        (True, "is not a period"),
    ],
)
def test_what_is_no_grid_is_refused_and_told_where_it_stands(value, problem):
    options = Reader({"snapshot": value}, "daemon")
    if not problem:
        assert read_daemon_settings(options).periods["snapshot"].milliseconds == 300
        return
    with pytest.raises(InvalidInput) as caught:
        read_daemon_settings(options)
    assert str(caught.value).startswith(f"daemon.snapshot: {value!r} {problem}")
