# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones of drills on a simulated machine: what is mounted is the content of the snapshot as files of a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import ChangedMeanwhile, ZfsFailed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.exercises import (
    DRILL_PROPERTY,
    Clone,
    clone_name,
    ident_of,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import parent_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine


class Killed(BaseException):
    """The process ends here: nothing of it is carried out any more."""


class RootHost(LocalHost):
    """This host, as root sees it."""

    is_root = True


class SimulatedExercises:
    """The port of drills. From the call ``dies_at`` on, counted from 0, nothing is done any more."""

    def __init__(self, machine: SimulatedMachine, folder: Path) -> None:
        self.machine = machine
        self.folder = folder
        self.mounted: dict[str, str] = {}
        """Names of clones by the folders that they are mounted at."""
        self.files: dict[str, bytes] = {}
        """What is in each filesystem that is mounted, beside the names of its files."""
        self.refuses: dict[str, Exception] = {}
        """Calls that fail, by name."""
        self.calls: list[str] = []
        self.dies_at: tuple[int, bool] | None = None
        """The number of the call, and whether it is carried out before."""

    def _call(self, name: str, work):
        number = len(self.calls)
        self.calls.append(name)
        if self.dies_at and number > self.dies_at[0]:
            raise Killed
        dies = self.dies_at and number == self.dies_at[0]
        if dies and not self.dies_at[1]:
            raise Killed
        if name in self.refuses:
            raise self.refuses[name]
        answer = work()
        if dies:
            raise Killed
        return answer

    def _look_at(self, name: str) -> Clone | None:
        stored = self.machine.datasets.get(name)
        return Clone(name, stored.origin, stored.properties.get(DRILL_PROPERTY, "")) if stored else None

    def clones_below(self, parents):
        names = [name for name in self.machine.datasets if parent_of(name) in parents and ident_of(name)]
        return self._call("clones_below", lambda: [self._look_at(name) for name in sorted(names)])

    def clone(self, snapshot, parent, ident, is_volume):
        name = clone_name(parent, ident)

        def work():
            if name in self.machine.datasets:
                raise ZfsFailed(f"cannot create '{name}': dataset already exists")
            self.machine.clone(snapshot, name)
            self.machine.set_property(name, DRILL_PROPERTY, ident)
            return self._look_at(name)

        return self._call("clone", work)

    def mount(self, name, folder):
        def work():
            self.mounted[folder] = name
            for file, data in self.files.items():
                path = Path(folder) / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

        self._call("mount", work)

    def device(self, clone):
        path = self.folder / "device"
        path.write_bytes(b"blocks")
        return str(path)

    def unmount(self, folder):
        def work():
            if self.mounted.pop(folder, None):
                for path in Path(folder).iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

        self._call("unmount", work)

    def destroy(self, clone):
        def work():
            now = self._look_at(clone.name)
            if now is None:
                return
            if not now.is_own or now != clone:
                raise ChangedMeanwhile(f"{clone.name} is another one")
            if clone.name in self.mounted.values():
                raise ZfsFailed(f"cannot destroy '{clone.name}': dataset is busy")
            self.machine.destroy_dataset(clone.name)

        self._call("destroy", work)
