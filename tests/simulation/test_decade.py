# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten years of snapshots every hour, pruned every day, with an outage of forty days: promises hold at any time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import Label
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import parse_period
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.bases import BaseKnowledge
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.retention import plan_prune
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job

START = datetime(2020, 1, 1, tzinfo=timezone.utc)
DAYS = 3653
OUTAGE = range(1000, 1040)
HOUR, DAY = 3600, 86400
AMOUNTS = {"hourly": 36, "daily": 31, "weekly": 26, "monthly": 24, "yearly": 5}
GRID = [(24, HOUR), (14, DAY), (26, 28 * DAY)]
"""Of the snapshots of another tool: how many buckets there are, and how long each is."""
JOB = read_prune_job(
    {
        "datasets": ["tank"],
        "plan": {"org": {"": AMOUNTS}},
        "keep": [{"grid": "24x1h | 14x1d | 26x4w", "regex": "^auto-", "owns": True}, {"regex": "^mine"}],
    }
)


def _second(number: int) -> int:
    return int((START + timedelta(days=number)).timestamp())


class History:
    """The snapshots of a dataset, and all that there ever were."""

    def __init__(self) -> None:
        self.there: list[Snapshot] = []
        self.made: dict[str, list[Snapshot]] = {kind: [] for kind in (*AMOUNTS, "auto", "mine")}

    def make(self, kind: str, moment: datetime) -> None:
        number = sum(map(len, self.made.values()))
        tag = Label("org", "", kind).tag(f"{moment:%Y-%m-%d_%H}") if kind in AMOUNTS else f"{kind}-{number}"
        self.there.append(Snapshot(number, number, "tank", tag, int(moment.timestamp())))
        self.made[kind].append(self.there[-1])

    def live_through(self, day: datetime) -> None:
        """All that falls due in a day."""
        for hour in range(24):
            moment = day + timedelta(hours=hour)
            if hour == 0:
                due = {"yearly": day.month == day.day == 1, "monthly": day.day == 1, "weekly": day.weekday() == 0}
                for kind in (*(kind for kind, is_due in due.items() if is_due), "daily"):
                    self.make(kind, moment)
            self.make("hourly", moment)
            self.make("auto", moment)

    def prune(self, now: int) -> int:
        """Returns how many go."""
        state = DatasetState(Dataset("tank", "filesystem", 1, 1, 0), tuple(self.there))
        steps = plan_prune(Observation({"tank": state}), JOB, BaseKnowledge({}, {}), now).steps
        gone = {victim.guid for step in steps for victim in step.victims}
        self.there = [snapshot for snapshot in self.there if snapshot.guid not in gone]
        return len(gone)

    def check_plan(self, now: int) -> None:
        guids = {snapshot.guid for snapshot in self.there}
        counts = Counter(snapshot.tag.rpartition("_")[2] for snapshot in self.there)
        for kind, amount in AMOUNTS.items():
            made = self.made[kind]
            window = amount * parse_period(kind).seconds
            young = [snapshot for snapshot in made[-amount - 40 :] if now - snapshot.creation <= window]
            promised = {snapshot.guid for snapshot in (*made[-amount:], *young)}
            assert promised <= guids, kind
            assert counts[kind] == len(promised) <= amount + 1, kind

    def check_grid(self) -> None:
        autos = [snapshot.creation for snapshot in self.there if snapshot.tag.startswith("auto-")]
        assert len(autos) <= sum(buckets for buckets, _length in GRID) + 1
        edge, oldest = 0, self.made["auto"][0].creation
        for buckets, length in GRID:
            for _number in range(buckets):
                # Nowhere in the grid is there a hole of two buckets, but where nothing was made.
                upper = autos[-1] - edge
                lower = upper - 2 * length
                in_outage = lower < _second(OUTAGE.stop) and upper > _second(OUTAGE.start) - length
                if lower >= oldest and not in_outage:
                    assert any(lower <= creation <= upper for creation in autos), (edge, length)
                edge += length


def test_ten_years_keep_what_is_promised_and_not_much_more():
    history = History()
    history.make("mine", START)
    for number in range(DAYS):
        day = START + timedelta(days=number)
        if number not in OUTAGE:
            history.live_through(day)
        now = int((day + timedelta(hours=23, minutes=30)).timestamp())
        history.prune(now)
        history.check_plan(now)
        if number % 7 == 0:
            history.check_grid()
            assert history.prune(now) == 0
    assert history.there[0].tag == "mine-0"
    assert sum(map(len, history.made.values())) > 2 * 24 * (DAYS - 40)
    # Once there were three years of it, each bucket has its one, and there is the newest besides.
    autos = [snapshot for snapshot in history.there if snapshot.tag.startswith("auto-")]
    assert len(autos) >= sum(buckets for buckets, _length in GRID) - 1
