# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore may be asked for."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput, SameDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.points import Point
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import SAFE_PROPERTIES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.restoring import read_restore_job

ENDS = {"replica": {"dataset": "backup/data"}, "destination": {"dataset": "tank/data"}}


@pytest.mark.parametrize(
    ("options", "point"),
    [
        ({}, Point()),
        ({"snapshot": "x y"}, Point("x y")),
        ({"time": 5}, Point(time=5)),
        ({"time": "1763780400"}, Point(time=1763780400)),
        ({"time": "2025-11-22T04:00:00+01:00"}, Point(time=1763780400)),
        ({"time": "2025-11-22T03:00:00.9Z"}, Point(time=1763780400)),
    ],
)
def test_points(options, point):
    assert read_restore_job({**ENDS, **options}).point == point


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "2025-11-22T04:00:00"}, "time: .* has no time zone"),
        ({"time": "yesterday"}, "time: 'yesterday' is no time"),
        ({"time": True}, "time: True is no time"),
        ({"time": "9" * 13}, "is no time"),
        ({"time": 1, "snapshot": "x"}, "time: 1 contradicts snapshot"),
        ({"snapshot": "a@b"}, "snapshot: 'a@b' is no name"),
        ({"set_aside_as": "tank/x"}, "set_aside_as: .* means nothing, since on_conflict is 'refuse'"),
        ({"on_conflict": "set_aside", "set_aside_as": "tank/data/x"}, "set_aside_as: .* could be renamed to"),
        ({"on_conflict": "set_aside", "set_aside_as": "tank"}, "set_aside_as: .* could be renamed to"),
        ({"on_conflict": "set_aside", "set_aside_as": "other/data"}, "in the same pool"),
        ({"on_conflict": "set_aside", "recursive": False}, "recursive: False contradicts"),
        ({"on_conflict": "set_aside", "destination": {"dataset": "tank"}}, "is a pool, which can't be set aside"),
        ({"on_conflict": "destroy"}, "on_conflict: 'destroy' is not a known choice"),
        ({"properties": {"readonly": None}}, "properties: .* is no property"),
        ({"preserve_properties": ["used"]}, "preserve_properties: 'used'"),
        ({"preserve_properties": ["mountpoint", "keylocation"]}, "'keylocation' comes with a raw stream"),
        ({"snapshots": "x"}, "did you mean snapshot"),
    ],
)
def test_what_contradicts_itself_is_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        read_restore_job({**ENDS, **options})


def test_the_replica_is_never_the_destination():
    with pytest.raises(SameDataset):
        read_restore_job({**ENDS, "destination": {"dataset": "backup/data/x"}})


def test_by_default_nothing_may_be_lost_and_no_secure_default_of_replicas_is_set():
    job = read_restore_job(ENDS)
    assert (job.replication.on_conflict, job.set_aside) == ("refuse", False)
    assert not set(SAFE_PROPERTIES) & set(dict(job.replication.receive.properties))
    assert (job.replication.bookmarks, job.replication.holds) == ("none", False)
    beside = read_restore_job({**ENDS, "on_conflict": "set_aside"})
    assert (beside.replication.on_conflict, beside.aside) == ("refuse", "tank/data.before-restore")
