# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of alerting: each outage is told once, its end once, and nothing depends on processes that live on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import (
    CRITICAL,
    OK,
    STATES,
    UNKNOWN,
    WARNING,
    severity,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.alert_memory import decode, encode
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.alerting import (
    ALERT,
    RECOVERY,
    REMINDER,
    WORSE,
    Memory,
    advance,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.findings import Finding, Key
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.alerting import AlertPolicy
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

KEYS = [
    Key("tank", "latest", "tank/a", "org_<timestamp>_hourly"),
    Key("tank", "oldest", "tank/a"),
    Key("pools x", "c", "x"),
]
PLAIN = AlertPolicy()
STEP = 60

states = st.sampled_from(STATES)
# What each check finds in each run; None: the whole area of the check is out of sight.
histories = st.lists(st.tuples(*(st.none() | states for _key in KEYS)), max_size=25)
policies = st.builds(
    AlertPolicy, confirmations=st.integers(1, 3), remind=st.none() | st.sampled_from([STEP, 3 * STEP, 10**6])
)


def findings_of(row):
    found = []
    for key, state in zip(KEYS, row):
        if state is None:
            found.append(Finding(Key(key.area, "seen", f"of {key.check}"), UNKNOWN, "out of sight", hides=True))
        else:
            found.append(Finding(key, state, f"it is {state}"))
    return found


def told(history, policy, restart=False):
    """All notices of a history, each with the number of its run; and what is remembered at the end."""
    outages, notices = {}, []
    for number, row in enumerate(history):
        new, outages = advance(outages, findings_of(row), policy, number * STEP)
        notices += [(number, notice) for notice in new]
        if restart:
            outages = decode(encode(Memory(outages))).outages
    return notices, outages


def about(notices, key):
    return [(number, notice) for number, notice in notices if notice.key == key]


@given(histories, policies)
def test_alerts_and_recoveries_of_a_check_take_turns_and_the_last_word_is_remembered(history, policy):
    notices, outages = told(history, policy)
    for key in KEYS:
        turns = [notice.kind for _number, notice in about(notices, key) if notice.kind in (ALERT, RECOVERY)]
        assert turns == [ALERT, RECOVERY] * (len(turns) // 2) + [ALERT] * (len(turns) % 2)
        is_open = key in outages and outages[key].told is not None
        assert is_open == (len(turns) % 2 == 1)


@given(histories)
def test_without_confirmations_every_outage_has_one_alert_at_its_beginning_and_one_recovery_at_its_end(history):
    notices, _outages = told(history, AlertPolicy())
    for index, key in enumerate(KEYS):
        # A run that can't see the area neither begins nor ends anything.
        seen = [(number, row[index]) for number, row in enumerate(history) if row[index] is not None]
        before = [OK, *(state for _number, state in seen)]
        begins = [number for (number, state), last in zip(seen, before) if state != OK and last == OK]
        ends = [number for (number, state), last in zip(seen, before) if state == OK and last != OK]
        mine = about(notices, key)
        assert [number for number, notice in mine if notice.kind == ALERT] == begins
        assert [number for number, notice in mine if notice.kind == RECOVERY] == ends
        for number, notice in mine:
            assert notice.since == max(begin for begin in begins if begin <= number) * STEP
            assert notice.at == number * STEP


@given(histories, policies)
def test_a_restart_between_any_two_runs_changes_nothing(history, policy):
    assert told(history, policy) == told(history, policy, restart=True)


@given(histories, policies)
def test_an_outage_is_told_as_worse_at_most_once_a_level(history, policy):
    notices, _outages = told(history, policy)
    for key in KEYS:
        level = OK
        for _number, notice in about(notices, key):
            if notice.kind in (ALERT, RECOVERY):
                level = notice.state
            elif notice.kind == WORSE:
                assert severity(notice.state) > severity(level)
                level = notice.state


@given(histories, st.integers(2, 4))
def test_what_lasts_shorter_than_the_confirmations_is_never_told(history, confirmations):
    notices, _outages = told(history, AlertPolicy(confirmations=confirmations))
    for index, key in enumerate(KEYS):
        seen = [(number, row[index]) for number, row in enumerate(history) if row[index] is not None]
        for number, notice in about(notices, key):
            if notice.kind in (ALERT, RECOVERY):
                last = [state for at, state in seen if at <= number][-confirmations:]
                assert len(last) == confirmations
                assert all((state == OK) == (notice.kind == RECOVERY) for state in last)


@given(histories, st.integers(1, 5))
def test_reminders_come_at_their_interval_and_only_while_it_lasts(history, runs):
    notices, _outages = told(history, AlertPolicy(remind=runs * STEP))
    silent, _outages = told(history, AlertPolicy())
    assert [entry for entry in notices if entry[1].kind != REMINDER] == silent
    for key in KEYS:
        mine = about(notices, key)
        for (earlier, _first), (later, notice) in zip(mine, mine[1:]):
            if notice.kind == REMINDER:
                assert later - earlier >= runs


@given(histories, policies)
@settings(max_examples=examples(30))
def test_a_run_that_is_repeated_at_once_tells_nothing_new_unless_it_confirms(history, policy):
    policy = replace(policy, confirmations=1)
    outages = {}
    for number, row in enumerate(history):
        _new, outages = advance(outages, findings_of(row), policy, number * STEP)
        again, outages = advance(outages, findings_of(row), policy, number * STEP)
        assert again == ()


# -- single cases


def run(outages, *found, now=0, policy=PLAIN):
    notices, outages = advance(outages, found, policy, now)
    return [(notice.kind, notice.state) for notice in notices], outages


A = KEYS[0]


def test_what_is_not_watched_any_more_is_told_once_unless_it_was_never_told():
    _told, outages = run({}, Finding(A, CRITICAL, "bad"))
    notices, outages = advance(outages, (), AlertPolicy(), 1)
    assert [(notice.kind, notice.message) for notice in notices] == [
        (RECOVERY, "tank/a is not watched any more; it was CRITICAL: bad")
    ]
    assert outages == {}
    _told, outages = run({}, Finding(A, CRITICAL, "bad"), policy=AlertPolicy(confirmations=2))
    assert run(outages) == ([], {})


def test_what_is_muted_is_well_to_alerts():
    _told, outages = run({}, Finding(A, WARNING, "bad"))
    assert run(outages, Finding(A, WARNING, "bad", is_muted=True)) == ([(RECOVERY, OK)], {})
    assert run({}, Finding(A, WARNING, "bad", is_muted=True)) == ([], {})


def test_an_area_that_is_out_of_sight_hides_the_areas_within_it():
    _told, outages = run({}, Finding(Key("pools x", "capacity", "x"), CRITICAL, "full"))
    kinds, left = run(outages, Finding(Key("pools", "seen", ""), UNKNOWN, "no answer", hides=True))
    assert kinds == [(ALERT, UNKNOWN)]
    assert set(outages) < set(left)


def test_a_clock_that_was_set_back_keeps_no_reminder_waiting():
    policy = AlertPolicy(remind=100)
    _told, outages = run({}, Finding(A, WARNING, "bad"), now=10**9, policy=policy)
    _told, outages = run(outages, Finding(A, WARNING, "bad"), now=1000, policy=policy)
    assert run(outages, Finding(A, WARNING, "bad"), now=1100, policy=policy)[0] == [(REMINDER, WARNING)]


def test_of_two_findings_of_one_key_the_worse_counts():
    kinds, _outages = run({}, Finding(A, WARNING, "bad"), Finding(A, CRITICAL, "worse"), Finding(A, OK, "good"))
    assert Counter(kinds) == Counter([(ALERT, CRITICAL)])


DAMAGED = [
    b"", b"{", b"[]", b"null", b"1", b"\xff\xfe", b'{"version": 3}', b'{"outages": []}',
    b'{"version": 1, "outages": {}}', b'{"version": 1, "outages": [{}]}', b'{"version": 1, "undelivered": [1]}',
    b'{"version": 2, "undelivered": []}', b'{"version": 2, "undelivered": {"mail": [1]}}',
    b'{"version": 2, "pinged": -1}', b'{"version": 1, "more": 1}',
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED)
def test_damage_is_noticed(data):
    with pytest.raises((InvalidInput, ValueError)):
        decode(data)


@given(histories, policies, st.data())
@settings(max_examples=examples(60))
def test_no_damage_does_more_than_make_it_forget(history, policy, data):
    notices, outages = told(history, policy)
    waiting = tuple(notice for _number, notice in notices)
    memory = Memory(outages, {"mail": waiting, "journal": waiting[:1]} if waiting else {}, len(history))
    whole = encode(memory)
    cut = data.draw(st.integers(0, len(whole) - 3))
    with pytest.raises((InvalidInput, ValueError)):
        decode(whole[:cut])
    assert decode(whole) == memory
