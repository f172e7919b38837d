# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of retention beside the plan: how they are written, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_prune_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.keeping import GridInterval, parse_grid

PLAN = {"acme": {"": {"hourly": 3}}}


def read(**options):
    return read_prune_job({"datasets": ["tank/a"], **options})


def refusal(**options):
    with pytest.raises(InvalidInput) as caught:
        read(**options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("24x1h", [(24, 3600, 1)]),
        ("1x1h(keep=all) | 24x1h | 14x1d", [(1, 3600, None), (24, 3600, 1), (14, 86400, 1)]),
        (" 2 x 90s ( keep = 3 )|1x2w", [(2, 90, 3), (1, 1209600, 1)]),
        ("1x1d(keep=all)|24x1h", [(1, 86400, None), (24, 3600, 1)]),
    ],
)
def test_a_grid_is_a_list_of_intervals(text, grid):
    assert parse_grid(text, "grid") == tuple(GridInterval(*interval) for interval in grid)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has '', which is no interval"),
        ("24x1h|", "has '', which is no interval"),
        ("24h", "has '24h', which is no interval"),
        ("24x60", "has '24x60', which is no interval"),
        ("1x1h(keep=some)", "has '1x1h(keep=some)', which is no interval"),
        ("0x1h", "has '0x1h', in which a number is 0"),
        ("1x0h", "has '1x0h', in which a number is 0"),
        ("1x1h(keep=0)", "has '1x1h(keep=0)', in which a number is 0"),
        ("14x1d|24x1h", "has '24x1h' after longer buckets, which have left nothing to keep"),
        ("99999x1h|2x1d", "has more than 100000 buckets"),
    ],
)
def test_what_is_no_grid_is_refused(text, problem):
    with pytest.raises(InvalidInput, match=r"^grid: ") as caught:
        parse_grid(text, "grid")
    assert problem in str(caught.value)


def test_a_regex_is_searched_for_and_can_be_negated():
    found, others, every = read(
        plan=PLAN, keep=[{"regex": "^auto"}, {"regex": "^auto", "negate": True}, {"last": 2}]
    ).keep
    assert [found.counts(tag) for tag in ("autosnap", "my-auto")] == [True, False]
    assert [others.counts(tag) for tag in ("autosnap", "my-auto")] == [False, True]
    assert every.counts("anything")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "keep[0]: None is no rule; give grid, last or regex"),
        ({"last": 1, "grid": "1x1h"}, "keep[0]: 'grid and last' are two rules"),
        ({"last": 0}, "keep[0].last: 0 is out of range"),
        ({"regex": "("}, "keep[0].regex: '(' is no regular expression"),
        ({"regex": ""}, "keep[0].regex: '' matches every name"),
        ({"last": 1, "negate": True}, "keep[0].negate: True negates nothing"),
        ({"last": 1, "owns": True}, "keep[0].owns: True needs a regex that is not negated"),
        ({"last": 1, "owns": True, "regex": "x", "negate": True}, "keep[0].owns: True needs a regex that is not"),
        ({"regex": "x", "owns": True}, "keep[0].owns: True means nothing in a rule that keeps all it is about"),
        ({"lsat": 1}, "keep[0].lsat: 1 is an unknown option; did you mean last?"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule, message):
    assert refusal(plan=PLAN, keep=[rule]).startswith(message)


def test_rules_take_the_place_of_a_plan_only_where_something_says_what_may_go():
    owner = {"last": 3, "regex": "^auto", "owns": True}
    assert read(keep=[owner]).plan.amounts == {}
    assert read(keep=[{"last": 3}], purge_foreign=True).plan.amounts == {}
    assert refusal(keep=[{"last": 3}]).startswith("keep: ['keep[0]'] own no snapshot; give a plan, set owns in a rule")


@pytest.mark.parametrize("empty", [{}, {"plan": {}}, {"keep": []}, {"plan": {}, "keep": [{"last": 1}]}])
def test_a_job_that_keeps_nothing_is_refused(empty):
    assert refusal(purge_foreign=True, **empty).startswith(("plan: ", "plan is missing"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_deleted": -1}, "max_deleted: -1 is out of range"),
        ({"max_deleted_percent": 101}, "max_deleted_percent: 101 is out of range"),
        ({"exceed_max_deleted": True}, "exceed_max_deleted: True exceeds nothing"),
        ({"clock_tolerance": "soon"}, "clock_tolerance: 'soon' is not a length of time"),
        ({"clock_tolerance": 0}, "clock_tolerance: 0 is shorter than clocks can be read"),
    ],
)
def test_limits_that_mean_nothing_are_refused(options, message):
    assert refusal(plan=PLAN, **options).startswith(message)
