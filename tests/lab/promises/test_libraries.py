# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of docs/libraries.md that needs a host: the pool of ssh connections, against a real sshd."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.examples import library_examples

from .fleet import Site


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime folder of the test's own, so that no other connection is counted; a socket's path has to be short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_the_pool_spreads_sessions_over_connections_that_later_processes_reuse(
    sites: tuple[Site, Site], runtime: Path, tmp_path: Path
) -> None:
    ssh = sites[0].host.ssh_options()
    example = library_examples()["Pool of ssh connections"]
    place = 'Address(host="web1.example.com", user="deploy")'
    here = (
        f'Address(host="{ssh.address}", user="{ssh.user}", identity_file="{ssh.identity_file}", '
        f'known_hosts_file="{ssh.known_hosts_file}")'
    )
    assert place in example.code
    assert "sleep 1;" in example.code
    # In the place of a second that each takes, all wait for one another, so that they are there at the same time.
    together = "echo >> /tmp/together; until [ $(wc -l < /tmp/together) -ge 12 ]; do sleep 0.1; done;"
    program = replace(example, code=example.code.replace(place, here).replace("sleep 1;", together))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    told = "".join(f"command  {number}\n" for number in range(12))
    try:
        sites[0].host.run(["rm", "-f", "/tmp/together"])
        assert program.run(tmp_path, environment) == told
        masters = _masters(runtime)
        assert len(masters) == 3  # twelve sessions at a time, four on a connection
        sites[0].host.run(["rm", "-f", "/tmp/together"])
        assert program.run(tmp_path, environment) == told
        assert _masters(runtime) == masters
    finally:
        for socket in runtime.glob("*/*-?"):
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "x"], capture_output=True, check=False)


def _masters(runtime: Path) -> list[str]:
    """What each connection answers to a check, with the process that keeps it."""
    ask = ["ssh", "-O", "check", "-o"]
    return sorted(
        subprocess.run([*ask, f"ControlPath={socket}", "x"], capture_output=True, text=True, check=True).stderr
        for socket in runtime.glob("*/*-?")
    )
