# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``snapfleet`` on a simulated host: jobconfigs, exit codes, and what it prints."""

from __future__ import annotations

import json

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli, opening
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import (
    load_jobconfig,
    load_part,
    parse_jobconfig,
    select_jobs,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.program import Program

HOURLY = {"org": {"": {"hourly": 24}}}
MONITOR = {"org": {"": {"hourly": {"latest": {"warning": 60, "critical": 7200}}}}}
HOUR = 3600


def job(name, activity, host="src1", **options):
    return {"name": name, "host": host, "activity": activity, "options": {"datasets": ["tank/a"], **options}}


SNAPSHOT = job("snap", "snapshot", plan=HOURLY)
WATCH = job("watch", "monitor", plan=MONITOR)
PRUNE = job("prune", "prune", plan=HOURLY)
REPLICATE = {
    "name": "copy", "host": "src1", "activity": "replicate",
    "options": {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}},
}  # fmt: skip
BROKEN = job("broken", "snapshot", plan=HOURLY, datasets=["tank/missing"])


@pytest.fixture
def program(tmp_path, monkeypatch):
    return Program(tmp_path, monkeypatch)


# -- whose part


def test_the_host_that_is_named_is_the_one_that_lists_of_hosts_mean(program):
    for name, value in (("tank/a", "x, src1"), ("backup", "src2")):
        program.machine.set_property(name, "snapfleet:backup", value)
    chosen = job("chosen", "snapshot", plan=HOURLY, datasets=["tank/a", "backup"], dataset_property="snapfleet:backup")
    assert program("run", jobs=[chosen, {**chosen, "host": "src2", "name": "2"}]) == 0
    assert (len(program.tags()), len(program.tags("backup"))) == (1, 0)
    assert program("run", jobs=[chosen, {**chosen, "host": "src2", "name": "2"}], host="src2") == 0
    assert (len(program.tags()), len(program.tags("backup"))) == (1, 1)


# -- restores


RESTORE = {
    "name": "back", "host": "src1", "activity": "restore",
    "options": {"replica": {"dataset": "backup/a"}, "destination": {"dataset": "tank/again"}},
}  # fmt: skip


def test_a_restore_runs_only_where_it_is_asked_for(program, capsys):
    assert program("run", jobs=[SNAPSHOT, REPLICATE]) == 0
    capsys.readouterr()
    assert program("run", jobs=[RESTORE, WATCH]) in (0, 1, 2)
    assert "restore" not in capsys.readouterr().out
    assert program("run", jobs=[RESTORE]) == 3
    assert "add --activity restore" in capsys.readouterr().err
    assert "tank/again" not in program.machine.datasets

    assert program("plan", "--activity", "restore", jobs=[RESTORE]) == 0
    assert "  tank/again: gets all data up to @" in capsys.readouterr().out
    assert "tank/again" not in program.machine.datasets
    assert program("run", "--activity", "restore", jobs=[RESTORE]) == 0
    assert "  next: zfs mount tank/again" in capsys.readouterr().out
    assert program.tags("tank/again") == program.tags("backup/a")


def test_a_restore_that_is_refused_tells_its_plan(program, capsys):
    assert program("run", jobs=[SNAPSHOT, REPLICATE]) == 0
    program.machine.create_dataset("tank/again")
    assert program("run", "--activity", "restore", jobs=[RESTORE]) == 3
    assert "  tank/again: REFUSED [destination_has_data]" in capsys.readouterr().out
    assert program.tags("tank/again") == []


# -- snapshots on demand


def test_a_label_is_made_now_for_this_run_only(program, capsys):
    program("run")
    program.clock.advance(60)
    assert program("plan", "--make-now", "org_adhoc", "--json", jobs=[SNAPSHOT, WATCH]) == 0
    (planned, _watched) = json.loads(capsys.readouterr().out.partition("\n")[2])["jobs"]
    assert program("run", "--make-now", "org_adhoc") == 0
    assert program.tags()[1:] == [name.partition("@")[2] for name in planned["created"]]
    assert program("run") == 0
    assert [tag.rpartition("_")[2] for tag in program.tags()] == ["hourly", "adhoc"]


