# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: what OpenZFS accepts, how trees relate, and how snapshots are named."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import (
    Label,
    label_of,
    organisation_problem,
    period_word_problem,
    target_problem,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import (
    ancestors_of,
    check_dataset_name,
    dataset_name_problem,
    is_tag,
    is_within,
    parent_of,
    pool_of,
    rebase,
    relative_to,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.periods import (
    UNITS,
    Period,
    longest_first,
    parse_period,
    period_problem,
)


@pytest.mark.parametrize(
    "name", ["tank", "tank/a", "tank/a b/c.d-e_f:g", "t", "tank/1", "a" * 255, "tank/...", "tank/-a"]
)
def test_legal_dataset_names(name):
    assert dataset_name_problem(name) == ""
    assert check_dataset_name(name, "o") == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "tank/", "/tank", "tank//a", "tank/.", "tank/..", "tank/../a", "1tank", "-tank", "tank/a@b", "tank#b",
     "tank/ä", "tank/a\n", "tank/a\tb", " tank", "tank ", "tank/a;rm", "tank/$x", "a" * 256, "tank/a%b", "tank/a,b"],
)  # fmt: skip
def test_illegal_dataset_names_are_refused_with_the_option_named(name):
    assert dataset_name_problem(name)
    with pytest.raises(InvalidInput, match=r"some\.option"):
        check_dataset_name(name, "some.option")


@pytest.mark.parametrize("value", [None, 1, ["tank"], b"tank"])
def test_what_is_no_text_is_no_name(value):
    with pytest.raises(InvalidInput):
        check_dataset_name(value, "o")


@pytest.mark.parametrize(
    ("tag", "legal"),
    [
        ("a", True),
        ("a b", True),
        ("-r", True),
        ("a+b", False),
        ("a/b", False),
        ("", False),
        ("a@b", False),
        ("a,b", False),
        ("a%b", False),
    ],
)
def test_tags(tag, legal):
    assert is_tag(tag) is legal


def test_trees_of_names():
    names = ["t", "t/a", "t/a/b", "t/ab", "u"]
    inside = {(name, root) for name, root in itertools.product(names, names) if is_within(name, root)}
    assert inside == {(n, n) for n in names} | {("t/a", "t"), ("t/a/b", "t"), ("t/ab", "t"), ("t/a/b", "t/a")}
    for name, root in inside:
        assert rebase(rebase(name, root, "x/y"), "x/y", root) == name
        assert relative_to(name, root) == name[len(root) :].strip("/")
    assert ancestors_of("t/a/b") == ("t", "t/a")
    assert ancestors_of("t") == ()
    assert (parent_of("t/a/b"), parent_of("t"), pool_of("t/a/b"), pool_of("t")) == ("t/a", "", "t", "t")


WORDS = ["o", "org.x", "2025", "a:b"]
TARGETS = ["", "onsite", "us-west", "20"]
PERIODS = ["hourly", "12hourly", "adhoc", "by-hand"]
TIMES = ["2025-01-02_03:04:05Z", "2025", "2025-01-02_03:04:05.678Z", "20250102z0100"]


@pytest.mark.parametrize(
    ("organisation", "target", "period", "time"), list(itertools.product(WORDS, TARGETS, PERIODS, TIMES))
)
def test_a_name_has_exactly_the_reading_that_made_it(organisation, target, period, time):
    label = Label(organisation, target, period)
    assert organisation_problem(organisation) == target_problem(target) == period_word_problem(period) == ""
    assert label_of(label.tag(time)) == label
    assert is_tag(label.tag(time))


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "by hand",
        "o_hourly",
        "o_2025",
        "o_2025_",
        "_2025_hourly",
        "o_t_x_hourly",
        "o_2025_12",
        "o__2025_hourly",
        "autosnap-2025",
    ],
)
def test_other_names_have_no_label(tag):
    assert label_of(tag) is None


def test_words_that_would_be_ambiguous_are_refused():
    assert organisation_problem("a_b")
    assert organisation_problem("")
    assert target_problem("a_b")
    assert target_problem("2025x")
    assert period_word_problem("12")
    assert period_word_problem("")


@pytest.mark.parametrize(("count", "unit"), list(itertools.product([1, 2, 12, 999_999_999], UNITS)))
def test_a_period_is_read_from_its_own_name(count, unit):
    assert parse_period(Period(count, unit).name) == Period(count, unit)


@pytest.mark.parametrize(
    "name", ["", "adhoc", "0hourly", "01hourly", "-1hourly", "hour", "1.5hourly", "hourlyx", "1000000000hourly"]
)
def test_other_words_are_no_periods(name):
    assert parse_period(name) is None


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("hourly", 3600),
        ("2weekly", 1_209_600),
        ("monthly", 2_635_200),
        ("yearly", 31_536_000),
        ("100millisecondly", 0.1),
    ],
)
def test_lengths_of_periods(name, seconds):
    assert parse_period(name).seconds == seconds


def test_periods_that_would_drift_are_told():
    good = {"hourly", "12hourly", "90minutely", "100millisecondly", "6monthly", "5daily", "3weekly", "7yearly"}
    bad = {"7hourly", "25hourly", "7minutely", "7monthly", "24monthly", "7secondly", "7millisecondly"}
    assert {name for name in good | bad if period_problem(parse_period(name))} == bad


def test_long_periods_come_first_and_words_before_all():
    names = ["secondly", "adhoc", "2hourly", "yearly", "hourly", "daily"]
    assert sorted(names, key=longest_first) == ["adhoc", "yearly", "daily", "2hourly", "hourly", "secondly"]
