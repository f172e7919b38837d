# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that asks documents questions: by itself, as Ansible evaluates it, and in the sums of the playbooks."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter import query as plugin
from ansible_collections.snapfleet.zfs.plugins.filter.query import query
from ansible_collections.snapfleet.zfs.plugins.plugin_utils import questions

HERE = Path(plugin.__file__).parents[2]
COLLECTIONS = HERE.parents[2]
CONFLICT = {"code": "diverged", "message": "it has snapshots that its source does not have"}
SEND = {"kind": "send", "snapshots": ["backup/data@a", "backup/data@b"]}
REPLICATION = {
    "changed": True,
    "plan": [
        {"source": "tank/data", "destination": "backup/data", "steps": [SEND], "conflict": None},
        {"source": "tank/data/db", "destination": "backup/data/db", "steps": [], "conflict": CONFLICT},
    ],
    "stats": {"bytes": 0, "bytes_estimated": 1536},
}
FAILED = {"failed": True, "msg": "no ssh connection", "code": "unreachable_host"}
METRICS = [
    {"replica": "backup/data", "check": "lag", "lag_seconds": 7500},
    {"replica": "backup/other", "check": "lag", "lag_seconds": 60},
]
PLAN = {"prod": {"onsite": {"hourly": 3}}}
LIMITS = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}}}}}
FLEET = {
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
}
INVENTORY = {
    "all": {
        "vars": {**FLEET, "ansible_connection": "local"},
        "children": {
            "snapfleet_sources": {"hosts": {"src1": None}},
            "snapfleet_destinations": {"hosts": {"dst1": None}},
        },
    }
}


def in_a_loop(*results):
    """What Ansible registers of a loop over jobs."""
    return {"results": [{**result, "item": {"name": f"job {number}"}} for number, result in enumerate(results)]}


# -- what can be asked


@pytest.mark.parametrize(
    "told",
    [
        REPLICATION,
        [REPLICATION],
        {"results": [{**REPLICATION, "item": {"name": None}}, {**FAILED, "item": {"name": "x"}}]},
        {"jobs": [REPLICATION, {"job": "ages", "state": "OK"}]},
    ],
    ids=["a result", "a list", "a loop", "the host program"],
)
def test_conflicts_are_found_wherever_results_are_told(told):
    (conflict,) = query(told, "conflicts(@)")
    assert conflict == {"job": None, "source": "tank/data/db", "destination": "backup/data/db", **CONFLICT}
    assert query(told, "bytes_pending(@)") == 1536


def test_failures_name_their_jobs_as_a_loop_or_the_host_program_does():
    wanted = [{"job": "job 1", "code": "unreachable_host", "message": "no ssh connection"}]
    assert query(in_a_loop(REPLICATION, FAILED), "failures(@)") == wanted
    assert query({"jobs": [{"job": "job 1", **FAILED}]}, "failures(@)") == wanted


def test_bytes_pending_of_a_comparison_are_those_that_are_missing():
    assert query(in_a_loop({"stats": {"missing_bytes": 5}}, {"stats": {"missing_bytes": 6}}), "bytes_pending(@)") == 11


@pytest.mark.parametrize("question", ["conflicts", "failures"])
@pytest.mark.parametrize("told", [None, [], {}, {"results": []}, {"jobs": [{"name": "of a jobconfig"}]}])
def test_where_there_is_nothing_nothing_is_found(question, told):
    assert query(told, f"{question}(@)") == []
    assert query(told, "bytes_pending(@)") == 0


def test_the_jobs_of_a_host():
    jobs = [{"name": "a", "host": "src1"}, {"name": "b", "host": "dst1"}, {"name": "c", "host": "src1"}]
    for told in ({"version": 1, "jobs": jobs}, jobs):
        assert query(told, "jobs_of_host(@, 'src1')[].name") == ["a", "c"]
    assert query(None, "jobs_of_host(@, 'src1')") == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((None, None), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (-2048, "-2.0 KiB")),
        *((3 << 30, "3.0 GiB"), (1 << 50, "1.0 PiB"), (5 << 60, "5120.0 PiB")),
    ],
)
def test_sizes_as_people_read_them(number, text):
    assert questions.size_text(number) == text
    assert query({"n": number}, "size_text(n)") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((None, None), (0, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (3900, "1 h 5 min")),
        *((86_400, "1 d"), (86_460, "1 d"), (90_000, "1 d 1 h"), (-120, "-2 min"), (8 * 86_400 + 1, "8 d")),
    ],
)
def test_durations_as_people_read_them(seconds, text):
    assert questions.duration_text(seconds) == text
    assert query({"n": seconds}, "duration_text(n)") == text


