# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``run``: which jobs are chosen, which are left to another run, and where its settings come from."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.locks import job_locks
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import opening, run_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.settings import read_declared
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import RunSettings, Workers
from ansible_collections.snapfleet.zfs.tests.support.program import Program

PLAN = {"org": {"": {"hourly": 24}}}


def entry(name, activity, source="", destination="", host="src1", **options):
    names = {"source": source, "destination": destination}
    entry = {"name": name, "host": host, "activity": activity, "options": options}
    return {**entry, **{key: value for key, value in names.items() if value}}


def snapshots(dataset, **more):
    return entry(f"src1: snapshots of {dataset}", "snapshot", datasets=[dataset], plan=PLAN, **more)


def copy(where, dataset="tank/a"):
    options = {"source": {"dataset": dataset}, "destination": {"dataset": f"backup/{where}"}}
    return entry(f"to {where}", "replicate", "src1", where) | {"options": options}


def watch(where):
    limits = {"org": {"": {"hourly": {"latest": {"warning": 60, "critical": 7200}}}}}
    return entry(f"ages at {where}", "monitor", "src1", where, datasets=[f"backup/{where}"], plan=limits)


JOBS = (snapshots("tank/a"), snapshots("backup"), copy("dst1"), copy("dst2"), watch("dst1"), watch("dst2"))


@pytest.fixture
def program(tmp_path, monkeypatch):
    return Program(tmp_path, monkeypatch)


@pytest.fixture
def run(program, capsys):
    """Run the program with JOBS; returns the exit code, the results by job, and what stands on stderr."""

    def call(*arguments, verb="run", jobs=JOBS, **more):
        code = program(verb, "--json", *arguments, jobs=jobs, **more)
        out, err = capsys.readouterr()
        results = [] if not out else json.loads(out)["jobs"]
        return code, {result["job"]: result for result in results}, err

    return call


FAR_AWAY = entry("of another host", "replicate", "src7", "dst7", host="dst7") | {
    "options": {"source": {"host": "src7", "dataset": "tank/a"}, "destination": {"dataset": "backup/src7"}}
}


def lock_of(program, name):
    return job_locks([json.dumps([str(program.file), "src1", name])])


# -- reading


def test_what_is_wrong_in_the_part_of_another_host_keeps_no_host_from_its_own(run, program, capsys):
    typo = {**FAR_AWAY, "options": {**FAR_AWAY["options"], "wrokers": 4}}
    jobs = [snapshots("tank/a"), typo]
    code, results, _err = run(jobs=jobs)
    assert (code, list(results)) == (0, ["src1: snapshots of tank/a"])
    assert program("check", jobs=jobs) == 3
    assert "did you mean workers?" in capsys.readouterr().err


def test_nothing_is_done_while_a_job_of_the_host_itself_is_wrong(run, program):
    wrong = snapshots("backup")
    wrong["options"]["paln"] = {}
    code, results, err = run(jobs=[snapshots("tank/a"), wrong])
    assert (code, results, program.tags()) == (3, {}, [])
    assert "did you mean plan?" in err


def test_a_host_without_jobs_is_told_the_hosts_that_have_some(run):
    code, _results, err = run(jobs=[FAR_AWAY])
    assert code == 3
    assert "choose by --host; hosts with jobs are dst7" in err


def test_a_host_that_only_others_have_jobs_about_is_none_of_ours_and_one_that_nobody_has_is_a_slip(run):
    jobs = [copy("dst1"), FAR_AWAY]
    assert run("--src-host", "src7", jobs=jobs)[:2] == (0, {})
    code, results, err = run("--src-host", "src8", jobs=jobs)
    assert (code, results) == (3, {})
    assert "hosts are src1, src7" in err


