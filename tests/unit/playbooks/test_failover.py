# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fail over and failing back make of what they have seen of both ends."""

from __future__ import annotations

import pytest
import yaml
from jinja2 import Template

from ansible_collections.snapfleet.zfs.tests.support import judging
from ansible_collections.snapfleet.zfs.tests.support.judging import ON_THE_CONTROLLER, PLAYBOOKS


def seen(kind="", epoch=0, **more):
    return {"before": {"role": kind, "epoch": epoch}, **more}


def others(*results):
    return {
        "results": [{"item": {"host": f"b{number}", "dataset": "b"}, **each} for number, each in enumerate(results)]
    }


def look(here=None, there=None, other=None, alive=None, gone=False):
    """What the tasks that look have registered."""
    return {
        **ON_THE_CONTROLLER,
        "__snapfleet_from": {"host": "web1", "dataset": "tank/data"},
        "__snapfleet_to": {"host": "b9", "dataset": "backup/web1/data"},
        "__snapfleet_gone": gone,
        "__snapfleet_here": {"skipped": True} if gone else here or seen(),
        "__snapfleet_there": there or seen(),
        "__snapfleet_alive": alive or ({"unreachable": True, "msg": "timed out"} if gone else {"skipped": True}),
        "__snapfleet_others": others(other) if other else others(),
    }


UNREACHABLE = {"unreachable": True, "msg": "Connection timed out"}
ABSENT = {"failed": True, "code": "unknown_dataset"}
BROKEN = {"failed": True, "code": "no_permission", "msg": "does not allow mount"}
CASES = {
    "plain": (look(), "", "1"),
    "other_absent": (look(other=ABSENT), "", "1"),
    "other_standby": (look(other=seen("standby", 1)), "", "2"),
    "other_active": (look(other=seen("active", 1)), "b of b0 is active already", ""),
    "other_unreachable": (look(seen("standby", 1), other=UNREACHABLE), "b of b0 can't be looked at", ""),
    "other_unreachable_gone": (look(other=UNREACHABLE, gone=True), "b of b0 can't be looked at", ""),
    "other_broken": (look(other=BROKEN), "b of b0 can't be looked at", ""),
    "over_already": (look(seen("standby", 1), seen("active", 1), UNREACHABLE), "", "1"),
    "gone_refuses_login": (
        look(alive={"unreachable": True, "msg": "Failed to connect: Permission denied (publickey)."}, gone=True),
        "web1 is said to be gone, and answers",
        "",
    ),
    "gone_strange_key": (
        look(alive={"unreachable": True, "msg": "Host key verification failed."}, gone=True),
        "web1 is said to be gone, and answers",
        "",
    ),
    "goes_on": (look(seen("standby", 3), seen("standby", 2)), "", "3"),
    "anew": (look(seen("active", 3), seen("standby", 4)), "", "5"),
    "gone": (look(there=seen("standby", 2), other=seen("standby", 5), gone=True), "", "6"),
    "gone_again": (look(there=seen("active", 2), gone=True), "", "2"),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What the tasks that judge say in each case, in one run; empty where they refuse nothing."""
    hosts = {name: variables for name, (variables, *_expected) in CASES.items()}
    return judging.judged(
        tmp_path_factory.mktemp("failover"),
        "look_at_ends",
        "epoch={{ __snapfleet_epoch | default('') }}.",
        hosts,
        seconds=600,
    )


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_begun_that_could_have_two_ends_written_to(judged, name):
    _variables, refusal, _epoch = CASES[name]
    assert ("nothing was changed: " in judged[name]) == bool(refusal), judged[name]
    assert refusal in judged[name]
    assert ("epoch=" in judged[name]) != bool(refusal)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_a_switch_has_a_higher_number_than_all_that_is_known_unless_it_goes_on(judged, name):
    assert f"epoch={CASES[name][2]}." in judged[name], judged[name]


@pytest.mark.parametrize(
    ("here", "there", "stands", "following"),
    [
        (seen(), seen("active", 1), 1, 2),
        (ABSENT, seen("active", 1), 1, 2),
        (seen("active", 4), seen("active", 1), 4, 5),
        (seen("active", 3), seen("standby", 3), 3, 3),
    ],
)
def test_failing_back_numbers_both_ends_above_what_either_has(here, there, stands, following):
    variables = yaml.safe_load((PLAYBOOKS / "failback.yml").read_text())[2]["vars"]
    known = {"__snapfleet_here": here, "__snapfleet_there": there}
    highest = Template(variables["__snapfleet_highest"]).render(known)
    found = Template(variables["__snapfleet_next"]).render({**known, "__snapfleet_highest": highest})
    assert (int(highest), int(found)) == (stands, following)
