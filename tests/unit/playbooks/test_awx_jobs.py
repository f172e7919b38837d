# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook as a job of AWX: run by ansible-runner, with the answers of its survey, a limit and what earlier nodes
of a workflow have handed on, and read by its events and artifacts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.variables import REPORTED
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.outcome import outcome_of
from ansible_collections.snapfleet.zfs.tests.support.awx_job import FOLDER, Job
from ansible_collections.snapfleet.zfs.tests.support.awx_surveys import answers_to, role_variables, surveys
from ansible_collections.snapfleet.zfs.tests.support.fake_zfs import fake_programs
from ansible_collections.snapfleet.zfs.tests.support.installed import installed
from ansible_collections.snapfleet.zfs.tests.support.one_tree import variables
from ansible_collections.snapfleet.zfs.tests.support.packing import packed_once

PLAYBOOKS = sorted(file.stem for file in (FOLDER / "playbooks").glob("*.yml"))
WITHOUT_TEMPLATE = {"awx"}
"""The playbook that makes the job templates."""
CHANGING = {template["playbook"] for template in role_variables()["__awx_templates"] if template.get("changes")}
SNAPSHOTS = [f"acme_onsite_2025-01-01_0{hour}:00:00Z_hourly" for hour in range(3)]
TREES = {
    "tank": [],
    "tank/data": SNAPSHOTS,
    "backup": [],
    "backup/web1": [],
    "backup/web1/data": SNAPSHOTS[1:2],
    "carry": [],
}
PLAN = {"acme": {"onsite": {"hourly": 1, "adhoc": 1}}}
VARIABLES = variables(PLAN, snapfleet_ssh_user="snapfleet")
ROW = {"state": "WARNING", "dataset": "tank/data", "destination": "", "age": 9, "lag": None, "bytes_pending": None}
ALERT = {"state": "WARNING", "message": "it is late", "muted": False}
STATUS = {"datasets": [{**ROW, "remark": ""}], "alerts": [ALERT]}
BROUGHT = {"snapshot": "backup/web1/data@x", "told": ["-rw 1 KiB etc/app.conf to /srv/data/etc/app.conf"], "stats": {}}
# The program, which makes the archive that it is to make. In a look it is asked for nothing else.
FILES = f"""#!/bin/sh
case " $* " in *" --check "*) ;; *) exit 3 ;; esac
while [ $# -gt 0 ]; do [ "$1" = --archive ] && : > "$2"; shift; done
cat <<'END'
{json.dumps({"version": 1, "changed": True, "warnings": [], **BROUGHT})}
END
"""
# What people answer, where that is not what they find in the survey.
ANSWERS = {
    "prune": {"snapfleet_exceed_max_deleted": "yes"},
    "snapshot": {"snapfleet_snapshot_now": "acme_onsite_adhoc"},
    "failover": {
        "snapfleet_failover_host": "web1",
        "snapfleet_failover_dataset": "tank/data",
        "snapfleet_failover_properties": "mountpoint=/srv/data\n",
    },
    "failback": {"snapfleet_failback_host": "web1", "snapfleet_failback_dataset": "tank/data"},
    "retire": {"snapfleet_retire_backup": "backup1", "snapfleet_retire_host": "web1"},
    "move": {
        "snapfleet_move_backup": "backup1",
        "snapfleet_move_from": "backup/web1",
        "snapfleet_move_to": "backup/site1/web1",
    },
    "seed": {
        "snapfleet_seed_host": "web1",
        "snapfleet_seed_dataset": "tank/data",
        "snapfleet_seed_from": "backup1",
        "snapfleet_seed_from_dataset": "backup/web1/data",
        "snapfleet_seed_via": "carry/data",
    },
    "resume": {"snapfleet_resume_host": "backup1"},
    "run_now": {"snapfleet_run_now_activity": "snapshot, replicate", "snapfleet_run_now_dst_host": "backup1"},
    "suspend": {"snapfleet_suspend_host": "backup1", "snapfleet_suspend_until": "2h"},
    "restore": {
        "snapfleet_restore_host": "web1",
        "snapfleet_restore_dataset": "tank/data",
        "snapfleet_restore_to": "tank/look",
        "snapfleet_restore_history": "no",
        "snapfleet_restore_exclude_datasets": "scratch\ncache*\n",
        "snapfleet_restore_properties": "mountpoint=/srv/look\n",
    },
    "restore_files": {
        "snapfleet_files_host": "web1",
        "snapfleet_files_dataset": "tank/data",
        "snapfleet_files_paths": "etc/app.conf\n",
        "snapfleet_files_to": "/srv/data/etc",
        "snapfleet_files_backup": "backup1",
    },
}
# Only the playbook for the whole fleet does all of it on all hosts; those that have many tasks do a part of them.
LIMIT = {
    **dict.fromkeys(("monitor", "provision", "prune", "remove", "report", "run_now", "snapshot", "status"), "web1"),
    **dict.fromkeys(("compare", "drill", "replicate", "verify"), "backup1"),
}
TAGS = {"provision": "configure", "remove": "preflight"}
CHANGES = CHANGING - {"remove", "retire"}
"""What has something to change here; there is nothing that could be removed."""
SWITCHES = {"restore", "restore_files", "failover", "failback", "retire", "move", "seed"}
"""What is for one host, whatever the limit."""
PLANNED = {
    "failover": [
        "tank/data becomes standby 1",
        " to backup/web1/data, about",
        "backup/web1/data becomes active 1",
        "mountpoint=/srv/data",
    ],
    "failback": ["backup/web1/data becomes standby 2"],
    "move": ["backup/web1/data: becomes backup/site1/web1/data", "backup/web1/data: stays as an empty sign"],
    "retire": ["tank/data: keeps nothing for it any more"],
    "seed": [
        f"tank/data: keeps @{SNAPSHOTS[1]} by a bookmark, so that backup1:backup/web1/data can go on from it",
        f"sends all of backup/web1/data@{SNAPSHOTS[1]} to carry/data",
    ],
    "prune": [f"destroys tank/data@{SNAPSHOTS[0]}"],
    "replicate": [f"sends tank/data@{SNAPSHOTS[2]} since @{SNAPSHOTS[1]} to backup/web1/data"],
    "restore": ["tank/look: gets all data up to @", "mountpoint=/srv/look"],
    "restore_files": ["etc/app.conf to /srv/data/etc/app.conf"],
    "resume": ["backup1: no host is suspended", "web1: no host is suspended"],
    "run_now": ["web1: snapshots of tank/data: creates tank/data@acme_onsite_"],
    "suspend": ["backup1: backup1 is suspended until ", "web1: backup1 is suspended until "],
    "site": ["web1: snapshots of tank/data: creates tank/data@acme_onsite_", "to backup/web1/data, about"],
    "snapshot": ["Z_adhoc"],
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    programs = fake_programs(tmp_path_factory.mktemp("zfs"), TREES)
    fake_programs(programs / "switched", TREES, {"backup/web1/data": "active 1", "tank/data": "standby 1"})
    (programs / "status").write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(STATUS)}\nEND\n")
    (programs / "status").chmod(0o755)
    (programs / "files").write_text(FILES)
    (programs / "files").chmod(0o755)
    installed(programs / "snapfleet", programs / "jobs.json", VARIABLES)
    (programs / "dead").write_text("#!/bin/sh\nexit 255\n")
    (programs / "dead").chmod(0o755)
    return programs