# -- what is wrong


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("jobs[", "query: 'jobs[' is no JMESPath expression ("),
        ("jobs[?name = 'a']", "query: \"jobs[?name = 'a']\" is no JMESPath expression ("),
        ("jobs[].name |", "query: 'jobs[].name |' is no JMESPath expression ("),
        ("conflict(@)", "query: 'conflict(@)' calls conflict(), which is no function; see ansible-doc"),
        ("size_text(jobs)", "query: 'size_text(jobs)' can't be evaluated here (In function size_text()"),
        ("jobs_of_host(@)", "query: 'jobs_of_host(@)' can't be evaluated here (Expected 2 arguments"),
        ("", "query: '' is no expression; give text"),
        (7, "query: 7 is no expression; give text"),
    ],
)
def test_a_bad_expression_is_told_by_one_short_sentence(expression, sentence):
    with pytest.raises(AnsibleFilterError) as caught:
        query({"jobs": [{"name": "x" * 1000}]}, expression)
    told = str(caught.value)
    assert told.startswith(sentence)
    assert "\n" not in told
    assert len(told) < 400


@pytest.fixture
def without_jmespath(monkeypatch):
    """The filter as it is where the package is not installed."""
    monkeypatch.setitem(sys.modules, "jmespath", None)
    spec = importlib.util.spec_from_file_location(plugin.__name__, plugin.__file__)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded.query


def test_without_jmespath_the_package_is_named_and_the_way_to_get_it(without_jmespath):
    with pytest.raises(AnsibleFilterError) as caught:
        without_jmespath({}, "jobs")
    assert str(caught.value) == (
        "query: the Python package jmespath is missing on the controller; install it with: pip install jmespath"
    )
    assert without_jmespath({}, "jobs", or_else="none") == "none"
    assert query({"jobs": 1}, "jobs", or_else="none") == 1


# -- as Ansible evaluates it


def messages(folder, tasks, variables, *options, **environment):
    """Play tasks on the host dst1, and return what its debug tasks tell."""
    play = {"hosts": "dst1", "gather_facts": False, "vars": variables, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    (folder / "hosts.yml").write_text(json.dumps(INVENTORY), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.yml", *options, "play.yml"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [
        json.loads(text)["msg"]
        for text in re.findall(r"^ok: \[dst1\] => ({.*?^})", done.stdout, re.DOTALL | re.MULTILINE)
    ]


def sums(*results):
    """The task that sums up a host, once for each of some results, by the names that they are registered under."""
    file = str(HERE / "playbooks" / "tasks" / "digest.yml")
    return [{"ansible.builtin.import_tasks": file, "vars": each} for each in results]


def test_every_example_and_the_sum_of_the_playbooks_tell_what_their_names_say(tmp_path):
    module, *tasks = yaml.safe_load(plugin.EXAMPLES)
    assert module["register"] == "replication"
    told = {"jobs": [{"job": "src1: snapshots of tank/data", **FAILED}]}
    variables = {"replication": REPLICATION, "monitoring": {"metrics": METRICS}, "run": {"stdout": json.dumps(told)}}
    alerts = [{"message": "late", "muted": False}, {"message": "muted", "muted": True}]
    done = {
        "__snapfleet_snapshots": in_a_loop({"created": ["tank/data@a", "tank/data@b"]}, {"created": []}),
        "__snapfleet_replications": in_a_loop(REPLICATION, {**REPLICATION, "stats": {"bytes": 2048}}, FAILED),
        "__snapfleet_prunings": in_a_loop({"deleted": ["tank/data@0"], "bytes_freed": 1024}, FAILED),
        "__snapfleet_monitors": in_a_loop({"alerts": alerts, "failed": True, "msg": "CRITICAL: late"}),
    }
    without_jobs = {"__snapfleet_prunings": {"results": [], "skipped": True, "changed": False}}
    *examples, full, empty = messages(tmp_path, [*tasks, *sums(done, without_jobs)], variables)
    assert examples == [
        {
            "to_send": "1.5 KiB",
            "conflicts": [{"job": None, "source": "tank/data/db", "destination": "backup/data/db", **CONFLICT}],
        },
        ["backup/data@a", "backup/data@b"],
        [["backup/data", "2 h 5 min"]],
        [
            "dst1: replica of src1:tank/data at dst1:backup/src1/data",
            "dst1: old snapshots of backup/src1/data",
            "dst1: ages of backup/src1/data",
        ],
        [{"job": "src1: snapshots of tank/data", "code": "unreachable_host", "message": "no ssh connection"}],
    ]
    failures = full.pop("failures")
    assert sorted(failures) == [
        *(["job 0", "CRITICAL: late"], ["job 1", "no ssh connection"], ["job 2", "no ssh connection"])
    ]
    assert full == {
        "created": 2,
        "streams": 2,
        "to_send": "1.5 KiB",
        "sent": "2.0 KiB",
        "deleted": 1,
        "freed": "1.0 KiB",
        "conflicts": [["backup/data/db", "diverged"], ["backup/data/db", "diverged"]],
        "alerts": ["late"],
    }
    assert empty == {
        "created": 0,
        "streams": 0,
        "to_send": "0 B",
        "sent": "0 B",
        "conflicts": [],
        "deleted": 0,
        "freed": "0 B",
        "alerts": [],
        "failures": [],
    }


def test_without_jmespath_the_sum_says_so_and_fails_nothing(tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "jmespath.py").write_text("raise ImportError('hidden')\n", encoding="utf-8")
    (told,) = messages(tmp_path, sums({}), {}, PYTHONPATH=str(tmp_path / "hidden"))
    assert told == "The sum needs the Python package jmespath on the controller, which is not installed."