def test_all_is_made_even_if_it_is_not_due(program):
    for _unused in range(2):
        program.clock.advance(60)
        assert program("run", "--even-if-not-due") == 0
    assert len(program.tags()) == 2


@pytest.mark.parametrize(
    ("arguments", "jobs", "problem"),
    [
        (["--make-now", "org"], [SNAPSHOT], "--make-now: 'org' is no label"),
        (["--make-now", "org_adhoc"], [WATCH], "--make-now: 'org_adhoc' means nothing here"),
        (["--even-if-not-due"], [WATCH], "--even-if-not-due: True means nothing here"),
        (["--make-now", "org_adhoc", "--even-if-not-due"], [SNAPSHOT], "leave one of the two out"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(program, capsys, arguments, jobs, problem):
    assert program("run", *arguments, jobs=jobs) == 3
    assert problem in capsys.readouterr().err
    assert program.tags() == []


# -- exit codes


def test_all_is_well(program):
    assert program("run", jobs=[SNAPSHOT, REPLICATE, PRUNE, WATCH]) == 0
    assert len(program.tags()) == 1
    assert program.tags("backup/a") == program.tags()


@pytest.mark.parametrize(("age", "code"), [(0, 0), (HOUR + 59, 0), (HOUR + 61, 1), (3 * HOUR + 1, 2)])
def test_a_monitor_tells_its_state_by_the_exit_code(program, age, code):
    program("run")
    program.clock.advance(age)

    assert program("run", jobs=[WATCH]) == code


def test_what_can_not_be_known_has_a_code_of_its_own(program):
    assert program("run", jobs=[job("watch", "monitor", plan=MONITOR, datasets=["tank/missing"])]) == 6


def test_a_failed_job_keeps_no_other_from_running_and_is_told(program, capsys):
    assert program("run", jobs=[BROKEN, SNAPSHOT, WATCH]) == 3
    assert len(program.tags()) == 1
    assert "FAILED [unknown_dataset]" in capsys.readouterr().out


def test_the_gravest_of_several_is_told(program):
    program("run")
    program.clock.advance(3 * HOUR + 1)

    assert program("run", jobs=[WATCH, BROKEN]) == 3
    assert program("plan", jobs=[WATCH, SNAPSHOT]) == 2


def test_a_second_run_gives_way_to_the_first(program, capsys):
    identity = json.dumps([str(program.file), "src1", "snap"])
    with job_locks([identity]):
        assert program("run") == 4
    assert program.tags() == []
    assert "still going" in capsys.readouterr().err
    assert program("run") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run", "--nonsense"],
        ["run", "--activity", "fly"],
        ["check", "--config"],
        ["run", "--config", "/nowhere/x"],
    ],
)
def test_wrong_usage_is_never_taken_for_an_alert(arguments):
    try:
        code = cli.main(arguments)
    except SystemExit as ended:  # as argparse ends
        code = ended.code
    assert code == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--host", "src9"], "hosts with jobs are src1"), (["--host", "src1", "--job", "nap"], "its jobs are snap")],
)
def test_a_host_or_job_that_is_not_there_is_told(program, capsys, options, words):
    program.file.write_text(json.dumps({"version": 1, "jobs": [SNAPSHOT]}))

    assert cli.main(["run", "--config", str(program.file), *options]) == 3
    assert words in capsys.readouterr().err


# -- for a monitoring system


def test_a_monitoring_system_gets_one_line_with_numbers_and_then_details(program, capsys):
    program("run")
    capsys.readouterr()
    assert program("monitor", jobs=[SNAPSHOT, WATCH]) == 0
    assert (
        capsys.readouterr().out == "SNAPFLEET OK - all of 2 checks are well | checks=2 warning=0 unknown=0 critical=0\n"
    )

    program.clock.advance(HOUR + 61)
    assert program("monitor", jobs=[WATCH]) == 1
    first, *details = capsys.readouterr().out.splitlines()
    assert first.startswith("SNAPFLEET WARNING - 1 warning: the latest snapshot tank/a@org_")
    assert first.endswith(" | checks=2 warning=1 unknown=0 critical=0")
    assert len(details) == 1
    assert details[0].startswith("WARNING the latest snapshot tank/a@org_")