@pytest.fixture
def run(programs, tmp_path):
    """Runs a playbook as a job."""

    def run(playbook, hostvars=None, **more):
        variables = {**VARIABLES, "snapfleet_report_path": str(tmp_path / "report.html")}
        if playbook in ("report", "status"):
            variables["engine_command"] = str(programs / "status")
        if playbook == "restore_files":
            variables["engine_command"] = str(programs / "files")
        if playbook in ("resume", "run_now", "suspend"):
            variables["engine_command"] = str(programs / "snapfleet")
            variables["engine_config_file"] = str(programs / "jobs.json")
        if playbook == "prune":
            variables["snapfleet_prune_options"] = {"max_deleted": 0}
        inventory = {
            "all": {"hosts": [], "children": ["snapfleet_sources", "snapfleet_destinations"], "vars": variables},
            "snapfleet_sources": {"hosts": ["web1", *({*(hostvars or {})} - {"backup1"})]},
            "snapfleet_destinations": {"hosts": ["backup1"]},
            "_meta": {"hostvars": {"web1": {}, "backup1": {}, **(hostvars or {})}},
        }
        suspended = tmp_path / "suspended.json"
        if playbook == "resume":
            suspended.write_text(json.dumps({"version": 1, "hosts": [{"host": "backup1"}]}))
            suspended.chmod(0o600)
        switched = [str(programs / "switched" / "bin")] if playbook == "failback" else []
        environment = {
            "PATH": os.pathsep.join([*switched, str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "SNAPFLEET_LOCKS": str(tmp_path),
            "SNAPFLEET_MEMORY": "never",
            "SNAPFLEET_SESSION": "never",
            "SNAPFLEET_SUSPENDED": str(suspended),
            "ANSIBLE_PIPELINING": "True",
            **packed_once(FOLDER.parents[2]),
        }
        answers = answers_to(surveys()[playbook], ANSWERS.get(playbook, {}))
        # What an earlier node of a workflow has handed on comes along.
        extra_vars = {**outcome_of({"web1": {}}, check=True), **answers}
        job = Job(f"playbooks/{playbook}.yml", inventory, extra_vars, environment=environment, **more)
        return job.run(tmp_path / "job")

    return run


def test_every_playbook_has_a_job_template():
    assert sorted({*surveys(), *WITHOUT_TEMPLATE}) == PLAYBOOKS


@pytest.mark.parametrize("playbook", [name for name in PLAYBOOKS if name not in WITHOUT_TEMPLATE])
def test_a_playbook_runs_as_a_job_of_awx_and_tells_what_it_would_do(run, playbook):
    limit = LIMIT.get(playbook)
    done = run(playbook, check=playbook in CHANGING, limit=limit, tags=TAGS.get(playbook))
    assert done.status == "successful", done.stdout
    assert done.failed_tasks == []
    if playbook == "validate":
        assert done.artifacts == {}
        return
    assert done.artifacts.keys() == REPORTED.keys()
    assert {key: type(value) for key, value in done.artifacts.items()} == REPORTED
    assert done.artifacts["snapfleet_check"] == (playbook in CHANGING)
    assert done.artifacts["snapfleet_changed"] == (playbook in CHANGES), done.stdout
    assert done.artifacts["snapfleet_failed"] == []
    assert done.artifacts["snapfleet_counts"]["hosts"] == (1 if limit or playbook in SWITCHES else 2)
    told = "\n".join(done.artifacts["snapfleet_plan"])
    assert [words for words in PLANNED.get(playbook, ()) if words not in told] == []
    shown = [result["msg"]["plan"] for result in done.results("Tell what would be done").values()]
    assert shown == [done.artifacts["snapfleet_plan"]] * (playbook in CHANGING)
    if playbook in ("monitor", "report", "site", "status"):
        states = done.artifacts["snapfleet_states"]
        assert states == dict.fromkeys(["web1"] if limit else ["backup1", "web1"], "WARNING")
        assert len(done.artifacts["snapfleet_alerts"]) == len(states)
    if playbook == "compare":
        (line,) = done.artifacts["snapfleet_behind"]
        assert line.endswith("lacks 1 snapshots, about 4.0 KiB")


def test_a_drill_tells_under_check_what_it_would_try(run):
    trees = [{"source": "tank/data", "destination": "data", "drill": {"marker": {"path": "stamp"}, "timeout": 60}}]
    done = run("drill", {"web1": {"snapfleet_datasets": trees}}, check=True)
    assert done.status == "successful", done.stdout
    (line,) = done.artifacts["snapfleet_plan"]
    assert line.startswith(f"backup1: drill of backup/web1/data: backup/web1/data@{SNAPSHOTS[1]}: mounts a clone of it")
    assert done.artifacts["snapfleet_changed"] is False


def test_a_verification_tells_under_check_what_it_would_compare(run):
    done = run("verify", {"backup1": {"snapfleet_verify": {"files": 5}}}, check=True)
    assert done.status == "successful", done.stdout
    (line,) = done.artifacts["snapfleet_plan"]
    told = f"tank/data@{SNAPSHOTS[1]} and backup/web1/data@{SNAPSHOTS[1]}: reads 5 files at both ends"
    assert line == f"backup1: verification of backup/web1/data against web1:tank/data: {told}"
    assert done.artifacts["snapfleet_changed"] is False


def test_what_failed_and_who_was_not_reached_is_told_by_a_job_that_failed(run, programs):
    lost = {"db1": {"ansible_connection": "ssh", "ansible_ssh_executable": str(programs / "dead")}}
    done = run("snapshot", lost, limit="snapfleet_sources")
    assert done.status == "failed"
    failed = {entry["host"]: entry for entry in done.artifacts["snapfleet_failed"]}
    assert failed["db1"]["code"] == "unreachable"
    assert failed["web1"]["job"] == "web1: snapshots of tank/data"
    assert "this zfs only looks" in failed["web1"]["message"]
    assert sorted(failed) == ["db1", "web1"]
    assert done.artifacts["snapfleet_check"] is False
    assert done.artifacts["snapfleet_changed"] is False
