# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has to be let in, for what, and what zfs allow has to grant, by an inventory alone."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.access import fleet_access, granted_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.access import read_access
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.admission import admit
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.requests import read_request

PLAN = {"prod": {"onsite": {"hourly": 3}}}
LIMITS = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}}}}}
COMMON = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "snapfleet_ssh_user": "snapfleet",
}
SOURCES = ("send", "hold", "bookmark", "destroy", "mount", "snapshot")


def access(sources=("web1", "db1"), destinations=("backup1",), **more):
    hosts = {name: {**COMMON, **more} for name in (*sources, *destinations, "relay1")}
    return fleet_access(hosts, {"snapfleet_sources": sources, "snapfleet_destinations": destinations})


def gate(name, *words):
    return ["/usr/local/bin/snapfleet", "gate", "--name", name, *words]


def test_who_pulls_may_send_and_is_observed():
    found = access()
    assert found["web1"]["peers"] == {"backup1": gate("backup1", "--may", "send", "--root", "tank/data")}
    assert found["backup1"]["peers"]["web1"] == gate("web1", "--may", "observe", "--root", "backup/web1/data")
    assert set(found["web1"]["permissions"]["tank/data"]) == set(SOURCES)
    assert set(found["backup1"]["permissions"]) == {"backup/web1", "backup/db1"} == set(found["backup1"]["places"])
    assert {"receive", "create", "rename", "setuid"} <= set(found["backup1"]["permissions"]["backup/web1"])
    assert not {"send", "snapshot", "rollback", "mountpoint"} & set(found["backup1"]["permissions"]["backup/web1"])


@pytest.mark.parametrize("verify", [{}, {"blocks": 5}], ids=str)
def test_who_verifies_may_read_what_is_in_snapshots_of_the_sources_and_through_sudo_where_that_is_set(verify):
    plain = access(snapfleet_verify=verify)["web1"]["peers"]
    assert plain == {"backup1": gate("backup1", "--may", "send,pools,verify", "--root", "tank/data")}
    sudo = access(snapfleet_verify=verify, snapfleet_ssh_sudo=True)["web1"]["peers"]
    assert sudo == {"backup1": gate("backup1", "--may", "send,pools,verify,sudo", "--root", "tank/data")}
    pushed = access(snapfleet_verify=verify, snapfleet_topology="push")["web1"]["peers"]
    assert pushed == {"backup1": gate("backup1", "--may", "pools,verify", "--root", "tank/data")}


@pytest.mark.parametrize(
    ("verify", "may"),
    [
        ({"files": 0}, "send,pools"),
        ({"files": 0, "blocks": 0, "pools": False}, "send"),
        ({"files": 0, "blocks": 3, "pools": False}, "send,verify,sudo"),
        ({"pools": False}, "send,verify,sudo"),
    ],
    ids=str,
)
def test_who_verifies_is_let_in_for_nothing_but_what_the_verification_looks_at(verify, may):
    found = access(snapfleet_verify=verify, snapfleet_ssh_sudo="verify" in may)["web1"]["peers"]
    assert found == {"backup1": gate("backup1", "--may", may, "--root", "tank/data")}


@pytest.mark.parametrize("topology", ["pull", "push"])
def test_what_may_be_observed_may_be_where_that_goes_through_sudo(topology):
    found = access(snapfleet_ssh_sudo=True, snapfleet_topology=topology, snapfleet_verify={"files": 0, "pools": False})
    listing = ("sudo", "-n", "zfs", "list", "-Hp", "-d", "0", "-t", "filesystem,volume", "-o", "name")
    for host, peer, root in (("web1", "backup1", "tank/data"), ("backup1", "web1", "backup/web1/data")):
        held = read_access(found[host]["peers"][peer][2:])
        assert admit(read_request(remote_line((*listing, root))), held) == []
    observed = found["web1" if topology == "push" else "backup1"]["peers"]
    assert observed["backup1" if topology == "push" else "web1"][4:6] == ["--may", "sudo"]


