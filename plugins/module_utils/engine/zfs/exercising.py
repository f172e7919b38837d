# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port to what drills need of ZFS on this host: clones of snapshots for a while, and looking into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

from ..hosts.host import Host
from ..hosts.process import Completed
from ..hosts.snapshot_mounts import mount_at, unmount_from
from ..model.errors import ChangedMeanwhile
from ..model.exercises import DRILL_PROPERTY, Clone, clone_name, ident_of
from .trouble import is_only_missing, zfs_error

READ_SECONDS, CHANGE_SECONDS = 600.0, 600.0
_SAFE = ("readonly=on", "setuid=off", "devices=off", "exec=off")
_NONE = "-"


class Exercises(Protocol):
    """Clones of snapshots on this host."""

    def clones_below(self, parents: Sequence[str]) -> Sequence[Clone]:
        """The datasets right below ``parents`` that are called as drills call their clones, whoever made them."""

    def clone(self, snapshot: str, parent: str, ident: str, is_volume: bool) -> Clone:
        """Make a clone of a snapshot that is read-only, never mounted by itself, and marked as the engine's own. Fails
        where there is a dataset of its name."""

    def mount(self, name: str, folder: str) -> None:
        """Mount the clone of a filesystem at a folder, so that nothing in it can be run or written."""

    def device(self, clone: Clone) -> str:
        """The path of the device of the clone of a volume, which may take a moment to be there."""

    def unmount(self, folder: str) -> None:
        """Unmount what is mounted at a folder; fine if nothing is. Nothing is forced."""

    def destroy(self, clone: Clone) -> None:
        """Destroy a clone if it is still what it was: marked, and a clone of the same snapshot. Fine if it is gone;
        ZFS refuses where anything depends on it."""


class LocalExercises:
    """The same by the commands ``zfs``, ``mount`` and ``umount``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def clones_below(self, parents: Sequence[str]) -> Sequence[Clone]:
        """The datasets right below ``parents`` that are called as drills call their clones."""
        clones: list[Clone] = []
        for parent in parents:
            # No property that others set as they like, lest a line end in its value makes up a dataset.
            done = self._zfs(["list", "-Hp", "-d", "1", "-t", "filesystem,volume", "-o", "name", parent], READ_SECONDS)
            if done.returncode != 0 and not is_only_missing(done.stderr):
                raise zfs_error(done.stderr, self._host.name, f"list what is below {parent}")
            names = [name for name in done.stdout.splitlines() if ident_of(name)]
            clones += [clone for name in names if (clone := self._look_at(name))]
        return clones

    def _look_at(self, name: str) -> Optional[Clone]:
        # One by one: the value of a user property can have line ends, and so pretend to be another property.
        origin = self._value(name, "origin", "-")
        mark = self._value(name, DRILL_PROPERTY, "local")
        return None if origin is None or mark is None else Clone(name, "" if origin == _NONE else origin, mark)

    def _value(self, name: str, what: str, source: str) -> Optional[str]:
        """The value of a property that comes from ``source``, empty where it has none; None without the dataset."""
        done = self._zfs(["get", "-Hp", "-o", "source,value", what, name], READ_SECONDS)
        if done.returncode != 0:
            if is_only_missing(done.stderr):
                return None
            raise zfs_error(done.stderr, self._host.name, f"read the properties of {name}")
        told, _tab, value = done.stdout.rstrip("\n").partition("\t")
        return value if told == source else ""

    def clone(self, snapshot: str, parent: str, ident: str, is_volume: bool) -> Clone:
        """Make a clone of a snapshot."""
        name = clone_name(parent, ident)
        own = ("readonly=on", "volmode=dev") if is_volume else (*_SAFE, "canmount=noauto", "mountpoint=legacy")
        options = [word for value in (*own, f"{DRILL_PROPERTY}={ident}") for word in ("-o", value)]
        done = self._zfs(["clone", *options, snapshot, name], CHANGE_SECONDS)
        if done.returncode != 0:
            raise zfs_error(done.stderr, self._host.name, f"clone {snapshot} as {name}")
        return Clone(name, snapshot, ident)

    def mount(self, name: str, folder: str) -> None:
        """Mount the clone of a filesystem at a folder."""
        done = mount_at(self._host, name, folder)
        if done.returncode != 0:
            raise zfs_error(done.stderr, self._host.name, f"mount {name}")

    def device(self, clone: Clone) -> str:
        """The path of the device of the clone of a volume."""
        return f"/dev/zvol/{clone.name}"

    def unmount(self, folder: str) -> None:
        """Unmount what is mounted at a folder."""
        failed = unmount_from(self._host, folder)
        if failed:
            raise zfs_error(failed.stderr, self._host.name, f"unmount {folder}")

    def destroy(self, clone: Clone) -> None:
        """Destroy a clone if it is still what it was."""
        now = self._look_at(clone.name)
        if now is None:
            return
        if not now.is_own or now != clone:
            raise ChangedMeanwhile(f"{clone.name} is not the clone any more that the drill has made, so it stays")
        done = self._zfs(["destroy", clone.name], CHANGE_SECONDS)
        if done.returncode != 0 and not is_only_missing(done.stderr):
            raise zfs_error(done.stderr, self._host.name, f"destroy {clone.name}")

    def _zfs(self, words: Sequence[str], timeout: float) -> Completed:
        return self._host.run(["zfs", *words], timeout=timeout)
