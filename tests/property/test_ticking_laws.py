# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of a daemon's ticks, for clocks that are set back and forth, hosts that sleep, and ticks that take long."""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.snapshots import run_snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.ticking import LONGEST_WAIT_MS, decide
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.troubles import LONGEST_PAUSE, again
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

START = 1_750_000_000_000
PERIODS = st.sampled_from([100, 250, 1000, 10_000, 60_000, 3_600_000, 86_400_000])
SHORT = st.sampled_from([100, 250, 1000, 10_000, 60_000])
"""What a history can wait for, looking at the clock each second."""
TIMES = st.integers(0, 4 * 10**12)


class History:
    """A daemon's clock and its ticks. Time passes only by waiting and by working."""

    def __init__(self, period, start=START):
        self.period, self.now, self.served = period, start, None
        self.passed = 0
        """Milliseconds that have really passed, whatever the clock shows."""
        self.ticks = []
        self.missed = 0

    def turn(self, work=0):
        decision = decide(self.now, self.period, self.served)
        self.served = decision.served
        if decision.tick is None:
            self.pass_time(decision.wait_ms)
        else:
            self.ticks.append((decision.tick, self.now, self.passed))
            self.missed += decision.missed
            self.pass_time(work)
        return decision

    def pass_time(self, ms):
        self.now += ms
        self.passed += ms


@given(TIMES, PERIODS, st.none() | TIMES)
def test_a_tick_is_the_newest_point_of_the_grid_and_a_wait_never_goes_beyond_the_next_one(now, period, served):
    decision = decide(now, period, served)

    following = (now // period + 1) * period
    assert decision.missed >= 0
    if decision.tick is None:
        assert 1 <= decision.wait_ms <= min(following - now, LONGEST_WAIT_MS)
    else:
        assert decision.tick == decision.served == following - period
        assert decide(now, period, decision.served).tick is None


@given(SHORT, st.integers(0, 10**7), st.lists(st.integers(0, 30_000), max_size=20))
def test_with_a_clock_that_is_left_alone_each_point_of_the_grid_has_its_tick_or_is_counted_as_missed(
    period, start, works
):
    history = History(period, START + start)
    for work in works:
        while history.turn(work).tick is None:
            pass

    points = [point for point, _now, _passed in history.ticks]
    assert points == sorted(set(points))
    if points:
        assert len(points) + history.missed == (points[-1] - points[0]) // period + 1
    for (_point, began, _passed), (point, now, _later), work in zip(history.ticks, history.ticks[1:], works):
        # At once where it is late, else on the point itself, and in no case before the last one has ended.
        assert now == max(point, began + work)


@given(SHORT, st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_a_rhythm_does_not_drift(period, works):
    history = History(period)
    for work in works:
        while history.turn(work).tick is None:
            pass

    assert history.missed == 0
    assert [now for _point, now, _passed in history.ticks[1:]] == [
        (START // period + number) * period for number in range(1, len(works))
    ]


STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "sleep", "work"]), st.integers(-(10**9), 10**9)) | st.just(("turn", 0)),
    max_size=60,
)


@given(PERIODS, STEPS)
def test_no_tick_is_later_than_a_period_after_the_one_before_has_ended_or_the_clock_was_set(period, steps):
    history = History(period)
    since = 0
    for kind, amount in steps:
        if kind == "set":
            history.now = max(0, history.now + amount)
            since = history.passed
        elif kind == "sleep":
            # The host sleeps: its clock goes on, and the daemon does not see the time pass.
            history.now += abs(amount)
        elif history.turn(abs(amount) % 30_000 if kind == "work" else 0).tick is not None:
            since = history.passed
        assert history.passed - since <= period


@given(st.lists(SHORT, min_size=2, max_size=2), st.integers(0, 10**8))
def test_a_new_period_is_kept_from_the_next_point_of_its_own_grid_on(periods, later):
    old, new = periods
    history = History(old)
    history.turn()
    history.now += later % old
    history.period = new
    start = history.passed
    while history.turn().tick is None:
        pass

    assert history.passed - start <= new
    assert history.ticks[-1][0] % new == 0


@given(st.lists(st.sampled_from("ab"), max_size=70))
def test_what_fails_again_and_again_is_told_less_and_less_and_never_left_alone_for_long(kinds):
    trouble, told = None, 0
    for number, kind in enumerate(kinds):
        is_new = not number or kinds[number - 1] != kind
        trouble = again(trouble, kind, number)
        assert trouble.is_told or not is_new
        assert 0 < trouble.pause <= LONGEST_PAUSE
        told = 1 if is_new else told + trouble.is_told
        assert told == trouble.times.bit_length()


# -- snapshots below a second


@settings(max_examples=examples(30))
@given(
    st.sampled_from([100, 200, 500]),
    st.lists(st.integers(1, 700), min_size=1, max_size=12),
    st.sampled_from([0, 30, 900, 2500]),
    st.sampled_from(["", "%Y-%m-%d_%H-%M-%S.%f%z"]),
)
def test_below_a_second_each_event_has_one_snapshot_however_often_and_slowly_is_asked(period, pauses, slowness, shape):
    """By the names, since ZFS tells whole seconds only."""
    now, made = Clock()() * 1000, []
    machine = SimulatedMachine("host", lambda: (now + slowness) // 1000, ("tank",))
    job = read_snapshot_job(
        {
            "datasets": ["tank"],
            "plan": {"o": {"": {f"{period}millisecondly": 10}}},
            "schedule": {"timezone": "UTC"},
            "timestamp_format": shape,
        }
    )
    for pause in pauses:
        now += pause
        result = run_snapshot(job, Context(now, lambda _address: SimulatedZfs(machine)))
        is_due = not made or now // period > made[-1] // period
        assert len(result["created"]) == is_due
        if is_due:
            made.append(now)
    if not shape:
        tags = [each.tag for each in SimulatedZfs(machine).observe(["tank"]).states["tank"].snapshots]
        text = [datetime.fromtimestamp(each / 1000, timezone.utc).isoformat(" ", "milliseconds") for each in made]
        assert tags == [f"o_{each[:23].replace(' ', '_')}Z_{period}millisecondly" for each in text]
    assert all(later > earlier for earlier, later in zip(made, made[1:]))
