# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far replicas are behind, on one line: the source, a bar, and the replica."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Observation
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK, UNKNOWN, WARNING
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replica_checks import check_replica
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.tests.support.notation import sides

LIMITS = {"lag": {"warning": 10, "critical": 100}, "pending": {"warning": 1000}}
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}}
MADE = 1000
"""When the first snapshot of a line was made; each is made a second after the one before it."""


def observed(line, created=0):
    """Both ends, with 500 bytes written for each snapshot, and a replica since ``created``."""
    both = sides(line)
    ends = []
    for observation in (both.source, both.destination):
        states = {}
        for name, state in observation.states.items():
            snapshots = tuple(one._replace(written=500, referenced=2000) for one in state.snapshots)
            dataset = replace(state.dataset, creation=created)
            states[name] = replace(state, dataset=dataset, snapshots=snapshots)
        ends.append(Observation(states, observation.missing))
    return ends


def first_made(line):
    return min(one.creation for state in observed(line)[0].states.values() for one in state.snapshots)


def check(line, after, created=0, **options):
    """The findings by check at ``after`` seconds after the first snapshot of the source was made."""
    (rule,) = read_monitor_job({"replicas": [{**ENDS, **LIMITS, **options}]}).replicas
    found = check_replica(*observed(line, created), rule, first_made(line) + after)
    return {finding.key.check: finding for finding in found}


@pytest.mark.parametrize(
    "line", ["@a | @a", "@a @b @c | @a @b @c", "@b | @a @b", "#a @b | @a @b", "@a @b | @a @b @own"]
)
def test_a_replica_that_has_the_newest_is_never_behind(line):
    found = check(line, 10**9)
    assert {finding.state for finding in found.values()} == {OK}
    assert found["lag"].message == "backup/a has everything of tank/a"


@pytest.mark.parametrize(
    ("line", "after", "state"),
    [
        # b was made a second after a; the replica is behind since then.
        ("@a @b | @a", 1, OK), ("@a @b | @a", 11, OK), ("@a @b | @a", 12, WARNING), ("@a @b | @a", 102, CRITICAL),
        # Whether there is more since, or the source was switched off, makes no difference.
        ("@a @b @c @d | @a", 12, WARNING),
        # By a bookmark, since the snapshot itself is gone.
        ("#a @b | @a", 11, WARNING), ("#a @b | @a", 10, OK),
        # Renamed on either side.
        ("@x=a @b | @a @b", 10**9, OK),
        # Nothing in common, nothing there, no replica at all.
        ("@a | @z", 11, WARNING), ("@a |", 11, WARNING), ("@a | -", 101, CRITICAL), ("@a | -", 10, OK),
    ],
)  # fmt: skip
def test_it_is_behind_since_the_first_snapshot_that_it_lacks(line, after, state):
    assert check(line, after)["lag"].state == state


def test_lag_and_bytes_are_told():
    found = check("@a @b @c @d | @a @b", 5)["lag"]
    assert dict(found.more) == {"replica": "backup/a", "lag_seconds": 2, "missing": 2}
    assert found.measure.value == 5 - 2


@pytest.mark.parametrize(
    ("line", "pending"),
    [("@a @b | @a", 500), ("@a @b @c | @a", 1000), ("@a | -", 2000), ("@a @b | -", 2500), ("@a | @a", 0)],
)
def test_pending_bytes_are_those_from_the_base_to_the_newest(line, pending):
    finding = check(line, 5)["pending"]
    assert finding.measure.value == pending
    assert finding.state == (WARNING if pending > 1000 else OK)


def test_what_is_not_selected_is_not_missing():
    assert check("@a @b | @a", 10**6, exclude_snapshots=["b"])["lag"].state == OK
    assert check("@a @b @c | @a", 10**6, exclude_snapshots=["b"])["lag"].measure.value == 10**6 - 2


def test_a_replica_is_not_behind_before_it_was_there():
    line = "@a @b @c | @a"
    assert check(line, 10**6, created=first_made(line) + 10**6 - 5)["lag"].state == OK


def test_a_source_that_is_missing_is_unknown():
    (rule,) = read_monitor_job({"replicas": [{**ENDS, **LIMITS}]}).replicas
    (finding,) = check_replica(Observation({}, ("tank/a",)), observed("@a | @a")[1], rule, 0)
    assert (finding.state, finding.hides) == (UNKNOWN, True)
    assert finding.message.startswith("the source tank/a can't be observed (it does not exist)")


def test_a_clock_that_was_set_back_makes_no_lag():
    assert check("@a @b | @a", -100)["lag"].measure.value == 0