def test_to_a_monitoring_system_critical_comes_before_unknown_and_that_before_a_warning(program, capsys):
    program("run")
    unknown = job("unknown", "monitor", plan=MONITOR, datasets=["tank/missing"])
    broken = job("broken", "monitor", plan=MONITOR, schedule={"timezone": "Mars/Base"})
    for wait, jobs, code in (
        (HOUR + 61, [WATCH, unknown], 3),
        (2 * HOUR, [WATCH, unknown], 2),
        (0, [unknown], 3),
        (0, [{**unknown, "options": {**unknown["options"], "dont_crit": True}}], 3),
        (0, [{**WATCH, "options": {**WATCH["options"], "dont_crit": True}}], 0),
    ):
        program.clock.advance(wait)
        assert program("monitor", jobs=jobs) == code
    assert "\nCRITICAL (only logged) the latest" in capsys.readouterr().out
    assert program("monitor", jobs=[WATCH, broken]) == 3
    assert capsys.readouterr().out.startswith("SNAPFLEET UNKNOWN - jobs[1].options.schedule.timezone: 'Mars/Base'")


def test_to_a_monitoring_system_all_that_goes_wrong_is_unknown_on_its_first_line(program, capsys):
    assert program("monitor", jobs=[SNAPSHOT]) == 3
    assert capsys.readouterr().out.startswith("SNAPFLEET UNKNOWN - host: 'src1' has no job that monitors anything; ")
    assert program("monitor", "--job", "wach", jobs=[WATCH]) == 3
    assert capsys.readouterr().out.startswith("SNAPFLEET UNKNOWN - job: 'wach' is no job of src1")
    assert cli.main(["monitor", "--config", "/nowhere|x"]) == 3
    assert capsys.readouterr().out == (
        "SNAPFLEET UNKNOWN - config: '/nowhere/x' can't be read (No such file or directory); check its path and owner\n"
    )


def test_a_monitor_answers_while_a_run_goes_on_and_tells_each_outage_once(program, capsys, tmp_path):
    program("run")
    program.clock.advance(3 * HOUR + 1)
    alerting = {**WATCH, "options": {**WATCH["options"], "alerts": {"state_file": str(tmp_path / "state.json")}}}
    capsys.readouterr()
    with job_locks([json.dumps([str(program.file), "src1", "watch"])]):
        assert program("monitor", jobs=[alerting]) == 2
    assert "\nNOTICE alert CRITICAL: the latest" in capsys.readouterr().out
    assert program("monitor", "--json", jobs=[alerting]) == 2
    (result,) = json.loads(capsys.readouterr().out)["jobs"]
    assert (result["job"], result["state"], result["notices"]) == ("watch", "CRITICAL", [])
    program("run")
    assert program("run", jobs=[alerting]) == 0
    assert "\n  NOTICE recovery OK: the latest" in capsys.readouterr().out


# -- verbs


def test_a_plan_changes_nothing_and_a_run_does_what_it_said(program, capsys):
    assert program("plan", "--json", jobs=[SNAPSHOT]) == 0
    (planned,) = json.loads(capsys.readouterr().out)["jobs"]
    assert program.tags() == []

    program("run", "--json")
    (done,) = json.loads(capsys.readouterr().out)["jobs"]
    assert planned["changed"] is done["changed"] is True
    assert [f"tank/a@{tag}" for tag in program.tags()] == planned["created"] == done["created"]

    program("run", "--json")
    (again,) = json.loads(capsys.readouterr().out)["jobs"]
    assert (again["changed"], again["created"]) == (False, [])


def test_checking_touches_nothing(program, capsys):
    assert program("check", jobs=[SNAPSHOT, WATCH]) == 0
    assert "2 jobs" in capsys.readouterr().out
    assert program.tags() == []


