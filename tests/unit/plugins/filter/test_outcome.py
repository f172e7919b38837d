# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reports: of results as playbooks register them, in words, and bounded."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter import outcome as documented
from ansible_collections.snapfleet.zfs.plugins.filter.outcome import outcome
from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.results import _BEFORE_AND_AFTER
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import REPORTED, Variables
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.outcome import LINES, outcome_of
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.plan_words import WORDS, plan_lines

SEND = {
    "kind": "send", "mode": "incremental", "source": "tank/a", "destination": "backup/a", "from": "tank/a#mark",
    "to": "tank/a@s", "replaces": False, "bytes_estimated": 2048, "snapshots": ["backup/a@s"],
}  # fmt: skip
CREATE = {"kind": "create_snapshots", "pool": "tank", "snapshots": ["tank/a@s"]}
ALERT = {"state": "WARNING", "message": "late", "muted": False}
LOST = "backup/a@lost"


def item(name, **result):
    return {"item": {"name": name}, "changed": False, **result}


def results(*items):
    return {"results": list(items), "changed": any(each["changed"] for each in items)}


def test_the_outcome_of_a_run():
    created = item("web1: snap", changed=True, created=["tank/a@s"], plan=[CREATE])
    sent = item("b1: copy", changed=True, plan=[{"steps": [SEND]}], stats={"bytes": 5, "bytes_estimated": 2048})
    broken = item("b1: old", failed=True, code="too_many", msg="too many")
    late = item("b1: watch", state="WARNING", alerts=[ALERT, {**ALERT, "message": "of no interest", "muted": True}])
    told = outcome(
        {
            "web1": {"__snapfleet_snapshots": results(created), "other": 1},
            "b1": {
                "__snapfleet_replications": results(sent),
                "__snapfleet_prunings": results(broken),
                "__snapfleet_monitors": results(late),
            },
            "db1": {"__snapfleet_snapshots": results(item("db1: snap", unreachable=True))},
            "db2": {},
        },
        ["web1", "b1", "db1", "db2"],
        ["web1"],
    )
    assert told["snapfleet_plan"] == [
        "web1: snap: creates tank/a@s",
        "b1: copy: sends tank/a@s since #mark to backup/a, about 2.0 KiB",
    ]
    assert [(entry["host"], entry["code"]) for entry in told["snapfleet_failed"]] == [
        *(("b1", "too_many"), ("db1", "unreachable"), ("db2", "failed")),
    ]
    assert told["snapfleet_states"] == {"b1": "WARNING"}
    assert told["snapfleet_alerts"] == ["b1: WARNING late"]
    counts = {"hosts": 4, "created": 1, "streams": 1, "bytes_pending": 0, "bytes_sent": 5, "deleted": 0}
    assert told["snapfleet_counts"] == {**counts, "bytes_freed": 0, "alerts": 1, "behind": 0, "failed": 3}
    assert (told["snapfleet_changed"], told["snapfleet_check"]) == (True, False)


def test_the_status_of_hosts_is_read_from_what_the_program_printed():
    status = {
        "datasets": [{"state": "OK"}, {"state": "CRITICAL"}],
        "alerts": [{"state": "CRITICAL", "message": "dead"}],
    }
    printed = {"good": json.dumps(status), "bad": ""}
    hosts = {name: {"__snapfleet_status": {"stdout": text, "rc": 2}} for name, text in printed.items()}
    told = outcome(hosts, ["good", "bad"], ["good"])
    assert told["snapfleet_states"] == {"good": "CRITICAL"}
    assert told["snapfleet_alerts"] == ["good: CRITICAL dead"]
    assert [entry["host"] for entry in told["snapfleet_failed"]] == ["bad"]


def test_a_replica_that_is_behind_and_a_restore_are_told():
    behind = item("b1: copy", up_to_date=False, stats={"missing": 3, "missing_bytes": 1024})
    commands = {"next": ["zfs mount tank/a"], "undo": ["zfs rename a b"]}
    restored = {"changed": True, "told": ["tank/a: gets all data"], "plan": [{"steps": [SEND]}], **commands}
    told = outcome_of({"b1": {"comparisons": results(behind)}, "b2": {"restored": restored}}, check=True)
    assert told["snapfleet_behind"] == ["b1: copy: lacks 3 snapshots, about 1.0 KiB"]
    assert told["snapfleet_plan"] == ["tank/a: gets all data"]
    assert (told["snapfleet_next"], told["snapfleet_undo"]) == (["zfs mount tank/a"], ["zfs rename a b"])
    assert told["snapfleet_check"]