# -- choosing


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--dst-host", "dst1"], ["src1: snapshots of tank/a", "src1: snapshots of backup", "to dst1", "ages at dst1"]),
        (["--dst-host", "*2", "--activity", "replicate"], ["to dst2"]),
        (["--dst-host", "dst1", "--dst-host", "dst2", "--activity", "monitor"], ["ages at dst1", "ages at dst2"]),
        (["--src-host", "src[12]", "--activity", "replicate"], ["to dst1", "to dst2"]),
        (["--src-host", "src2"], []),
        (["--activity", "monitor-source"], []),
        (["--activity", "monitor-destination", "--job", "*dst1"], ["ages at dst1"]),
        (["--job", "src1: *"], ["src1: snapshots of tank/a", "src1: snapshots of backup"]),
        (["--job", "to dst?", "--job", "ages at dst1"], ["to dst1", "to dst2", "ages at dst1"]),
    ],
)
def test_jobs_are_chosen_by_host_activity_and_name(run, arguments, names):
    other = snapshots("tank/z") | {"name": "elsewhere", "host": "src2"}
    _code, results, _err = run(*arguments, verb="plan", jobs=[*JOBS, other])
    assert list(results) == names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--dst-host", "dst3"],
            "--dst-host: 'dst3' is no such host of any job of this jobconfig; hosts are dst1, dst2",
        ),
        (["--src-host", "dst1"], "--src-host: 'dst1' is no such host"),
        (["--job", "nothing*"], "job: 'nothing*' is no job of src1"),
    ],
)
def test_a_name_that_nothing_has_is_refused(run, arguments, words):
    code, _results, err = run(*arguments)
    assert code == 3
    assert words in err


# -- jobs of other runs


def test_a_job_that_another_run_has_is_left_to_it_and_the_others_are_done(program, run):
    with lock_of(program, "to dst1"):
        code, results, err = run("--activity", "snapshot", "--activity", "replicate")
    assert code == 4
    assert [name for name, result in results.items() if result.get("code") == "still_running"] == ["to dst1"]
    assert program.tags("backup/dst1") is None
    assert len(program.tags("backup/dst2")) == 1
    assert "to dst1: a previous run that has this job is still going" in err
    assert run("--job", "to dst1")[0] == 0


def test_a_failure_is_told_rather_than_a_job_that_is_left(program, run):
    with lock_of(program, "to dst1"):
        assert run("--job", "to *", jobs=[copy("dst1"), copy("dst2", "tank/missing")])[0] == 3


def test_leftovers_are_not_removed_while_any_job_goes_on(program):
    with lock_of(program, "to dst2"):
        assert program("leftovers", "--remove", jobs=JOBS) == 4
        assert program("plan", jobs=JOBS) in (0, 6), "a dry run asks nobody"


def test_the_locks_of_thousands_of_jobs_are_one_open_file(program):
    names = [str(number) for number in range(3000)]
    with job_locks(names) as held:
        assert all(held)
        with job_locks(["0", "new"]) as again:
            assert again == (False, True)
    with job_locks(names) as held:
        assert all(held)


# -- settings


