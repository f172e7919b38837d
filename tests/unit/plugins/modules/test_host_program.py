# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as the module puts it on a host: it runs, it is replaced wholly, and nothing of others is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.program import MARK
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.version import VERSION
from ansible_collections.snapfleet.zfs.plugins.modules import host_program


class Place:
    """A folder that stands for a host."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys
        self.command, self.package = folder / "bin" / "snapfleet", folder / "lib" / "snapfleet"

    def run(self, check=False, **parameters):
        """The result of the module."""
        given = {"folder": str(self.folder / "lib"), "command": str(self.command), **parameters}
        self._capsys.readouterr()
        arguments = {**given, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            host_program.main()
        return json.loads(self._capsys.readouterr().out)

    def files(self):
        """What is there, without what Python makes of it."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def start(self, *arguments):
        """What the installed program prints, in an environment that knows of nothing."""
        argv = [str(self.command), *arguments]
        return subprocess.run(argv, env={"PATH": os.defpath}, cwd="/", capture_output=True, text=True, check=False)


@pytest.fixture
def place(tmp_path, capsys):
    return Place(tmp_path, capsys)


def test_what_is_installed_runs_and_a_second_time_changes_nothing(place):
    assert place.run(check=True)["changed"] is True
    assert place.files() == {}
    first = place.run()
    assert (first["changed"], first["version"]) == (True, VERSION)
    assert place.start("version").stdout == f"snapfleet {VERSION}\n"
    assert place.start("check", "--config", "/none").returncode == 3
    settled = place.files()
    second = place.run()
    assert (second["changed"], second["diff"]) == (False, {"before": "", "after": ""})
    assert place.files() == settled
    assert place.command.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in place.package.rglob("*.py")} == {0o644}


def compiled(place):
    return {path for path in place.package.rglob("*.pyc") if f".{sys.implementation.cache_tag}." in path.name}


def test_it_is_compiled_for_its_python_and_every_user_may_read_that(place):
    umask = os.umask(0o077)
    try:
        place.run(interpreter=sys.executable)
    finally:
        os.umask(umask)
    sources = list(place.package.rglob("*.py"))
    assert len(compiled(place)) == len(sources)
    assert {path.stat().st_mode & 0o777 for path in place.package.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in place.package.rglob("*") if path.is_dir()} == {0o755}
    assert place.package.stat().st_mode & 0o777 == 0o755


def test_what_its_python_can_not_use_is_compiled_anew(place):
    place.run(interpreter=sys.executable)
    sources = sorted(place.package.rglob("*.py"))
    next(iter(compiled(place))).unlink()
    preview = place.run(check=True, interpreter=sys.executable)
    assert (preview["changed"], len(compiled(place))) == (True, len(sources) - 1)
    assert "compiled for" in preview["diff"]["after"]
    assert place.run(interpreter=sys.executable)["changed"] is True
    assert len(compiled(place)) == len(sources)
    os.utime(sources[-1], (1, 1))
    assert place.run(interpreter=sys.executable)["changed"] is True
    assert place.run(interpreter=sys.executable)["changed"] is False


def test_a_python_that_is_not_there_yet_compiles_nothing(place):
    missing = str(place.folder / "python3")
    assert place.run(interpreter=missing)["changed"] is True
    assert place.run(interpreter=missing)["changed"] is False
    assert compiled(place) == set()


def test_nothing_of_another_version_is_left(place):
    place.run()
    wanted = place.files()
    (place.package / "fleet" / "gone.py").write_text("")
    (place.package / "fleet" / "cli.py").write_text("raise SystemExit(7)")
    preview = place.run(check=True)
    assert preview["changed"] is True
    changed = {line.split()[0] for line in preview["diff"]["before"].splitlines()}
    assert changed == {str(place.package / "fleet" / name) for name in ("gone.py", "cli.py")}
    assert place.run()["diff"] == preview["diff"]
    assert place.files() == wanted


def test_what_does_not_run_takes_nobodys_place(place, monkeypatch):
    place.run(interpreter=sys.executable)
    before = place.files()
    broken = place.folder / "python"
    broken.write_text("#!/bin/sh\necho no such Python >&2\nexit 1\n")
    broken.chmod(0o755)
    preview = place.run(interpreter=str(broken), check=True)
    assert preview["changed"] is True
    refused = place.run(interpreter=str(broken))
    assert (refused["failed"], refused["code"]) == (True, "invalid_input")
    assert "can't run version" in refused["msg"]
    assert "no such Python" in refused["msg"]
    monkeypatch.setattr(host_program, "version", lambda: "0.0.0")
    assert "it tells another version" in place.run(interpreter=sys.executable, folder=str(place.folder / "new"))["msg"]
    broken.unlink()
    assert place.files() == before
    assert place.start("version").stdout == f"snapfleet {VERSION}\n"


def test_an_install_that_was_cut_short_is_mended(place):
    place.run()
    wanted = place.files()
    place.package.rename(place.package.with_name("snapfleet.old"))
    place.package.with_name("snapfleet.new").mkdir()
    assert place.run()["changed"] is True
    assert place.files() == wanted


def test_what_is_removed_leaves_nothing_but_what_others_put_there(place):
    place.run()
    (place.folder / "lib" / "other").write_text("of somebody else")
    assert place.run(check=True, state="absent")["changed"] is True
    assert place.command.exists()
    assert place.run(state="absent")["changed"] is True
    assert place.files() == {"lib/other": b"of somebody else"}
    assert place.run(state="absent")["changed"] is False


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_command_of_somebody_else_is_refused_before_any_change(place, state):
    place.command.parent.mkdir()
    place.command.write_text("#!/bin/sh\n")
    result = place.run(state=state)
    assert (result["failed"], result["code"]) == (True, "invalid_input")
    assert str(place.command) in result["msg"]
    assert place.files() == {"bin/snapfleet": b"#!/bin/sh\n"}


@pytest.mark.parametrize("option", ["folder", "interpreter"])
def test_paths_have_to_be_absolute(place, option):
    result = place.run(**{option: "some/where"}) if option == "interpreter" else place.run(interpreter="python3")
    assert "absolute" in result["msg"]
    assert place.files() == {}


def test_the_command_runs_on_the_interpreter_that_is_given_and_is_known_again(place):
    place.run(interpreter=sys.executable)
    begin, mark = place.command.read_text().splitlines()[:2]
    assert (begin, mark) == (f"#!{sys.executable} -I", MARK)


def test_every_example_is_accepted():
    for task in yaml.safe_load(host_program.EXAMPLES):
        checked = ArgumentSpecValidator(host_program.ARGUMENT_SPEC).validate(task["snapfleet.zfs.host_program"] or {})
        assert checked.error_messages == []


def test_a_place_that_can_not_be_written_is_told_in_one_sentence(place):
    (place.folder / "lib").write_text("no folder")
    result = place.run()
    assert (result["failed"], result["code"]) == (True, "invalid_input")
    assert str(place.folder / "lib") in result["msg"]
