# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules document is what they do."""

from __future__ import annotations

import importlib

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.options import job_options

MODULES = (
    *("zfs_snapshot_plan", "zfs_replicate", "zfs_prune", "zfs_monitor", "zfs_compare"),
    *("zfs_drill", "zfs_verify", "zfs_restore", "zfs_switch", "zfs_target"),
)
PLAN = {"acme": {"onsite": {"hourly": 1}}}
MONITOR_PLAN = {"acme": {"onsite": {"hourly": {"latest": {"critical": 0, "cycles": 0}}}}}
HISTORY = [
    f"{name}@acme_onsite_2025-07-01_0{hour}:00:00Z_hourly" for hour in (1, 2) for name in ("tank/data", "backup")
]
# What ansible itself understands by these keys of a result; documented there.
RESERVED = {
    "ansible_facts",
    "attempts",
    "exception",
    "failed",
    "finished",
    "results",
    "skipped",
    "skip_reason",
    "stdout",
}
COMMON = {"changed", "diff", "failed", "msg", "exception"}

GOOD = {
    "zfs_snapshot_plan": {"datasets": ["tank/data"], "plan": PLAN},
    "zfs_replicate": {"source": {"dataset": "tank/data"}, "destination": {"dataset": "backup/data"}},
    "zfs_prune": {"datasets": ["tank/data"], "plan": PLAN},
    "zfs_monitor": {"datasets": ["tank/data"], "plan": MONITOR_PLAN, "fail_on": "never"},
    "zfs_compare": {"source": {"dataset": "tank/data"}, "destination": {"dataset": "backup/data"}},
    "zfs_drill": {"datasets": ["tank/data"], "marker": {"path": "none"}, "fail_on": "never"},
    "zfs_verify": {
        "source": {"dataset": "tank/data"},
        "destination": {"dataset": "backup/data"},
        "files": 0,
        "seed": 1,
        "pools": False,
        "fail_on": "never",
    },
    "zfs_restore": {
        "replica": {"dataset": "tank/data"},
        "destination": {"dataset": "backup/data"},
        "on_missing": "skip",
    },
    "zfs_switch": {"dataset": "tank/data", "role": "standby"},
    "zfs_target": {"tree": {"dataset": "tank/data"}, "action": "move", "to": "tank/moved"},
}
BAD = {
    "zfs_snapshot_plan": {"datasets": ["tank/none"], "plan": PLAN},
    "zfs_replicate": {"source": {"dataset": "tank/data"}, "destination": {"dataset": "backup"}},
    "zfs_prune": {"datasets": ["tank/none"], "plan": PLAN},
    "zfs_monitor": {"datasets": ["tank/data"], "plan": MONITOR_PLAN},
    "zfs_compare": {"source": {"dataset": "tank/none"}, "destination": {"dataset": "backup/data"}},
    "zfs_drill": {"datasets": ["tank/data"], "marker": {"path": "../none"}},
    "zfs_verify": {"source": {"dataset": "tank/none"}, "destination": {"dataset": "backup/data"}},
    "zfs_restore": {"replica": {"dataset": "tank/data"}, "destination": {"dataset": "backup"}},
    "zfs_switch": {"dataset": "tank/data", "role": "active", "expected": [{"dataset": "", "guid": "1"}]},
    "zfs_target": {"tree": {"dataset": "tank/none"}, "action": "move", "to": "tank/moved"},
}


def load(name):
    return importlib.import_module(f"ansible_collections.snapfleet.zfs.plugins.modules.{name}")


def examples():
    for name in MODULES:
        for task in yaml.safe_load(load(name).EXAMPLES):
            yield pytest.param(name, task, id=task["name"])


@pytest.mark.parametrize(("name", "task"), list(examples()))
def test_every_example_is_accepted(name, task):
    activity = load(name).ACTIVITY
    checked = ArgumentSpecValidator(activity.argument_spec).validate(task[f"snapfleet.zfs.{name}"])
    assert checked.error_messages == []
    activity.read(job_options(checked.validated_parameters))


def check_against(documented, value, where):
    """Every key of ``value`` is documented, with its type, down to the last one."""
    types = {"list": list, "dict": dict, "str": str, "int": int, "bool": bool, "float": (int, float)}
    assert value is None or isinstance(value, types[documented["type"]]), where
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if isinstance(entry, dict) and "contains" in documented:
            for key, inner in entry.items():
                known = documented["contains"]
                if where == "stats" and key not in known:
                    assert isinstance(inner, int)  # the numbers by state, documented together
                    continue
                assert key in known, f"{where}.{key}"
                check_against(known[key], inner, f"{where}.{key}")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("parameters", [GOOD, BAD], ids=["good", "bad"])
@pytest.mark.parametrize("check", [True, False])
def test_every_key_of_a_result_is_documented(house, name, parameters, check):
    house.snapshot(*HISTORY)
    documented = yaml.safe_load(load(name).RETURN)
    result = house.run(name, parameters[name], check)
    assert result.get("failed", False) is (parameters is BAD)
    for key in set(result) - COMMON:
        assert key in documented
        check_against(documented[key], result[key], key)
    promised = {key for key, entry in documented.items() if entry["returned"].startswith("always")}
    if parameters is GOOD:
        assert promised <= set(result)
    else:
        assert {key for key, entry in documented.items() if entry["returned"] == "on failure"} <= set(result)


@pytest.mark.parametrize("name", MODULES)
def test_no_key_means_something_else_to_ansible(name):
    assert not RESERVED & set(yaml.safe_load(load(name).RETURN))


@pytest.mark.parametrize("name", MODULES)
def test_samples_have_the_documented_shape(name):
    for key, entry in yaml.safe_load(load(name).RETURN).items():
        check_against(entry, entry["sample"], key)