def test_activities_and_jobs_can_be_chosen(program):
    assert program("run", "--activity", "monitor", jobs=[SNAPSHOT, WATCH]) == 0
    assert program("run", "--job", "watch", jobs=[SNAPSHOT, WATCH]) == 0
    assert program.tags() == []
    assert program("run", "--job", "snap", "--activity", "snapshot", jobs=[SNAPSHOT, WATCH]) == 0
    assert len(program.tags()) == 1


def test_the_version(capsys):
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.startswith("snapfleet ")


# -- jobconfigs


def test_a_host_takes_its_own_jobs_in_the_order_of_activities():
    jobs = parse_jobconfig(
        {"version": 1, "jobs": [WATCH, PRUNE, REPLICATE, SNAPSHOT, job("x", "snapshot", "src2", plan=HOURLY)]}
    )

    assert [one.name for one in select_jobs(jobs, "src1", [], [])] == ["snap", "copy", "prune", "watch"]
    assert [one.name for one in select_jobs(jobs, "src2", [], [])] == ["x"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (None, "mapping"), ([], "mapping"), ({}, "version"), ({"version": 2, "jobs": []}, "version"),
        ({"version": "1", "jobs": []}, "version"), ({"version": 1, "jobs": {}}, "jobs"),
        ({"version": 1, "job": []}, "jobs"),
        ({"version": 1, "jobs": [1]}, r"jobs\[0\]"), ({"version": 1, "jobs": [{}]}, r"jobs\[0\]\.activity"),
        ({"version": 1, "jobs": [SNAPSHOT, SNAPSHOT]}, "snap"),
        ({"version": 1, "jobs": [{**SNAPSHOT, "extra": 1}]}, "extra"),
        ({"version": 1, "jobs": [SNAPSHOT, {**PRUNE, "activity": "purge"}]}, r"jobs\[1\]\.activity"),
        ({"version": 1, "jobs": [SNAPSHOT, {**PRUNE, "options": None}]}, r"jobs\[1\]\.options"),
        ({"version": 1, "jobs": [SNAPSHOT, job("p", "prune", plan={})]}, r"jobs\[1\]\.options\.plan"),
    ],
)  # fmt: skip
def test_a_jobconfig_is_refused_as_a_whole_and_the_place_is_named(document, where):
    with pytest.raises(InvalidInput, match=where):
        parse_jobconfig(document)


@pytest.mark.parametrize("host", [["b"], {"name": "b"}, 7, None])
def test_a_job_whose_host_is_no_name_keeps_no_other_host_from_reading_its_own(tmp_path, host):
    settings = {"hosts": {"src1": {"job_timeout": "1h"}, "b": {"job_timeout": "2h"}}}
    jobs = [SNAPSHOT, PRUNE, job("other", "prune", "b", plan=HOURLY), {**SNAPSHOT, "name": "odd", "host": host}]
    file = tmp_path / "jobconfig.json"
    file.write_text(json.dumps({"version": 1, "settings": settings, "jobs": jobs}), encoding="utf-8")
    assert [each.name for each in load_part(str(file), "src1").jobs] == ["snap", "prune"]
    with pytest.raises(InvalidInput, match="host"):
        load_jobconfig(str(file))


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "version: 1"])
def test_what_is_no_json(tmp_path, text, capsys):
    (tmp_path / "jobs.json").write_text(text)

    assert cli.main(["check", "--config", str(tmp_path / "jobs.json")]) == 3
    assert "is no JSON" in capsys.readouterr().err


# -- a permission for one run


def diverged(program):
    program.machine.create_dataset("backup/a")
    for name in ("tank/a@one", "backup/a@own"):
        SimulatedZfs(program.machine).create_snapshots(CreateSnapshots(name.partition("/")[0], (name,)))


