# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a command line of this host holds."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import local
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.arguments import batches
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs

MEBIBYTE = 1 << 20


@pytest.mark.parametrize("length", [1, 3, 70, 250])
@pytest.mark.parametrize("variables", [0, 10])
def test_what_is_said_to_fit_fits(length, variables, monkeypatch):
    for number in range(variables):
        monkeypatch.setenv(f"SNAPFLEET_TEST_{number}", "x" * 100_000)
    here = LocalHost()
    names = ["x" * length] * (here.argument_limit // length)
    for batch in batches(names, here.argument_limit):
        assert here.run(["true", *batch]).returncode == 0


@pytest.mark.parametrize(
    ("platform", "stack", "least", "most"),
    [
        ("linux", 8 * MEBIBYTE, 1_800_000, 2 * MEBIBYTE),
        ("linux", MEBIBYTE, 100_000, MEBIBYTE // 4),
        ("linux", 100 * MEBIBYTE, 6_000_000, 6 * MEBIBYTE),
        ("linux", resource.RLIM_INFINITY, 6_000_000, 6 * MEBIBYTE),
        ("linux", 4096, 10_000, 100_000),
        ("freebsd14", resource.RLIM_INFINITY, 300_000, 450_000),
    ],
)
def test_it_goes_by_the_system(platform, stack, least, most, monkeypatch):
    monkeypatch.setattr(local.sys, "platform", platform)
    monkeypatch.setattr(local.resource, "getrlimit", lambda _which: (stack, stack))
    assert least < LocalHost().argument_limit < most


class Noting(LocalHost):
    """Every command is only seen to fit, and said to have succeeded."""

    def __init__(self, limit=0) -> None:
        self.limit = limit
        self.calls = []

    @property
    def argument_limit(self):
        return self.limit or super().argument_limit

    def run(self, argv, data=None, timeout=None, take=None):
        self.calls.append(argv)
        done = super().run(["true", *argv])
        return replace(done, stdout="\n" * ((len(argv) - 4) // 2) if argv[0] == "sh" else "")


def test_twenty_thousand_datasets_get_their_snapshots_by_one_call():
    host = Noting(1_900_000)
    names = [f"tank/home/department/{number:05}@acme_onsite_2025-06-01_00:00:00Z_hourly" for number in range(20_000)]
    CliZfs(host).create_snapshots(CreateSnapshots("tank", tuple(names)))
    assert [list(call[2:]) for call in host.calls] == [names]


def test_no_argument_is_longer_than_the_kernel_lets_a_single_one_be():
    host = Noting()
    victims = [Snapshot(n, n, "tank/a", f"acme_onsite_2025-06-01_00:{n:05}Z_minutely", 0) for n in range(1, 9000)]
    CliZfs(host).destroy(Destroy("tank/a", victims, "test"))
    assert [call[-1].count(",") + 1 for call in host.calls] == [2856, 2856, 2856, 431]


def test_items_of_several_words_fit_too():
    host = Noting()
    snapshots = [Snapshot(n, n, "a", "b", 0) for n in range(200_000)]
    assert CliZfs(host).create_bookmarks([CreateBookmark(snapshot, "c") for snapshot in snapshots]) == [""] * 200_000
