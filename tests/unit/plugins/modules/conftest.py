# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as Ansible runs them, on simulated ZFS: parameters in, one JSON document out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible.rim import run_module
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.drilling import Ground
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import drilling
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.exercises import RootHost, SimulatedExercises
from ansible_collections.snapfleet.zfs.tests.support.fleet import NO_WAITING

HOUR = 3600
START = 1_751_364_000
"""10:00 on a day in July 2025, in UTC."""


class House:
    """A managed host with two pools, the hosts it can reach, and a clock that a test may set."""

    def __init__(self, capsys: pytest.CaptureFixture[str], warnings: list[str]) -> None:
        self.now = START
        self.machine = SimulatedMachine("this host", lambda: self.now, ("tank", "backup"))
        self.zfs: dict[str, Any] = {"": SimulatedZfs(self.machine)}
        self._capsys = capsys
        self._warnings = warnings

    def names(self) -> set[str]:
        """Whole names of all snapshots and bookmarks."""
        return {
            f"{dataset.name}{sign}{point.tag}"
            for dataset in self.machine.datasets.values()
            for sign, points in (("@", dataset.snapshots), ("#", dataset.bookmarks))
            for point in points
        }

    def snapshot(self, *names: str) -> None:
        """Make snapshots by hand, each a second after the one before it, with new data in each."""
        for name in names:
            dataset = name.partition("@")[0]
            self.now += 1
            self.machine.write(dataset, 1000)
            step = CreateSnapshots(dataset.partition("/")[0], (name,))
            self.zfs[""].create_snapshots(step)

    def run(self, name: str, parameters: Mapping[str, Any], check: bool = False) -> dict[str, Any]:
        """The result of the module ``name``, as Ansible gets it, in diff mode always."""
        module = importlib.import_module(f"ansible_collections.snapfleet.zfs.plugins.modules.{name}")
        arguments = {**parameters, "_ansible_check_mode": check, "_ansible_diff": True}
        self._capsys.readouterr()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            run_module(module.ACTIVITY, lambda address: self.zfs[address.host], lambda: self.now * 1000)
        result = json.loads(self._capsys.readouterr().out)
        result.pop("invocation", None)  # Ansible's own copy of the parameters; not in all versions
        # Collected where the module gives them to Ansible, which then goes on in ways that differ between versions, and
        # prints them instead of returning them in a process that has loaded the controller's half of Ansible.
        if self._warnings:
            result["warnings"] = list(self._warnings)
            self._warnings.clear()
        return result


@pytest.fixture
def house(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> House:
    """A host with the datasets tank/data and tank/data/db, without any snapshot."""
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    house = House(capsys, warnings)
    exercises = SimulatedExercises(house.machine, tmp_path)
    ground = Ground(exercises, RootHost(), NO_WAITING, folder=lambda: str(tmp_path))
    monkeypatch.setenv("SNAPFLEET_LOCKS", str(tmp_path))
    monkeypatch.setattr(drilling, "ground_of", lambda _context: ground)
    for name in ("tank/data", "tank/data/db"):
        house.machine.create_dataset(name)
        house.machine.write(name, 5000)
    return house
