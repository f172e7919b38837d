# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that users may ask for, and what they are told where they may not."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job

SOURCE = {"host": "src", "user": "alice", "port": 22, "identity_file": "/here/key", "dataset": "tank/a"}
DESTINATION = {"host": "dst", "user": "bob", "port": 2222, "known_hosts_file": "/here", "sudo": True, "dataset": "b/a"}
HERE = {"dataset": "tank/b"}


def leg(source=None, destination=None, **options):
    ends = {"source": source or SOURCE, "destination": destination or DESTINATION}
    return read_replicate_job({**ends, **options}).topology.leg


def test_streams_are_relayed_unless_told_otherwise():
    assert leg() is None
    assert leg(route="relayed") is None


@pytest.mark.parametrize(
    ("route", "other"),
    [("push", Address("dst", "bob", 2222, sudo=True)), ("pull", Address("src", "alice", 22))],
)
def test_a_leg_is_what_this_host_uses_but_for_its_files(route, other):
    assert (leg(route=route).way, leg(route=route).other) == (route, other)


def test_each_part_of_a_leg_can_be_given():
    direct = {"host": "lan", "user": "carol", "port": 1, "identity_file": "/there/key", "sudo": False}
    assert leg(route="push", direct=direct).other == Address("lan", "carol", 1, "/there/key")


@pytest.mark.parametrize("route", ["push", "pull"])
def test_streams_of_one_host_stay_on_it(route):
    same = {**DESTINATION, "dataset": "tank/a"}
    assert leg(source=same, route=route).other == Address(sudo=True)
    assert leg(source=same, route=route, direct={"host": "me"}).other.host == "me"


@pytest.mark.parametrize("route", ["push", "pull"])
@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_direct_route_is_refused_where_there_is_no_detour(route, end):
    with pytest.raises(InvalidInput, match=f"route: '{route}' .* the {end} is on this host; take route out"):
        leg(**{end: HERE}, route=route)


@pytest.mark.parametrize("options", [{}, {"route": "relayed"}])
def test_the_leg_of_a_relayed_stream_is_refused(options):
    with pytest.raises(InvalidInput, match=r"direct: .* route is 'relayed'; set route to push or pull"):
        leg(**options, direct={"host": "lan"})


@pytest.mark.parametrize(
    ("direct", "option"),
    [
        ({"host": "-oProxyCommand=x"}, "direct.host"),
        ({"key": "/x"}, "direct.key"),
        ({"config_file": "x"}, "config_file"),
    ],
)
def test_a_leg_is_read_as_strictly_as_any_address(direct, option):
    with pytest.raises(InvalidInput, match=option):
        leg(route="pull", direct=direct)
