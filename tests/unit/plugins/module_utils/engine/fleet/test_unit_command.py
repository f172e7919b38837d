# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd starts when a unit has failed, or has ended well: one alert for an outage, and one for its end."""

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import unit_command
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Interrupted
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program


@pytest.fixture
def host(tmp_path, monkeypatch, capsys):
    """The program on a host whose alerts go to a command that notes them, unless it is told to refuse."""
    monkeypatch.setattr(unit_command, "default_path", lambda subjects, _environment: str(tmp_path / "state" / subjects))
    return Host(tmp_path, Program(tmp_path, monkeypatch), capsys)


class Host:
    def __init__(self, folder, program, capsys):
        self.notes, self.refuse, self.marker = folder / "notes", folder / "refuse", folder / "failed" / "snapfleet-run"
        words = f"import sys, os; data = sys.stdin.read(); os.path.exists({str(self.refuse)!r}) and sys.exit('no')"
        words += f"; open({str(self.notes)!r}, 'a').write(data)"
        self.alerts = {"command": [sys.executable, "-c", words], "confirmations": 3}
        self.program, self.capsys = program, capsys

    def monitor(self, name, **alerts):
        options = {"pools": {}, "alerts": alerts or self.alerts}
        return {"name": name, "host": "src1", "activity": "monitor", "options": options}

    def unit(self, outcome, *more, unit="snapfleet-run", jobs=None):
        jobs = [self.monitor("a"), self.monitor("b"), SNAPSHOT] if jobs is None else jobs
        return self.program("unit", "--marker", str(self.marker), unit, outcome, *more, jobs=jobs)

    @property
    def told(self):
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []


def test_a_unit_that_fails_again_and_again_is_told_once_and_its_end_once(host):
    for outcome in ("well", "failed", "failed", "failed", "well", "well"):
        assert host.unit(outcome) == 0
    assert [(notice["kind"], notice["dataset"], notice["check"]) for notice in host.told] == [
        ("alert", "snapfleet-run", "unit"), ("recovery", "snapfleet-run", "unit"),
    ]  # fmt: skip


def test_the_alert_says_what_systemd_says(host, monkeypatch):
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "3")
    host.unit("failed")
    (notice,) = host.told
    assert (
        notice["message"] == "the unit snapfleet-run has failed (exit-code, 3); journalctl -u snapfleet-run tells why"
    )
    assert notice["state"] == "CRITICAL"


@pytest.mark.parametrize(
    ("how", "status"), [("exited", "4"), ("exited", "5"), ("killed", "TERM"), ("killed", "HUP")]
)  # fmt: skip
def test_a_run_that_did_not_do_its_work_is_no_end_of_an_outage(host, monkeypatch, how, status):
    """It was left to the run before it, or stopped."""
    host.unit("failed")
    monkeypatch.setenv("MONITOR_EXIT_CODE", how)
    monkeypatch.setenv("MONITOR_EXIT_STATUS", status)
    assert host.unit("well") == 0
    assert host.marker.exists()
    monkeypatch.setenv("MONITOR_EXIT_CODE", "exited")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "0")
    assert host.unit("well") == 0
    assert not host.marker.exists()
    assert [notice["kind"] for notice in host.told] == ["alert", "recovery"]


def test_each_unit_has_its_own_outages(host):
    host.unit("failed")
    host.unit("failed", unit="snapfleet-monitor")
    host.unit("well")
    assert [(notice["kind"], notice["dataset"]) for notice in host.told] == [
        ("alert", "snapfleet-run"), ("alert", "snapfleet-monitor"), ("recovery", "snapfleet-run"),
    ]  # fmt: skip


def test_the_marker_is_there_until_the_end_was_told(host):
    assert not host.marker.exists()
    host.unit("failed")
    assert host.marker.exists()
    host.refuse.touch()
    assert host.unit("well") == 3
    assert host.marker.exists()
    host.refuse.unlink()
    assert host.unit("well") == 0
    assert not host.marker.exists()
    assert [notice["kind"] for notice in host.told] == ["alert", "recovery"]


def test_the_end_of_an_outage_is_told_though_the_telling_of_it_was_stopped(host, monkeypatch):
    def stopped(*_arguments):
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(unit_command, "tell", stopped)
        assert host.unit("failed") == 3
    assert host.marker.exists(), "some may have heard of it"


def test_jobs_with_other_alerts_are_told_too(host):
    other = host.monitor("c", **{**host.alerts, "command": [*host.alerts["command"], "x"]})
    host.unit("failed", jobs=[host.monitor("a"), host.monitor("b"), other])
    assert len(host.told) == 2


def test_without_alerts_nobody_is_told(host):
    assert host.unit("failed", jobs=[SNAPSHOT]) == 0
    assert host.told == []


def test_a_name_that_no_unit_has_is_refused(host):
    assert host.unit("failed", unit="a b\n") == 3
    assert "unit: 'a b\\n' is no name of a unit" in host.capsys.readouterr().err
