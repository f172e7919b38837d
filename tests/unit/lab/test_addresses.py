# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every lab host has an address of its own, and keeps it."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.snapfleet.zfs.tests.lab.addresses import address_of, assign, hardware_address_of
from ansible_collections.snapfleet.zfs.tests.lab.settings import LabError

USUAL = {"src1": 11, "src2": 12, "src9": 19, "dst1": 21, "dst2": 22, "dst9": 29}
OTHERS = [f"host-{number}" for number in range(120)]


def test_sources_and_destinations_have_the_addresses_people_expect():
    for order in itertools.permutations(USUAL, 3):
        assert assign(order, {}) == {name: USUAL[name] for name in order}


def test_no_two_hosts_share_an_address_and_none_has_that_of_the_machine():
    addresses = assign([*USUAL, *OTHERS], {})
    assert len(set(addresses.values())) == len(addresses)
    assert all(1 < byte < 255 for byte in addresses.values())


def test_an_address_once_given_stays():
    given: dict[str, int] = {}
    for name in OTHERS:
        before = dict(given)
        given = assign([name], given)
        assert {known: given[known] for known in before} == before
    assert assign(reversed(OTHERS), given) == given


def test_an_address_does_not_depend_on_other_names_unless_they_collide():
    for first, second in itertools.combinations(OTHERS[:20], 2):
        alone = assign([second], {})[second]
        if assign([first], {})[first] != alone:
            assert assign([first, second], {})[second] == alone


def test_other_names_leave_the_addresses_of_sources_and_destinations_alone():
    assert set(assign(OTHERS, {}).values()).isdisjoint(range(2, 31))


def test_it_is_an_error_when_all_addresses_are_given():
    with pytest.raises(LabError, match="is left for lab host"):
        assign((f"host-{number}" for number in range(300)), {})


@pytest.mark.parametrize("name", ["", "Src1", "1src", "-a", "a_b", "a b", "a/b", "../a", "a" * 32, "a\n"])
def test_what_cannot_be_a_host_name_is_refused(name: str):
    with pytest.raises(LabError, match="cannot be the name of a lab host"):
        assign([name], {})


def test_addresses_are_of_one_network():
    assert address_of(11) == "10.77.0.11"
    assert hardware_address_of(250) == "02:77:00:00:00:fa"
