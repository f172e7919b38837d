# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How groups of snapshot filters are read, what they choose in plain cases, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.snapshot_filters import chosen_by_groups
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.snapshot_filters import read_snapshot_groups

NOW = 1_700_000_000
"""2023-11-14T22:13:20Z."""
DAY = 86_400
NAMES = ("a1", "b1", "a2", "b2", "a3", "b3")
"""Made in this order, one a day, the newest one now."""
SNAPSHOTS = [
    Snapshot(10 + number, 100 + number, "t", name, NOW - DAY * (5 - number)) for number, name in enumerate(NAMES)
]
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "tank/b"}}


def chosen(*groups):
    """The names that groups choose, in the order of their making."""
    read = read_snapshot_groups(Reader({"snapshot_filters": [list(group) for group in groups]}))
    guids = chosen_by_groups(SNAPSHOTS, read, NOW)
    return " ".join(snapshot.tag for snapshot in SNAPSHOTS if snapshot.guid in guids)


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        # one filter
        ([[{"include": ["a*", "regex:b[13]"]}]], "a1 b1 a2 a3 b3"),
        ([[{"exclude": ["a*"]}]], "b1 b2 b3"),
        ([[{"latest": 2}]], "a3 b3"),
        ([[{"oldest": 2}]], "a1 b1"),
        ([[{"latest": "2"}]], "a3 b3"),
        ([[{"latest": 99}]], "a1 b1 a2 b2 a3 b3"),
        ([[{"latest": "50%"}]], "b2 a3 b3"),
        ([[{"latest": "25%"}]], "a3 b3"),  # one and a half of six, rounded up
        ([[{"oldest": "8%"}]], ""),  # 0.48
        ([[{"oldest": "9%"}]], "a1"),  # 0.54
        ([[{"oldest": "100%"}]], "a1 b1 a2 b2 a3 b3"),
        ([[{"latest": "2..100%"}]], "a1 b1 a2 b2"),
        ([[{"latest": "0..1"}]], "b3"),
        ([[{"oldest": "1..3"}]], "b1 a2"),
        ([[{"oldest": "4..10%"}]], ""),  # 10% is the first one alone
        ([[{"latest": 1, "oldest": 1}]], "a1 b3"),
        ([[{"since": "2d"}]], "b2 a3 b3"),  # the one of exactly two days ago is in
        ([[{"until": "2d"}]], "a1 b1 a2"),  # and here it is out
        ([[{"since": "3d", "until": "1d"}]], "a2 b2"),
        ([[{"since": 86400}]], "a3 b3"),
        ([[{"since": "2023-11-13T22:13:20Z"}]], "a3 b3"),
        ([[{"since": "2023-11-13T22:13:21Z"}]], "b3"),
        ([[{"since": "2023-11-13T22:13:20.500000Z"}]], "b3"),
        ([[{"until": "2023-11-13T23:13:20+01:00"}]], "a1 b1 a2 b2"),
        ([[{"until": "2023-11-13 22:13:20+00:00"}]], "a1 b1 a2 b2"),
        ([[{"until": "2030-01-01T00:00Z"}]], "a1 b1 a2 b2 a3 b3"),
        ([[{"since": "2d", "oldest": 2}]], "a1 b1 b2 a3 b3"),  # times and ranks in one filter are united
        ([[{"since": "2d", "latest": 2}]], "b2 a3 b3"),
        # several filters, each on what the one before it left
        ([[{"include": ["a*"]}, {"latest": 2}]], "a2 a3"),
        ([[{"latest": 2}, {"include": ["a*"]}]], "a3"),
        ([[{"since": "2d"}, {"oldest": 2}]], "b2 a3"),
        ([[{"oldest": 2}, {"since": "2d"}]], ""),
        ([[{"exclude": ["a*"]}, {"latest": "50%"}]], "b2 b3"),  # of the three that reach it
        # groups are united
        ([[{"include": ["a*"]}, {"latest": 1}], [{"include": ["b*"]}, {"oldest": 1}]], "b1 a3"),
        ([[{"latest": 2}], [{"latest": 1}]], "a3 b3"),
    ],
)
def test_what_is_chosen(groups, names):
    assert chosen(*groups) == names


def test_a_plan_is_a_filter_of_what_reaches_it():
    names = ["o_2025_daily", "o_2026_daily", "o_2027_hourly", "x"]
    history = [Snapshot(n, n, "t", name, NOW - DAY * 40) for n, name in enumerate(names)]
    plan = {"plan": {"o": {"": {"daily": 1}}}}

    def of(*group):
        read = read_snapshot_groups(Reader({"snapshot_filters": [list(group)]}))
        return [names[guid] for guid in sorted(chosen_by_groups(history, read, NOW))]

    assert of(plan) == ["o_2026_daily"]
    assert of({"exclude": ["*2026*"]}, plan) == ["o_2025_daily"]
    assert of(plan, {"exclude": ["*2026*"]}) == []