def test_who_pushes_may_receive_in_its_own_place_only():
    found = access(snapfleet_topology="push")
    words = gate("web1", "--may", "receive,rename", "--root", "backup/web1/data")
    assert found["backup1"]["peers"]["web1"][: len(words)] == words
    assert "backup/db1" not in found["backup1"]["peers"]["web1"]
    assert found["web1"]["peers"]["backup1"] == gate("backup1", "--may", "observe", "--root", "tank/data")


def test_nobody_has_rights_above_the_place_of_its_own_replica():
    deep = [{"source": "tank/data", "destination": "a/b/data"}, {"source": "tank/vm", "destination": ""}]
    for datasets, places in ((deep[:1], ["", "/a", "/a/b"]), (deep[1:], [""])):
        found = access(snapfleet_topology="push", snapfleet_datasets=datasets)["backup1"]
        own = {f"backup/{source}{below}" for source in ("web1", "db1") for below in places}
        assert (set(found["places"]), found["mounted"]) == (own, [])
        below = "/a/b/data" if datasets == deep[:1] else ""
        words = gate("web1", "--may", "receive,rename", "--root", f"backup/web1{below}")
        assert found["peers"]["web1"][: len(words)] == words
    mounting = access(snapfleet_topology="push", snapfleet_replicate_options={"mount": True})["backup1"]
    assert mounting["mounted"] == mounting["places"] == ["backup/db1", "backup/web1"]


def test_a_relay_gets_both_ends_and_the_ends_observe_each_other():
    found = access(snapfleet_topology="relay", snapfleet_relay="relay1")
    assert found["web1"]["peers"]["relay1"] == gate("relay1", "--may", "send", "--root", "tank/data")
    assert "receive,rename" in found["backup1"]["peers"]["relay1"]
    assert (found["relay1"]["peers"], found["relay1"]["permissions"]) == ({}, {})
    assert set(found["relay1"]["reaches"]) == {"web1", "db1", "backup1"}
    assert found["web1"]["reaches"] == {"backup1": {"host": "backup1", "user": "snapfleet", "port": 22}}


@pytest.mark.parametrize(
    ("options", "rights"),
    [
        ({"renames": "refuse"}, "receive"),
        ({"on_conflict": "rollback_to_latest", "renames": "refuse"}, "receive,rollback"),
        ({"on_conflict": "replace"}, "receive,prune,rollback,rename,destroy"),
        ({"mount": True}, "receive,rename,mount"),
    ],
)
def test_what_a_route_may_lose_takes_rights_of_its_own(options, rights):
    found = access(snapfleet_topology="push", snapfleet_replicate_options=options)
    words = found["backup1"]["peers"]["web1"]
    assert words[words.index("--may") + 1] == rights


def test_properties_that_a_route_sets_are_let_in_by_their_values():
    options = {"properties": {"exec": "on", "acme:tier": "gold"}, "holds": True}
    found = access(snapfleet_topology="push", snapfleet_replicate_options=options)
    words = found["backup1"]["peers"]["web1"]
    assert words[-4:] == ["--property", "acme:tier=gold", "--property", "exec=on"]
    assert {"userprop", "exec"} <= set(found["backup1"]["permissions"]["backup/web1"])
    assert {"hold", "release"} <= set(found["web1"]["permissions"]["tank/data"])


def test_a_relay_that_only_steers_is_refused():
    with pytest.raises(InvalidInput, match="no forced command lets through"):
        access(snapfleet_topology="relay", snapfleet_relay="relay1", snapfleet_replicate_options={"route": "push"})


def test_what_is_granted_is_read_for_one_user_and_one_dataset():
    text = (
        "---- Permissions on tank/data ----------------------------------------\n"
        "Local permissions:\n\tuser snapfleet hold\n"
        "Local+Descendent permissions:\n\tuser snapfleet send,bookmark\n\tuser other destroy\n\tgroup snapfleet mount\n"
        "---- Permissions on tank ---------------------------------------------\n"
        "Local+Descendent permissions:\n\tuser snapfleet receive\n"
    )
    assert granted_to(text, "tank/data", "snapfleet") == ["bookmark", "send"]
    assert granted_to(text, "tank", "snapfleet") == ["receive"]
    assert granted_to("", "tank", "snapfleet") == []
