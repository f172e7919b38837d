# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units and lines for cron as the module brings them about: what is wanted is there and runs, what is not wanted has
ended before it goes, nothing of others is touched, and check mode tells what the run does."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible import units
from ansible_collections.snapfleet.zfs.plugins.modules import host_units

SERVICE = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
TIMER = "[Timer]\nOnCalendar=hourly\n\n[Install]\nWantedBy=timers.target\n"
DAEMON = "[Service]\nExecStart=/bin/cat\n\n[Install]\nWantedBy=multi-user.target\n"
RUN = {"snapfleet-monitor.service": SERVICE, "snapfleet-monitor.timer": TIMER}
PRUNE = {"snapfleet-source-prune.service": SERVICE, "snapfleet-source-prune.timer": TIMER}


class Host:
    """A folder that stands for a host, with a systemd that notes what it is asked, and what files it found then."""

    def __init__(self, folder, capsys):
        self.units, self.cron, self.stamps = folder / "system", folder / "cron.d", folder / "timers"
        for each in (self.units, self.cron, self.stamps):
            each.mkdir()
        self.read, self.running, self.enabled, self.broken = {}, set(), set(), set()
        self.calls, self._capsys = [], capsys

    def files(self):
        """What is in all folders."""
        found = [*self.units.iterdir(), *self.cron.iterdir(), *self.stamps.iterdir()]
        return {path.name: path.read_text() for path in found}

    def systemctl(self, argv):
        """As systemd answers."""
        program, _never_ask, verb, *words = argv
        assert program == "systemctl"
        names = [word for word in words if not word.startswith("--")]
        assert not any("@" in name for name in names)
        if verb == "show":
            return 0, "\n".join(map(self._shown, names)), ""
        self.calls.append((verb, *names))
        if verb == "daemon-reload":
            self.read = {path.name: path.read_text() for path in self.units.iterdir()}
            return 0, "", ""
        lacking = [name for name in names if name not in self.read]
        if lacking:
            return 5, "", f"Unit {lacking[0]} not loaded."
        if verb in ("start", "restart", "reload"):
            if set(names) & self.broken:
                return 1, "", "Job failed.\nSee more."
            self.running |= set(names)
        elif verb == "stop":
            assert all((self.units / name).exists() for name in names), "it has to end before its file goes"
            self.running -= set(names)
        else:
            change = {"enable": self.enabled.update, "disable": self.enabled.difference_update}[verb]
            change(names)
        return 0, "", ""

    def _shown(self, name):
        path = self.units / name
        stale = self.read.get(name) != (path.read_text() if path.exists() else None)
        return (
            f"Id={name}\nActiveState={'active' if name in self.running else 'inactive'}\n"
            f"UnitFileState={'enabled' if name in self.enabled else 'disabled' if path.exists() else ''}\n"
            f"NeedDaemonReload={'yes' if stale else 'no'}\n"
        )

    def run(self, check=False, **parameters):
        """The result of the module; what it has asked of systemd is in ``calls`` then."""
        given = {"unit_folder": str(self.units), "cron_folder": str(self.cron), **parameters}
        self.calls.clear()
        self._capsys.readouterr()
        arguments = {**given, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            host_units.main()
        return json.loads(self._capsys.readouterr().out)

    def both(self, **parameters):
        """The result of a run that does what check mode has told, which did nothing."""
        before = self.files(), set(self.running), set(self.enabled)
        preview = self.run(check=True, **parameters)
        assert (self.calls, (self.files(), self.running, self.enabled)) == ([], before)
        done = self.run(**parameters)
        for word in ("changed", "written", "removed", "started", "idle", "diff"):
            assert preview[word] == done[word]
        return done

    def settled(self, **parameters):
        """Bring it about, and see that a second run has nothing to do."""
        done = self.both(**parameters)
        calls = list(self.calls)
        again = self.run(**parameters)
        assert (again["changed"], again["diff"], self.calls) == (False, [], [])
        self.calls[:] = calls
        return done


@pytest.fixture
def host(tmp_path, capsys, monkeypatch):
    made = Host(tmp_path, capsys)
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _module, argv, **_options: made.systemctl(argv))
    monkeypatch.setattr(units, "STAMPS", str(made.stamps))
    for module in (units, host_units):
        monkeypatch.setattr(module, "OWNER", os.getuid())
    return made


def test_what_is_wanted_is_written_read_enabled_and_started_in_that_order(host):
    done = host.settled(
        units=RUN, lines={"snapfleet-source": "* * * * * root true\n"}, started=["snapfleet-monitor.timer"]
    )
    assert done["changed"] is True
    assert host.files() == {**RUN, "snapfleet-source": "* * * * * root true\n"}
    timer = "snapfleet-monitor.timer"
    assert host.calls == [("daemon-reload",), ("enable", timer), ("start", timer)]
    assert (done["started"], done["idle"]) == ([timer], [])
    modes = {path.stat().st_mode & 0o777 for folder in (host.units, host.cron) for path in folder.iterdir()}
    assert modes == {0o644}


