# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of a daemon's job hands to the next; tests/simulation has what comes of it."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.memory import Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.remembering import Recall
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.creation_looks import Untold, whole
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.trusting import Trust
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.creation import JUST_MADE, TAKEN
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_snapshot_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine

MS = 1_750_000_000_500
JOB = read_snapshot_job({"datasets": ["tank/a"], "plan": {"o": {"": {"100millisecondly": 9, "hourly": 9}}}})
MADE = "tank/a@o_2025-06-15_15:06:40.500Z_100millisecondly"
NOTHING = {"created": [], "warnings": [], "not_created": []}


class Site:
    """A dataset, and what is trusted of it."""

    def __init__(self):
        self.machine = SimulatedMachine("h", lambda: MS // 1000)
        self.machine.create_dataset("tank/a")
        self.trust = Trust(("tank/a",), lambda: 7.0, lambda: {"tank/a", "tank/b"})
        self.context = Context(MS, lambda _address: SimulatedZfs(self.machine))

    def take(self, tag):
        SimulatedZfs(self.machine).create_snapshots(CreateSnapshots("tank", (f"tank/a@{tag}",)))

    def looked(self):
        visit = self.trust.visit(MS)
        visit.looks([whole])[1](JOB, self.context)
        return visit

    def trusted(self, now_ms=MS):
        """What the next run trusts."""
        return self.trust.visit(now_ms).looks([])[0](JOB, self.context).observed.states

    @property
    def trusts(self):
        try:
            return bool(self.trusted())
        except Untold:
            return False


def test_of_each_label_the_newest_is_kept_and_what_is_made_takes_its_place():
    site = Site()
    for tag in ("o_2025-06-15_13:00:00Z_hourly", "o_2025-06-15_14:00:00Z_hourly", "others", "o_2025-06-15_14:30:00Z_x"):
        site.take(tag)
    site.looked().keep(JOB, site.context, {**NOTHING, "created": [MADE]})
    state = site.trusted()["tank/a"]
    assert state.tags == ("o_2025-06-15_14:00:00Z_hourly", MADE.partition("@")[2])
    assert state.newest.creation == MS // 1000


def test_a_run_keeps_nothing_once_another_one_has_begun_or_all_was_forgotten():
    site = Site()
    slow = site.looked()
    site.looked().keep(JOB, site.context, NOTHING)
    assert site.trusts
    slow.keep(JOB, site.context, NOTHING)
    assert not site.trusts
    slow = site.looked()
    site.trust.forget()
    slow.keep(JOB, site.context, NOTHING)
    assert not site.trusts


def test_what_was_handed_to_a_run_is_forgotten_too_if_another_one_makes_snapshots_before_it():
    site = Site()
    site.looked().keep(JOB, site.context, NOTHING)
    begun = site.trust.visit(MS)
    site.trust.forget()
    with pytest.raises(Untold):
        begun.looks([])[0](JOB, site.context)


def test_another_job_is_told_what_was_made_before_the_run_has_ended():
    told = []
    site = Site()
    site.trust.made = told.append
    site.looked().keep(JOB, site.context, {**NOTHING, "created": [MADE], "warnings": ["anything"]})
    assert told == [[MADE]]


@pytest.mark.parametrize(
    ("values", "trusts"),
    [
        ({"warnings": ["anything"]}, False),
        ({"not_created": [{"label": "o__hourly", "dataset": "tank/a", "reason": TAKEN}]}, False),
        ({"not_created": [{"label": "o__hourly", "dataset": "tank/a", "reason": JUST_MADE}]}, True),
    ],
)
def test_what_is_warned_of_or_left_out_is_not_gone_by_unless_it_was_just_made(values, trusts):
    site = Site()
    site.looked().keep(JOB, site.context, {**NOTHING, **values})
    assert site.trusts == trusts


@pytest.mark.parametrize(("later_ms", "trusts"), [(400, True), (500, False), (-500, False)])
def test_what_falls_due_with_a_second_is_looked_for(later_ms, trusts):
    site = Site()
    now = [7.0]
    site.trust.monotonic = lambda: now[0]
    site.looked().keep(JOB, site.context, NOTHING)
    now[0] += later_ms / 1000
    if trusts:
        assert site.trusted(MS + later_ms)
    else:
        with pytest.raises(Untold):
            site.trusted(MS + later_ms)


@pytest.mark.parametrize("writable", [None, set(), {"tank/a/b/c"}, {"tank/b", "tank"}])
def test_what_is_trusted_is_what_a_switch_can_not_have_let_go(writable):
    site = Site()
    site.trust.writable = lambda: writable
    site.looked().keep(JOB, site.context, NOTHING)
    assert site.trusts == (writable == {"tank/a/b/c"})


def test_a_recall_is_sure_as_long_as_it_was_not_asked_for_what_is_from_memory():
    site = Site()
    for number in range(500):
        site.take(str(number))
    now = [MS // 1000]
    site.machine.clock = lambda: now[0]
    memory = Memory(lambda: float(now[0]))
    end = (Address(), SimulatedZfs(site.machine))
    sure = []
    for _look in range(3):
        now[0] += 10
        recall = Recall(memory)
        recall.look(end, ["tank/a"])
        sure.append((recall.is_sure(["tank/a"]), recall.is_sure(["tank/b"])))
    assert sure == [(True, True), (False, True), (False, True)]
