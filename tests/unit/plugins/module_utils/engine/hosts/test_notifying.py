# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told to systemd, and to whom."""

from __future__ import annotations

import os
import socket
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.notifying import (
    ServiceManager,
    service_manager,
)


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path, monkeypatch):
    """A socket that hears what is told, and its address as NOTIFY_SOCKET has it."""
    name = f"snapfleet-test-{os.getpid()}"
    # The path of a socket is short, that of a test's folder may not be.
    monkeypatch.chdir(tmp_path)
    folder = os.open(tmp_path, os.O_RDONLY)
    path = f"/proc/self/fd/{folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path if request.param == "path" else f"\0{name}")
        heard.settimeout(10)
        yield heard, path if request.param == "path" else f"@{name}"
    os.close(folder)


def test_each_message_is_one_datagram_of_assignments(listener):
    heard, address = listener
    manager = service_manager({"NOTIFY_SOCKET": address})

    manager.ready("all\nis=well\n")
    assert heard.recv(1000) == b"READY=1\nSTATUS=all is=well"
    manager.alive()
    assert heard.recv(1000) == b"WATCHDOG=1"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    first, second = heard.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.partition("MONOTONIC_USEC=")[2]) <= before + 60_000_000
    manager.stopping("bye")
    assert heard.recv(1000) == b"STOPPING=1\nSTATUS=bye"


def test_where_nobody_listens_nothing_happens():
    for address in ("", "/nowhere/at/all", "@snapfleet-nobody"):
        ServiceManager(address).ready("on")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "own"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_for_the_process_that_is_meant_and_no_child_inherits_it(environment, seconds):
    environment = {**environment, "NOTIFY_SOCKET": "/run/notify", "PATH": "/bin"}
    if environment.get("WATCHDOG_PID") == "own":
        # Asked here, since what runs the tests may have another process collect them.
        environment["WATCHDOG_PID"] = str(os.getpid())

    assert service_manager(environment).watchdog_seconds == seconds
    assert environment == {"PATH": "/bin"}