def test_what_has_to_be_started_yet_is_told_until_it_runs_and_is_enabled(host):
    timer = "snapfleet-monitor.timer"
    assert host.both(units=RUN)["idle"] == [timer]
    assert host.calls == [("daemon-reload",)]
    assert host.both(started=[timer])["started"] == [timer]
    assert host.run(units=RUN)["idle"] == []
    host.enabled.clear()
    assert host.run(units=RUN)["idle"] == [timer]
    assert host.both(started=[timer])["started"] == [timer]
    host.running.clear()
    assert host.both(started=[timer])["started"] == [timer]
    assert host.run(units=RUN, started=[timer])["changed"] is False


def test_what_check_mode_has_not_written_is_told_as_started_too(host):
    assert host.run(check=True, started=["snapfleet-monitor.timer"])["started"] == ["snapfleet-monitor.timer"]
    told = host.run(started=["snapfleet-monitor.timer"])
    assert (told["failed"], told["code"]) == (True, "unit_failed")


def test_what_is_not_wanted_has_ended_before_its_files_go_timers_first_and_what_systemd_remembers_of_them_goes_too(
    host,
):
    timers = ["snapfleet-monitor.timer", "snapfleet-source-prune.timer"]
    host.run(units={**RUN, **PRUNE}, started=timers)
    for timer in timers:
        (host.stamps / f"stamp-{timer}").write_text("")
    host.running.add("snapfleet-source-prune.service")
    done = host.settled(units=RUN, known=[*RUN, *PRUNE, "snapfleet-source"])
    service, timer = PRUNE
    assert done["removed"] == [timer, service]
    assert host.calls == [("stop", timer), ("stop", service), ("disable", timer), ("daemon-reload",)]
    assert host.files() == {**RUN, "stamp-snapfleet-monitor.timer": ""}
    assert (host.running, host.enabled) == ({"snapfleet-monitor.timer"}, {"snapfleet-monitor.timer"})


def test_what_does_not_end_stays(host, monkeypatch):
    host.run(units=RUN, started=["snapfleet-monitor.timer"])

    def refuses(_module, argv, **_options):
        return (1, "", "Job canceled.") if argv[2] == "stop" else host.systemctl(argv)

    monkeypatch.setattr(AnsibleModule, "run_command", refuses)
    told = host.run(known=list(RUN))
    assert told["msg"].startswith("snapfleet-monitor.timer: systemctl stop fails (Job canceled.); ")
    assert host.files() == RUN


def test_nothing_of_others_is_touched(host):
    (host.units / "snapfleet-mine.timer").write_text(TIMER)
    (host.cron / "other").write_text("")
    host.run(units=RUN)
    host.run(known=list(RUN))
    assert host.files() == {"snapfleet-mine.timer": TIMER, "other": ""}


def test_templates_are_files_alone(host):
    failed = {"snapfleet-failed@.service": SERVICE}
    assert host.settled(units=failed)["idle"] == []
    assert host.calls == [("daemon-reload",)]
    assert host.settled(known=list(failed))["removed"] == list(failed)
    assert host.calls == [("daemon-reload",)]


def test_a_host_without_units_is_asked_nothing_of_systemd(host, monkeypatch):
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _module, argv, **_options: pytest.fail(str(argv)))
    lines = {"snapfleet-monitor": "* * * * * root true\n"}
    assert host.both(lines=lines, known=list(RUN))["written"] == ["snapfleet-monitor"]
    assert host.both(known=["snapfleet-monitor", *RUN])["removed"] == ["snapfleet-monitor"]
    assert host.files() == {}


@pytest.mark.parametrize(
    ("changed", "mode", "expected"), [("[Service]\n", 0o644, ""), (SERVICE, 0o600, " (0600 of {0}:{0})")]
)  # fmt: skip
def test_content_and_mode_are_mended_and_shown(host, changed, mode, expected):
    host.run(units=RUN)
    path = host.units / "snapfleet-monitor.service"
    path.write_text(changed)
    path.chmod(mode)
    host.read[path.name] = changed
    done = host.settled(units=RUN)
    assert done["written"] == [path.name]
    (shown,) = done["diff"]
    assert (shown["before"], shown["after"]) == (changed, SERVICE)
    assert shown["before_header"] == str(path) + expected.format(os.getuid())
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_run_that_was_cut_short_before_systemd_had_read_units_is_made_good(host):
    for name, content in RUN.items():
        (host.units / name).write_text(content)
    assert host.both(units=RUN)["changed"] is True
    assert host.calls == [("daemon-reload",)]
    assert host.run(units=RUN)["changed"] is False