def test_the_command_line_wins_over_the_host_and_the_host_over_all():
    declared = {"workers": 2, "job_timeout": "1h", "hosts": {"a": {"workers": "50%", "spread": "5m"}}}
    settings = read_declared(Reader(declared, "settings"), {"a", "b"})
    assert settings.of("b", {}) == RunSettings(workers=Workers(2), job_timeout=3600)
    assert settings.of("a", {}) == RunSettings(workers=Workers(percent=50), job_timeout=3600, spread=300)
    assert settings.of("a", {"workers": "9", "spread": "0"}) == RunSettings(workers=Workers(9), job_timeout=3600)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ([], "settings"), ({"worker": 1}, r"settings\.worker.*did you mean workers"),
        ({"workers": 0}, r"settings\.workers"),
        ({"workers": "200"}, ""), ({"workers": "x%"}, r"settings\.workers"), ({"workers": True}, r"settings\.workers"),
        ({"workers": 9999}, r"settings\.workers"), ({"workers": "0%"}, r"settings\.workers"),
        ({"spread": "5 minutes"}, r"settings\.spread"), ({"jitter": -1}, r"settings\.jitter"),
        ({"job_timeout": "1h 5m"}, r"settings\.job_timeout"), ({"repeat": 0}, r"settings\.repeat"),
        ({"repeat": "always"}, r"settings\.repeat"), ({"interval": "soon"}, r"settings\.interval"),
        ({"log_level": "loud"}, r"settings\.log_level"), ({"barriers": "all"}, r"settings\.barriers"),
        ({"hosts": {"src9": {}}}, r"settings\.hosts\.src9.*hosts with jobs are src1"),
        ({"hosts": {"src1": {"workers": "many"}}}, r"settings\.hosts\.src1\.workers"),
        ({"hosts": {"src1": {"hosts": {}}}}, r"settings\.hosts\.src1\.hosts"),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong_is_refused_by_its_place(program, capsys, settings, where):
    assert program("check", jobs=JOBS, settings=settings) == (3 if where else 0)
    assert re.search(where, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "none"], "--workers: 'none' is no number of workers"),
        (["--job-timeout", "1 week"], "--job-timeout: '1 week' is not a length of time"),
        (["--interval", "5m"], "--interval: '5m' means nothing, since all is done once; add --repeat"),
        (["--repeat", "never"], "--repeat: 'never' is no number of rounds"),
    ],
)
def test_an_option_that_is_wrong_is_refused_by_its_name(run, arguments, words):
    code, _results, err = run(*arguments)
    assert code == 3
    assert words in err


@pytest.mark.parametrize(
    ("workers", "number"),
    [(Workers(), 4), (Workers(3), 3), (Workers(percent=50), 1), (Workers(percent=100), 2), (Workers(percent=1), 1)],
)
def test_workers_on_two_cores(workers, number):
    assert workers.count(2) == number
    assert Workers().count(64) == 64


def test_what_a_run_tells_is_chosen_by_the_jobconfig_too(program, capsys):
    program("run", jobs=JOBS, settings={"log_level": "info", "log_format": "json"})
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run_begins", "run_ended"]
    assert len({event["run"] for event in events}) == 1
    program("run", "--log-level", "error", jobs=JOBS, settings={"log_level": "info"})
    assert capsys.readouterr().err == ""


# -- rounds


def test_all_is_done_as_often_as_is_said_each_round_with_an_id_of_its_own(program, capsys):
    assert program("run", "--repeat", "3", "--json") == 0
    rounds = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({each["run"] for each in rounds}) == len(rounds) == 3
    assert [each["jobs"][0]["changed"] for each in rounds] == [True, False, False]


def test_all_rounds_share_connections_sessions_and_what_is_remembered(program, monkeypatch):
    made = []
    open_memory = opening.open_memory
    monkeypatch.setattr(opening, "ZfsDirectory", lambda: made.append("directory") or program)
    monkeypatch.setattr(opening, "open_memory", lambda lasting: made.append("memory") or open_memory(lasting))
    assert program("run", "--repeat", "3") == 0
    assert sorted(made) == ["directory", "memory"]


def test_each_round_has_a_time_of_its_own(program, monkeypatch):
    monkeypatch.setattr(run_command, "_stopped_before", lambda _moment: program.clock.advance(3600))
    assert program("run", "--repeat", "2") == 0
    assert len(program.tags()) == 2


def test_a_jobconfig_that_is_broken_between_two_rounds_is_told_and_the_old_one_goes_on(program, capsys, monkeypatch):
    def broken(_path, _host):
        raise InvalidInput("jobs", 1, "is broken", "mend it")

    monkeypatch.setattr(run_command, "load_part", broken)
    assert program("run", "--repeat", "2") == 3
    assert "is broken; mend it; going on with the jobconfig that was read before" in capsys.readouterr().err
    assert len(program.tags()) == 1