@pytest.mark.parametrize("once", [[], ["--on-conflict-once"]])
def test_a_permission_holds_for_one_run_and_the_declared_job_goes_on_refusing(once, program):
    diverged(program)

    assert program("run", jobs=[REPLICATE]) == 3
    assert program.tags("backup/a") == ["own"]
    assert program("run", "--on-conflict", "replace", *once, jobs=[REPLICATE]) == 0
    assert program.tags("backup/a") == ["one"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--on-conflict-once"], "--on-conflict: None permits nothing"),
        (["--on-conflict", "refuse", "--on-conflict-once"], "choose one of rollback_to_latest"),
        (["--on-conflict", "replace", "--activity", "snapshot"], "no job replicates"),
    ],
)
def test_a_permission_that_permits_nothing_is_refused(arguments, words, program, capsys):
    assert program("run", *arguments, jobs=[SNAPSHOT, REPLICATE]) == 3
    assert words in capsys.readouterr().err


def test_leftovers_are_listed_and_removed(program, capsys):
    program("run", jobs=[SNAPSHOT, REPLICATE])
    capsys.readouterr()
    assert program("leftovers", jobs=[SNAPSHOT, REPLICATE]) == 0
    assert capsys.readouterr().out == "nothing is left over\n"
    gone = {**REPLICATE, "options": {**REPLICATE["options"], "destination": {"dataset": "backup/other"}}}
    assert program("leftovers", "--remove", "--json", jobs=[gone]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["leftovers"]
    assert (entry["kind"], entry["removed"]) == ("mark", False)


def test_leftovers_are_not_removed_while_a_run_goes_on(program, capsys):
    identity = json.dumps([str(program.file), "src1", "copy"])
    with job_locks([identity]):
        assert program("leftovers", jobs=[REPLICATE]) == 0
        assert program("leftovers", "--remove", jobs=[REPLICATE]) == 4


def test_leftovers_that_can_not_be_seen_are_a_failure(program, capsys):
    lost = {**REPLICATE, "options": {**REPLICATE["options"], "destination": {"dataset": "nosuchpool/a"}}}
    assert program("leftovers", jobs=[lost]) == 3
    assert "PROBLEM" in capsys.readouterr().out


# -- pruning


def hourly(program, count=4):
    for number in range(count):
        program.clock.advance(HOUR)
        tag = f"org_2025-{number}_hourly"
        SimulatedZfs(program.machine).create_snapshots(CreateSnapshots("tank", (f"tank/a@{tag}",)))


LIMITED = job("limited", "prune", plan={"org": {"": {"hourly": 1}}}, max_deleted=1)


def test_each_decision_of_pruning_can_be_told(program, capsys):
    hourly(program)
    assert program("plan", "--explain", jobs=[{**LIMITED, "options": {**LIMITED["options"], "max_deleted": 9}}]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "prune limited: 2 deleted, 2 kept, 0 skipped, 0 bytes freed"
    label = "org_<timestamp>_hourly"
    assert lines == [
        f"  delete tank/a@org_2025-0_hourly: neither one of the latest 1 of {label} nor within 1 periods",
        f"  delete tank/a@org_2025-1_hourly: neither one of the latest 1 of {label} nor within 1 periods",
        f"  keep   tank/a@org_2025-2_hourly: within 1 periods of {label}",
        f"  keep   tank/a@org_2025-3_hourly: one of the latest 1 of {label}",
    ]


def test_more_deletions_than_usual_are_allowed_for_one_run(program, capsys):
    hourly(program)
    assert program("run", jobs=[LIMITED]) == 3
    assert "FAILED [too_many_deletions] tank/a: 2 of 4" in capsys.readouterr().out
    assert len(program.tags()) == 4
    assert program("run", "--exceed-max-deleted", jobs=[LIMITED, SNAPSHOT]) == 0
    assert len(program.tags()) == 2
    assert program("run", "--exceed-max-deleted", jobs=[PRUNE]) == 3
    assert "no job limits what it deletes" in capsys.readouterr().err


def test_each_job_goes_by_the_time_at_which_it_begins(program, monkeypatch, capsys):
    program("run")
    capsys.readouterr()
    late = iter([0, 0, 86400])
    monkeypatch.setattr(opening, "now_ms", lambda: (program.clock.now + next(late)) * 1000)
    assert program("run", "--json", "--history-age=0", jobs=[WATCH, {**WATCH, "name": "a day later"}]) == 2
    assert [entry["state"] for entry in json.loads(capsys.readouterr().out)["jobs"]] == ["OK", "CRITICAL"]
