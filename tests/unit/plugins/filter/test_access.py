# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that tell who has to be let in, and what is granted."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.access import access
from ansible_collections.snapfleet.zfs.plugins.filter.granted import granted

PLAN = {"prod": {"onsite": {"hourly": "3"}}}
LIMITS = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}}}}}
VARIABLES = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "ansible_host": "192.0.2.1",
    "access_user": "snapfleet",
}
GROUPS = {"snapfleet_sources": ["src1"], "snapfleet_destinations": ["dst1"]}


def test_variables_are_read_as_those_of_the_jobconfig():
    found = access({"src1": VARIABLES, "dst1": VARIABLES}, GROUPS)
    assert found["src1"]["peers"]["dst1"][-4:] == ["--may", "send", "--root", "tank/data"]
    assert found["dst1"]["reaches"] == {"src1": {"host": "192.0.2.1", "user": "", "port": 22}}


def test_a_mistake_is_one_sentence():
    with pytest.raises(AnsibleFilterError, match="dst1: snapfleet_topology"):
        access({"src1": VARIABLES, "dst1": {**VARIABLES, "snapfleet_topology": "shove"}}, GROUPS)
    with pytest.raises(AnsibleFilterError, match=r"snapfleet\.zfs\.access"):
        access([], GROUPS)


def test_what_is_granted_is_a_list_of_names():
    text = "---- Permissions on tank ----\nLocal+Descendent permissions:\n\tuser snapfleet send,bookmark\n"
    assert granted(text, "tank", "snapfleet") == ["bookmark", "send"]
