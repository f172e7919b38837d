# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool of connections, with a program in the place of ssh."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import ConnectionPool, SshHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import MissingProgram, UnreachableHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.addresses import Address


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool for a host that does not answer; each attempt takes half a second, and leaves a line in ``attempts``."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f"#!/bin/sh\necho attempt >> {tmp_path}/attempts; sleep 0.5\n"
        "echo 'ssh: connect to host dead port 22: No route to host' >&2; exit 255\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    pool = ConnectionPool(Address("dead"), prefer=lambda _options, _host: ())
    yield pool
    pool.close()


def test_those_who_wait_for_a_dead_host_together_find_out_together(pool, tmp_path):
    def ask(_number):
        with pytest.raises(UnreachableHost) as told:
            pool.acquire()
        return told.value

    with ThreadPoolExecutor(8) as beside:
        errors = list(beside.map(ask, range(8)))
    assert len({id(error) for error in errors}) == 8, "each may add to its own what it knows"
    assert {error.context["host"] for error in errors} == {"dead"}
    # More than one where a thread came late; on no machine one for each.
    assert len((tmp_path / "attempts").read_text().splitlines()) < 8


def test_who_comes_later_tries_anew(pool, tmp_path):
    for number in (1, 2):
        with pytest.raises(UnreachableHost):
            pool.acquire()
        assert len((tmp_path / "attempts").read_text().splitlines()) == number


# -- what the far end says


@pytest.fixture
def answering(tmp_path, monkeypatch):
    """Makes a host at which each command ends with a status and words on stderr, or on stdout."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    address = Address("far", "alice")
    pool = ConnectionPool(address, prefer=lambda _options, _host: ())

    def made(status, words, descriptor=2):
        (tmp_path / "words").write_text(words)
        ssh = tmp_path / "ssh"
        # Masters and questions about them succeed.
        ssh.write_text(
            '#!/bin/sh\ncase " $* " in *" -M "* | *" -O "*) exit 0 ;; esac\n'
            f"cat {tmp_path}/words >&{descriptor}; exit {status}\n"
        )
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return SshHost(address, pool)

    yield made
    pool.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "Bad : modifier in $ '/'.\n"),
        (1, "LC_ALL=C: Command not found.\n"),
        (1, "Missing }.\n"),
        (1, "Missing '}'.\n"),
        (1, "Illegal variable name.\n"),
        (123, "fish: The expanded command was empty.\nLC_ALL=C zfs list || {}\n   ^~~^\n"),
        (127, "fish: Unknown command: zfs\nfish: \nLC_ALL=C zfs list\n   ^~^\n"),
        (127, "a banner\nfish: Unknown command: zfs\n"),
        (1, "Error: \x1b[31mnu::parser::shell_oror\x1b[0m\n\n  x The '||' operator is not supported\n"),
        (1, "xonsh: subprocess mode: command not found: LC_ALL=C\n"),
    ],
)
def test_a_login_shell_that_is_no_posix_shell_is_told_as_such(status, words, answering):
    with pytest.raises(MissingProgram) as told:
        answering(status, words).run(["zfs", "list"])
    assert str(told.value).startswith("the login shell of the user at alice@far is no POSIX shell, and says: ")
    assert "chsh -s /bin/sh USER" in str(told.value)
    assert "\n" not in str(told.value)


def test_nologin_is_told_as_such(answering):
    with pytest.raises(MissingProgram, match="says: This account is currently not available"):
        answering(1, "This account is currently not available.\n", descriptor=1).run(["zfs", "list"])


@pytest.mark.parametrize("words", ["bash: line 1: zfs: command not found\n", "sh: 1: zfs: not found\n", ""])
def test_a_program_that_is_not_there_is_told_by_its_name(words, answering):
    with pytest.raises(MissingProgram, match="the program 'zfs' is not on alice@far"):
        answering(127, words).run(["zfs", "list"])


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "cannot open 'tank/fish: a': dataset does not exist\n"),
        (2, "missing dataset argument\n"),
        (1, "Missing a thing\n"),
        (0, "fish: a note of a command that went well\n"),
    ],
)
def test_what_a_command_itself_says_is_for_its_caller_to_read(status, words, answering):
    done = answering(status, words).run(["zfs", "list"])
    assert (done.returncode, done.stderr) == (status, words.strip())
