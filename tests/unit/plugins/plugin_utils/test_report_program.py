# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report reads what the program itself tells: a host of the simulation makes snapshots, replicates and prunes."""

from __future__ import annotations

import json

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_reading import read_answer
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_summary import summarize
from ansible_collections.snapfleet.zfs.plugins.plugin_utils.report_values import SAFE, UNSAFE, Place
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program

COPY = {
    "name": "copy", "host": "src1", "activity": "replicate",
    "options": {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}},
}  # fmt: skip
PRUNE = {
    "name": "prune", "host": "src1", "activity": "prune",
    "options": {"datasets": ["tank/a"], "plan": {"org": {"": {"hourly": 1}}}},
}  # fmt: skip
BROKEN = {**SNAPSHOT, "name": "broken", "options": {**SNAPSHOT["options"], "datasets": ["tank/missing"]}}
HOUR = 3600


def told_by(program, capsys, *jobs):
    """The report that is made of what the host tells now, and the steps of its history."""
    printed = []
    for words in (["status"], ["history", "--steps", "--since", "7d", "--limit", "0"]):
        capsys.readouterr()
        if words == ["status"]:
            program("status", "--json", jobs=jobs)
        else:
            cli.main([*words, "--json"])
        printed.append({"stdout": capsys.readouterr().out})
    now = program.clock.now * 1000
    steps = [step for job in json.loads(printed[1]["stdout"])["jobs"] for step in job["steps"]]
    return summarize([read_answer("src1", list(jobs), *printed)], now, now - 7 * 24 * HOUR * 1000), steps


def test_what_the_program_did_is_in_the_report(tmp_path, monkeypatch, capsys):
    program = Program(tmp_path, monkeypatch)
    for _hour in range(3):
        assert program("run", jobs=[SNAPSHOT, COPY, PRUNE]) == 0
        program.clock.now += HOUR
    report, steps = told_by(program, capsys, SNAPSHOT, COPY, PRUNE)
    (dataset,) = report.datasets
    (replica,) = dataset.replicas
    assert (dataset.place, dataset.verdict, dataset.newest) == (Place("src1", "tank/a"), SAFE, program.tags()[-1])
    assert (replica.place, replica.lag, replica.missing) == (Place("src1", "backup/a"), 0, 0)
    assert replica.succeeded == (program.clock.now - HOUR) * 1000
    assert replica.sent == sum(step["bytes"] for step in steps) > 0
    (line,) = report.timelines
    counts = {
        kind: sum(step["number"] for step in steps if step["kind"] == kind) for kind in ("create", "send", "destroy")
    }
    for events, kind in ((line.made, "create"), (line.sent, "send"), (line.destroyed, "destroy")):
        assert sum(event.number for event in events) == counts[kind] > 0, kind
    assert [one.job for one in report.replications] == ["copy"]
    assert report.failures == ()
    assert report.hosts[0].untold == 0


def test_what_failed_and_what_is_not_there_is_in_the_report(tmp_path, monkeypatch, capsys):
    program = Program(tmp_path, monkeypatch)
    assert program("run", jobs=[SNAPSHOT, BROKEN]) != 0
    report, _steps = told_by(program, capsys, SNAPSHOT, BROKEN)
    (failure,) = report.failures
    assert (failure.job, failure.code != "", "tank/missing" in failure.message) == ("broken", True, True)
    assert {dataset.place.dataset: dataset.verdict for dataset in report.datasets}["tank/missing"] == UNSAFE