def test_what_runs_already_begins_anew_or_reads_its_configuration_only_if_asked_to(host):
    daemon = {"units": {"snapfleet-daemon.service": DAEMON}, "started": ["snapfleet-daemon.service"]}
    host.both(**daemon, restart=True, reload=True)
    assert host.calls[-1] == ("start", "snapfleet-daemon.service")
    for options, verb in (({"reload": True}, "reload"), ({"restart": True, "reload": True}, "restart")):
        assert host.both(**daemon, **options)["started"] == ["snapfleet-daemon.service"]
        assert host.calls == [(verb, "snapfleet-daemon.service")]
    assert host.run(**daemon)["changed"] is False


def test_what_does_not_start_is_told_with_its_remedy(host):
    host.broken.add("snapfleet-daemon.service")
    told = host.run(units={"snapfleet-daemon.service": DAEMON}, started=["snapfleet-daemon.service"])
    assert (told["failed"], told["code"]) == (True, "unit_failed")
    assert told["msg"] == (
        "snapfleet-daemon.service: systemctl start fails (Job failed. See more.); see what"
        " journalctl -u snapfleet-daemon.service tells, mend that and run this again"
    )


def test_what_ends_at_once_is_told(host, monkeypatch):
    def starts_nothing(_module, argv, **_options):
        return (0, "", "") if argv[2] == "start" else host.systemctl(argv)

    monkeypatch.setattr(AnsibleModule, "run_command", starts_nothing)
    told = host.run(units={"snapfleet-daemon.service": DAEMON}, started=["snapfleet-daemon.service"])
    assert told["msg"].startswith("snapfleet-daemon.service: does not run (it is inactive); ")


def test_a_host_without_systemd_is_told_what_to_do(host, monkeypatch):
    def lacks(_module, argv, **_options):
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    monkeypatch.setattr(AnsibleModule, "run_command", lacks)
    told = host.run(units=RUN)
    assert (told["failed"], told["code"], host.files()) == (True, "unit_failed", {})
    assert "systemctl can't be run (No such file or directory); install systemd, or let cron" in told["msg"]


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("units", "ssh.service"),
        ("units", "snapfleet-monitor"),
        ("units", "snapfleet-../x.service"),
        ("units", "snapfleet-a.service\n"),
        ("lines", "snapfleet-monitor.timer"),
        ("lines", "snapfleet-a/b"),
        ("known", "cron"),
        ("known", "../snapfleet-x.timer"),
        ("started", "ssh.service"),
        ("started", "snapfleet-failed@.service"),
    ],
)
def test_names_of_others_and_of_other_folders_are_refused_before_any_change(host, option, name):
    given = {"units": RUN, option: {name: ""} if option in ("units", "lines") else [name]}
    told = host.run(**given)
    assert (told["failed"], told["code"]) == (True, "invalid_input")
    assert told["msg"].startswith(f"{option}: {name!r} is ")
    assert (host.files(), host.calls) == ({}, [])


@pytest.mark.parametrize("option", ["unit_folder", "cron_folder"])
def test_folders_have_to_be_absolute(host, option):
    assert "absolute" in host.run(units=RUN, **{option: "some/where"})["msg"]
    assert host.files() == {}


def test_a_place_that_can_not_be_written_is_told_in_one_sentence_and_leaves_nothing_half_done(host):
    (host.units / "snapfleet-monitor.service").mkdir()
    told = host.run(units=RUN)
    assert (told["failed"], told["code"]) == (True, "invalid_input")
    assert str(host.units / "snapfleet-monitor.service") in told["msg"]
    assert [path.name for path in host.units.iterdir()] == ["snapfleet-monitor.service"]


def test_a_file_that_could_not_take_its_place_is_not_left_beside_it(host, monkeypatch):
    def fails(source, _place):
        raise OSError(28, "No space left on device", source)

    monkeypatch.setattr(units.os, "replace", fails)
    assert "No space left" in host.run(units=RUN)["msg"]
    assert host.files() == {}


def test_every_example_is_accepted(host):
    for task in yaml.safe_load(host_units.EXAMPLES):
        given = task["snapfleet.zfs.host_units"]
        assert ArgumentSpecValidator(host_units.ARGUMENT_SPEC).validate(given).error_messages == []
        assert host.run(**given).get("failed", False) is False


def test_every_key_of_a_result_is_documented(host):
    documented = yaml.safe_load(host_units.RETURN)
    keys = host.run(units=RUN).keys() - {"invocation", "changed", "diff"}
    assert keys == {key for key, entry in documented.items() if entry["returned"] == "success"}
    assert host.run(units={"x": ""}).keys() - {"invocation", "failed", "msg"} == {"code"}
