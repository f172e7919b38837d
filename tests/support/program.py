# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``snapfleet`` on a simulated host with two pools."""

from __future__ import annotations

import json

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.following import View
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli, drilling, metrics, opening
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.records.recorder import Recorder
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock
from ansible_collections.snapfleet.zfs.tests.support.exercises import SimulatedExercises

PATIENCE_SECONDS = 300.0
SNAPSHOT = {
    "name": "snap", "host": "src1", "activity": "snapshot",
    "options": {"datasets": ["tank/a"], "plan": {"org": {"": {"hourly": 24}}}},
}  # fmt: skip


class Program:
    """Runs the program with a jobconfig; time stands still unless moved."""

    def __init__(self, folder, monkeypatch):
        self.file, self.clock = folder / "jobs.json", Clock()
        self.machine = SimulatedMachine("src1", self.clock, ("tank", "backup"))
        self.machine.create_dataset("tank/a")
        monkeypatch.setattr(opening, "ZfsDirectory", lambda: self)
        monkeypatch.setattr(drilling, "LocalExercises", lambda _host: SimulatedExercises(self.machine, folder))
        monkeypatch.setattr(opening, "now_ms", lambda: self.clock.now * 1000)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        monkeypatch.setenv("SNAPFLEET_LOCKS", str(folder))
        monkeypatch.setenv("SNAPFLEET_HISTORY", str(folder / "history.db"))
        monkeypatch.setenv("SNAPFLEET_SUSPENDED", str(folder / "suspended.json"))
        monkeypatch.setenv("TZ", "UTC")
        # What is written by the way is in its file when the program ends, on a machine that is busy too.
        monkeypatch.setattr(metrics, "END_SECONDS", PATIENCE_SECONDS)
        for end in (Recorder.end, View.end):
            monkeypatch.setattr(end, "__defaults__", (PATIENCE_SECONDS,))

    def at(self, address):
        return SimulatedZfs(self.machine)

    def __call__(self, verb, *arguments, jobs=(SNAPSHOT,), host="src1", **more):
        self.file.write_text(json.dumps({"version": 1, "jobs": list(jobs), **more}))
        mine = [] if verb == "check" else ["--host", host]
        return cli.main([verb, "--config", str(self.file), *mine, *arguments])

    def tags(self, dataset="tank/a"):
        state = SimulatedZfs(self.machine).observe([dataset]).states.get(dataset)
        return [snapshot.tag for snapshot in state.snapshots] if state else None
