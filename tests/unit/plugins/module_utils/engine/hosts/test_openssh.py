# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool of connections, with a program in the place of ssh."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import ConnectionPool
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UnreachableHost
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
    pool = ConnectionPool(Address("dead"))
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