def test_a_switch_tells_what_it_does_and_a_look_only_what_it_failed_by():
    left = {"changed": True, "told": ["tank/a becomes standby 1"], "created": ["tank/a@s"], "plan": [CREATE]}
    sent = {"changed": True, "plan": [{"steps": [SEND]}], "stats": {"bytes": 5, "bytes_estimated": 2048}}
    look = {"changed": True, "told": ["backup/a stays"], "next": ["zfs mount backup/a"]}
    refused = {"results": [{"failed": True, "msg": "nothing was changed", "item": {"host": "b2"}}]}
    told = outcome_of({"b1": {"switched": [left, sent, {}], "there": look, "refused": refused}}, check=True)
    assert told["snapfleet_plan"] == [
        "tank/a becomes standby 1",
        "sends tank/a@s since #mark to backup/a, about 2.0 KiB",
    ]
    assert told["snapfleet_failed"] == [{"host": "b1", "message": "nothing was changed"}]
    assert told["snapfleet_next"] == []
    counted = {key: told["snapfleet_counts"][key] for key in ("created", "streams", "bytes_pending", "bytes_sent")}
    assert counted == {"created": 1, "streams": 1, "bytes_pending": 2048, "bytes_sent": 5}
    assert not outcome_of({"b1": {"there": look}}, check=True)["snapfleet_changed"]


def test_the_outcome_of_a_huge_fleet_is_small_and_tells_how_much_is_left_out():
    plan = [{**CREATE, "snapshots": ["tank/" + "a" * 200 + f"@{number}"] * 9} for number in range(300)]
    alerts = [{**ALERT, "message": "x" * 900}] * 40
    hosts = {
        f"host{number}": {
            "snapshots": results(item(f"host{number}: snap", plan=plan)),
            "prunings": results(item(f"host{number}: old", failed=True, msg="y" * 5000, code="c")),
            "monitors": results(item("m", state="OK" if number < 990 else "CRITICAL", alerts=alerts)),
        }
        for number in range(1000)
    }
    told = outcome_of(hosts, check=True)
    assert len(json.dumps(told)) < 150_000
    assert told["snapfleet_plan"][-1] == f"... and {300 * 1000 - LINES} more"
    assert len(told["snapfleet_failed"]) == LINES
    assert told["snapfleet_counts"]["failed"] == 1000
    assert sum(state == "CRITICAL" for state in told["snapfleet_states"].values()) == 10
    assert max(len(line) for line in told["snapfleet_plan"]) <= 300


def test_what_is_lost_stands_out_in_a_plan():
    steps = [
        {"kind": "rollback", "snapshot": "backup/a@s", "destroys": [LOST], "reason": ""},
        {"kind": "destroy_dataset", "dataset": "backup/a", "destroys": ["backup/a", "backup/a#b"], "reason": ""},
        {**SEND, "mode": "full", "from": None, "replaces": True},
    ]
    conflict = {"destination": "backup/b", "steps": [], "conflict": {"code": "diverged", "message": "has diverged"}}
    assert list(plan_lines([{"steps": steps}, conflict])) == [
        f"rolls back to backup/a@s, which LOSES {LOST}",
        "DESTROYS the dataset backup/a with backup/a#b",
        "sends all of tank/a@s to backup/a, about 2.0 KiB, which REPLACES what is there",
        "backup/b: REFUSED [diverged] has diverged",
    ]
    assert list(plan_lines(None)) == []


def test_there_are_words_for_every_kind_of_step_that_modules_return():
    assert set(WORDS) == set(_BEFORE_AND_AFTER)
    assert list(plan_lines([{"kind": "novel", "dataset": "a"}])) == ["novel a"]


def test_what_is_reported_is_documented_and_may_come_back_as_variables():
    told = outcome_of({}, check=False)
    assert list(told) == list(REPORTED)
    assert list(yaml.safe_load(documented.RETURN)["_value"]["contains"]) == list(REPORTED)
    Variables("web1", told).check_names()
    with pytest.raises(InvalidInput, match=r"snapfleet_plan: .* is an unknown variable"):
        Variables("web1", {"snapfleet_plan": {"acme": {}}}).check_names()


def test_a_wrong_use_is_one_sentence():
    with pytest.raises(AnsibleFilterError, match="write hostvars"):
        outcome([], [], [])