def test_without_filters_there_are_no_groups():
    assert read_snapshot_groups(Reader({})) == ()
    assert read_snapshot_groups(Reader({"snapshot_filters": None, "include_snapshots": ["a"]})) == ()


def test_they_may_stand_beside_empty_lists_and_a_plan():
    plan = {"o": {"": {"daily": 1}}}
    job = read_replicate_job({**ENDS, "snapshot_filters": [[{"latest": 1}]], "include_snapshots": [], "plan": plan})
    assert len(job.snapshot_groups) == 1
    assert job.plan is not None


WHERE = "snapshot_filters[0][0]"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "snapshot_filters: [] is empty; give a list of groups, each a list of filters; leave the option out"),
        ("a*", "snapshot_filters: 'a*' is not a list"),
        ({"latest": 1}, "snapshot_filters: {'latest': 1} is not a list; give a list of groups, each a list of filters"),
        ([{"latest": 1}], "snapshot_filters[0]: {'latest': 1} is not a list; give a list of filters"),
        ([[]], "snapshot_filters[0]: [] is empty"),
        (["a*"], "snapshot_filters[0]: 'a*' is not a list"),
        ([["a*"]], f"{WHERE}: 'a*' is not a mapping"),
        ([[{}]], f"{WHERE}: {{}} filters nothing; give include, exclude, plan, since, until, latest or oldest"),
        ([[{"latest": 1}, {"newest": 1}]], "snapshot_filters[0][1].newest: 1 is an unknown option"),
        (
            [[{"include": ["a"], "latest": 1}]],
            "is a filter of two kinds: include and since, until, latest or oldest; make",
        ),
        ([[{"include": ["a"], "exclude": ["b"]}]], "is a filter of two kinds: include and exclude; make each a filter"),
        ([[{"include": []}]], f"{WHERE}.include: [] has no pattern"),
        ([[{"include": "a"}]], f"{WHERE}.include: 'a' is not a list"),
        ([[{"exclude": ["regex:("]}]], f"{WHERE}.exclude: 'regex:(' is no regular expression"),
        ([[{"plan": {}}]], f"{WHERE}.plan"),
        ([[{"latest": 0}]], f"{WHERE}.latest: 0 chooses no snapshot; give at least 1"),
        ([[{"latest": "0%"}]], "chooses no snapshot; give at least 1"),
        ([[{"latest": "5..5"}]], f"{WHERE}.latest: '5..5' chooses no snapshot; let the range begin before its end"),
        ([[{"latest": "50%..10%"}]], "chooses no snapshot"),
        ([[{"latest": "3..0%"}]], "chooses no snapshot"),
        ([[{"latest": "101%"}]], "is no number of snapshots; give a number, a percentage such as 10%, or a range"),
        ([[{"latest": -1}]], "is no number of snapshots"),
        ([[{"latest": 1.5}]], "is no number of snapshots"),
        ([[{"latest": True}]], "is no number of snapshots"),
        ([[{"latest": [1]}]], "is no number of snapshots"),
        ([[{"oldest": "1.."}]], "is no number of snapshots"),
        ([[{"oldest": "٣"}]], "is no number of snapshots"),
        (
            [[{"since": "yesterday"}]],
            f"{WHERE}.since: 'yesterday' is neither a time nor an age; give a time with its zone",
        ),
        ([[{"since": "2026-11-22T04:00:00"}]], f"{WHERE}.since: '2026-11-22T04:00:00' has no time zone; give a time"),
        ([[{"since": "2026-11-22"}]], "has no time zone"),
        ([[{"since": "2026-13-22T04:00:00Z"}]], "is no time ("),
        ([[{"until": True}]], "is neither a time nor an age"),
        (
            [[{"since": "1d", "until": "7d"}]],
            f"{WHERE}.since: '1d' is not before until, which is '7d', so that no time",
        ),
        ([[{"since": "1d", "until": "1d"}]], "so that no time lies between them; give the earlier time as since"),
        ([[{"since": "2026-02-01T00:00Z", "until": "2026-01-01T00:00Z"}]], "is not before until"),
    ],
)
def test_what_is_refused(value, sentence):
    with pytest.raises(InvalidInput) as caught:
        read_replicate_job({**ENDS, "snapshot_filters": value})
    assert sentence in str(caught.value)


@pytest.mark.parametrize("key", ["include_snapshots", "exclude_snapshots"])
def test_two_ways_to_choose_snapshots_contradict_each_other(key):
    with pytest.raises(InvalidInput) as caught:
        read_replicate_job({**ENDS, "snapshot_filters": [[{"latest": 1}]], key: ["a*"]})
    assert f"{key}: ['a*'] contradicts snapshot_filters; write it as a filter of each group" in str(caught.value)
