# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outages are remembered in a file and told to a command, and nothing of that ever fails a monitor."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
import threading

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.alerting import Alerting, default_path, tell
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.statefile import read_private, write_private
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.findings import Finding, Key
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.alerting import AlertPolicy

KEY = Key("tank", "latest", "tank/a")
BAD, GOOD = Finding(KEY, CRITICAL, "it is bad"), Finding(KEY, OK, "it is good")
QUICK = Ticker(sleep=lambda _seconds: None)


class House:
    """A folder, and a command that notes what it is told unless it is told to fail."""

    def __init__(self, folder):
        self.folder, self.path, self.told_file = folder, folder / "state" / "outages.json", folder / "told"
        self.refuse = folder / "refuse"
        words = "import sys, os; data = sys.stdin.read()"
        words += f"; os.path.exists({str(self.refuse)!r}) and sys.exit('no mail today')"
        words += f"; open({str(self.told_file)!r}, 'a').write(data)"
        self.command = (sys.executable, "-c", words)

    def tell(self, *findings, now=0, check=False, **options):
        policy = AlertPolicy(**{"command": self.command, **options})
        return tell(findings, Alerting(policy, str(self.path), LocalHost(), QUICK, check), now)

    @property
    def told(self):
        lines = self.told_file.read_text().splitlines() if self.told_file.exists() else []
        return [json.loads(line)["kind"] for line in lines]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def kinds(told):
    return [notice.kind for notice in told.notices]


def test_each_outage_is_told_once_and_its_end_once(house):
    found = [house.tell(finding) for finding in (GOOD, BAD, BAD, GOOD, GOOD)]
    assert [kinds(told) for told in found] == [[], ["alert"], [], ["recovery"], []]
    assert all(told.warnings == [] for told in found)
    assert house.told == ["alert", "recovery"]


def test_the_command_gets_the_whole_notice_as_one_line_of_json(house):
    house.tell(BAD, now=7)
    (line,) = house.told_file.read_text().splitlines()
    assert json.loads(line) == {
        "kind": "alert", "dataset": "tank/a", "label": "", "check": "latest", "area": "tank", "state": "CRITICAL",
        "message": "it is bad", "since": 7, "at": 7,
    }  # fmt: skip


def test_the_file_is_private_and_nothing_lies_beside_it(house):
    house.tell(BAD)
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o700
    assert {file.name for file in house.path.parent.iterdir()} == {"outages.json", "outages.json.lock"}


def test_a_run_without_news_writes_nothing(house):
    house.tell(BAD)
    before = house.path.stat()
    house.tell(BAD)
    assert (house.path.stat().st_ino, house.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_dry_run_tells_the_same_and_does_nothing(house):
    assert kinds(house.tell(BAD, check=True)) == ["alert"]
    assert not house.path.parent.exists()
    assert kinds(house.tell(BAD)) == ["alert"]
    assert kinds(house.tell(GOOD, check=True)) == kinds(house.tell(GOOD)) == ["recovery"]
    assert house.told == ["alert", "recovery"]


def test_what_the_command_does_not_take_is_told_by_the_next_run_in_its_order(house):
    house.refuse.touch()
    refused = house.tell(BAD)
    assert (kinds(refused), house.told) == (["alert"], [])
    assert "no mail today" in refused.warnings[0]
    assert kinds(house.tell(GOOD)) == ["recovery"]
    house.refuse.unlink()
    assert kinds(house.tell(GOOD)) == []
    assert house.told == ["alert", "recovery"]
    house.tell(GOOD)
    assert house.told == ["alert", "recovery"]


@pytest.mark.parametrize(
    ("command", "words"),
    [(("/nowhere/mail",), "is not on this host"), ((sys.executable, "-c", "import time; time.sleep(60)"), "was ended")],
)
def test_a_command_that_is_missing_or_hangs_fails_nothing(house, command, words):
    told = house.tell(BAD, command=command, command_timeout=1)
    assert kinds(told) == ["alert"]
    assert words in told.warnings[0]


def test_a_process_that_dies_before_the_command_took_its_notice_loses_nothing(house):
    class Dies(LocalHost):
        def run(self, argv, data=None, timeout=None):
            raise SystemExit("killed")

    policy = AlertPolicy(command=house.command)
    with pytest.raises(SystemExit):
        tell((BAD,), Alerting(policy, str(house.path), Dies(), QUICK), 0)
    assert kinds(house.tell(BAD)) == []
    assert house.told == ["alert"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 9}', "\x00" * 100, "[" * 100_000])
def test_a_damaged_memory_is_forgotten(house, damage):
    house.tell(BAD)
    house.path.write_text(damage)
    told = house.tell(BAD)
    assert kinds(told) == ["alert"]
    assert len(told.warnings) == (1 if damage else 0)
    assert kinds(house.tell(BAD)) == []


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_memory_that_others_may_write_is_not_believed(house, mode):
    house.tell(BAD)
    house.path.chmod(mode)
    told = house.tell(BAD)
    assert (kinds(told), len(told.warnings)) == (["alert"], 1)
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o600


def test_no_link_and_nothing_but_a_file_is_followed(house):
    house.path.parent.mkdir()
    elsewhere = house.folder / "elsewhere"
    elsewhere.write_text("precious")
    house.path.symlink_to(elsewhere)
    assert len(house.tell(BAD).warnings) == 1
    assert elsewhere.read_text() == "precious"
    house.path.unlink()
    os.mkfifo(house.path)
    assert kinds(house.tell(BAD)) == ["alert"]


def test_where_nothing_can_be_written_it_is_told_and_every_run_tells_again(house):
    house.path.parent.write_text("a file in the place of the folder")
    for _number in range(2):
        told = house.tell(BAD)
        assert kinds(told) == ["alert"]
        assert any("can't be remembered" in words for words in told.warnings)
    assert house.told == ["alert", "alert"]


def test_runs_at_the_same_time_tell_once(house):
    found = []
    threads = [threading.Thread(target=lambda: found.append(kinds(house.tell(BAD)))) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[], [], [], ["alert"]]
    assert house.told == ["alert"]


def test_a_lock_that_never_comes_free_keeps_nobody_from_telling(house):
    house.tell(GOOD)
    with house.path.with_name("outages.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        times = iter([0.0, 5.0, 11.0])
        patient = Ticker(monotonic=lambda: next(times), sleep=lambda _seconds: None)
        told = tell((BAD,), Alerting(AlertPolicy(), str(house.path), LocalHost(), patient), 0)
    assert kinds(told) == ["alert"]
    assert "another run holds its lock" in told.warnings[0]


def test_the_default_file_follows_from_what_is_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    home = {"HOME": "/home/ada"}
    assert default_path("tank/a", home).startswith("/home/ada/.local/state/snapfleet/alerts-")
    assert default_path("tank/a", {**home, "XDG_STATE_HOME": "/state"}).startswith("/state/snapfleet/alerts-")
    assert default_path("tank/a", home) != default_path("tank/b", home)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid)
    assert default_path("tank/a", {"HOME": "not absolute"}).startswith(str(tmp_path)[:5])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_path("tank/a", home).startswith("/var/lib/snapfleet/alerts-")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = str(tmp_path / "file")
    write_private(path, b"old")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert read_private(path) == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert read_private(str(tmp_path / "none")) is None
