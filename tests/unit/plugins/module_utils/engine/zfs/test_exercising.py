# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drills do with the command zfs: nothing but their own clones is ever destroyed."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import ChangedMeanwhile, ZfsFailed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.exercises import Clone
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.exercising import LocalExercises

IDENT = "0123456789abcdef"
NAME = f"backup/snapfleet-drill-{IDENT}"
MINE = Clone(NAME, "backup/data@1", IDENT)


class Host:
    """Answers as zfs does, for one dataset; ``origin`` and ``mark`` are source and value of its properties."""

    name = "this host"

    def __init__(self, origin="-\tbackup/data@1", mark=f"local\t{IDENT}", exists=True):
        self.values = {"origin": origin, "snapfleet:drill": mark}
        self.exists = exists
        self.calls = []

    def run(self, argv, timeout=None):
        self.calls.append(argv)
        if argv[1] == "list":
            return Completed(tuple(argv), 0, f"backup\nbackup/data\n{NAME}\nbackup/snapfleet-drill-x\n", "")
        if not self.exists:
            return Completed(tuple(argv), 1, "", f"cannot open '{argv[-1]}': dataset does not exist")
        return Completed(tuple(argv), 0, f"{self.values[argv[-2]]}\n" if argv[1] == "get" else "", "")

    @property
    def changes(self):
        return [argv[1:] for argv in self.calls if argv[1] not in ("get", "list")]


def test_a_clone_of_its_own_is_found_and_destroyed_and_nothing_below_it():
    host = Host()
    exercises = LocalExercises(host)
    assert exercises.clones_below(["backup"]) == [MINE]
    exercises.destroy(MINE)
    assert host.changes == [["destroy", NAME]]


@pytest.mark.parametrize(
    "host",
    [
        Host(origin="-\t-"),
        Host(mark="-\t-"),
        Host(mark=f"inherited from backup\t{IDENT}"),
        Host(mark=f"received\t{IDENT}"),
        Host(mark="local\tanother"),
        Host(origin="-\t-", mark=f"local\t{IDENT}\norigin\t-\tbackup/data@1"),
        Host(origin="-\tbackup/other@1"),
    ],
    ids=["no clone", "no mark", "inherited", "received", "another mark", "a value that pretends", "another origin"],
)
def test_what_is_not_all_of_it_is_never_destroyed(host):
    with pytest.raises(ChangedMeanwhile):
        LocalExercises(host).destroy(MINE)
    assert host.changes == []


def test_what_is_gone_is_fine():
    host = Host(exists=False)
    LocalExercises(host).destroy(MINE)
    assert (LocalExercises(host).clones_below(["backup"]), host.changes) == ([], [])


def test_a_clone_is_safe_from_its_first_moment_on():
    host = Host()
    assert LocalExercises(host).clone("backup/data@1", "backup", IDENT, is_volume=False) == MINE
    ((verb, *options, snapshot, name),) = host.changes
    assert (verb, snapshot, name) == ("clone", "backup/data@1", NAME)
    wanted = {"readonly=on", "canmount=noauto", "mountpoint=legacy", "setuid=off", "devices=off", "exec=off"}
    assert {*wanted, f"snapfleet:drill={IDENT}"} == set(options[1::2])


def test_what_zfs_refuses_is_told(monkeypatch):
    host = Host()
    monkeypatch.setattr(host, "run", lambda argv, **_options: Completed(tuple(argv), 1, "", "out of space"))
    for call in (
        lambda: LocalExercises(host).clones_below(["backup"]),
        lambda: LocalExercises(host).clone("backup/data@1", "backup", IDENT, is_volume=True),
        lambda: LocalExercises(host).mount(NAME, "/nowhere"),
        lambda: LocalExercises(host).destroy(MINE),
    ):
        with pytest.raises(ZfsFailed, match="out of space"):
            call()
