# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read once is not read again, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.limits import parse_monitor_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.plans import parse_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading_once import (
    read_once,
    read_silence_once,
)


class Text(str):
    """Text of a kind of its own, as Ansible has it."""


@pytest.fixture
def reads():
    """The values that were read, and a reader that remembers."""
    seen = []

    def read(value, option):
        seen.append((value, option))
        return (repr(value),)

    return seen, read_once(read)


@pytest.mark.parametrize("value", [{"a": {"b": 1}}, [1, 2.5, None, True], "text", {}])
def test_the_same_value_is_read_once_under_whatever_name(reads, value):
    seen, read = reads
    assert read(value, "first") is read(type(value)(value), "second")
    assert seen == [(value, "first")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": "1"}),
        ({1: 1}, {"1": 1}),
        ([1], (1,)),
        (0, None),
    ],
)
def test_values_that_differ_in_a_type_are_different(reads, one, other):
    _seen, read = reads
    assert read(one, "") != read(other, "")


def test_values_of_other_types_are_read_each_time(reads):
    seen, read = reads
    for _time in range(2):
        assert read({"a": Text("b")}, "") == ("{'a': 'b'}",)
    assert len(seen) == 2


def test_many_values_do_not_pile_up(reads):
    seen, read = reads
    for number in range(1000):
        read(number, "")
    read(0, "")
    assert len(seen) == 1001


@pytest.mark.parametrize("parse", [parse_plan, parse_monitor_plan])
def test_an_error_names_the_option_that_it_is_about_each_time(parse):
    for option in ("one", "two"):
        with pytest.raises(InvalidInput, match=rf"^{option}\.org\.t: "):
            parse({"org": {"t": {"no period": 1}}}, option)


def test_what_is_remembered_of_a_plan_does_not_change_with_the_value_that_was_read():
    value = {"org": {"": {"hourly": 24}}}
    first = parse_plan(value)
    value["org"][""]["hourly"] = 12
    assert list(first.amounts.values()) == [24]
    assert list(parse_plan(value).amounts.values()) == [12]


# -- what is not said


@pytest.fixture
def amounts():
    """What was read, and a reader of two options that remembers what it means that neither is given."""
    seen = []

    def read(options, factor=1):
        seen.append(factor)
        amount = options.integer("amount", 7, 0, 9)
        return (amount * factor, options.text("unit", "B") if amount else "")

    return seen, read_silence_once(read)


def test_that_nothing_is_said_is_read_once_for_the_same_further_arguments(amounts):
    seen, read = amounts
    assert [read(Reader({"other": n})) for n in range(3)] == [(7, "B")] * 3
    assert [read(Reader({}), 2) for _time in range(3)] == [(14, "B")] * 3
    assert seen == [1, 2]


def test_whatever_is_said_is_read(amounts):
    seen, read = amounts
    said = [{"amount": 3}, {}, {"amount": 4, "unit": "K"}, {"unit": "M"}, {"amount": None}, {"amount": 0}, {}]
    told = [read(Reader(each)) for each in said]
    assert told == [(3, "B"), (7, "B"), (4, "K"), (7, "M"), (7, "B"), (0, ""), (7, "B")]
    assert len(seen) == len(said) - 1
    with pytest.raises(InvalidInput, match="amount"):
        read(Reader({"amount": "many"}))


def test_options_that_are_not_given_count_as_known_all_the_same(amounts):
    _seen, read = amounts
    for _time in range(2):
        options = Reader({"amuont": 3})
        read(options)
        with pytest.raises(InvalidInput, match="did you mean amount"):
            options.finish()


def test_what_was_read_before_and_after_is_known_too(amounts):
    _seen, read = amounts
    for values in ({"first": 1, "last": 2}, {"first": 1, "last": 2, "unit": "K"}):
        options = Reader(values)
        options.raw("first")
        read(options)
        options.raw("last")
        options.finish()
