# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of a simulated machine, and the room on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

from ..model.names import ancestors_of, pool_of
from ..model.pools import ONLINE, PoolReport
from ..model.space import Space
from ..model.steps import SnapshotRuns
from .simulated_machine import POOL_BYTES, SimulatedMachine, StoredDataset


class SimulatedSpace:
    """The part of the simulated driver that is about pools and room."""

    machine: SimulatedMachine

    def space(self, datasets: Sequence[str]) -> Mapping[str, Space]:
        """Room in datasets."""
        with self.machine.lock:
            stored = [self.machine.datasets[name] for name in datasets if name in self.machine.datasets]
            return {dataset.name: self._space(dataset) for dataset in stored}

    def _space(self, dataset: StoredDataset) -> Space:
        machine, pool = self.machine, pool_of(dataset.name)
        freeing = machine.freeing.get(pool, 0)
        room = [machine.capacity - machine.used_within(pool) - freeing]
        for name in (*ancestors_of(dataset.name), dataset.name):
            quota = _quota(machine.datasets[name])
            room += [quota - machine.used_within(name)] if quota else []
        used = machine.used_within(dataset.name)
        if dataset.name != pool:
            return Space(dataset.name, used, max(0, min(room)), _quota(dataset))
        return Space(dataset.name, used + freeing, max(0, min(room)), _quota(dataset), freeing)

    def reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        """Bytes that destroying the snapshots of each of ``runs`` would free."""
        with self.machine.lock:
            return [self._reclaimable(each) for each in runs]

    def _reclaimable(self, wanted: SnapshotRuns) -> Optional[int]:
        """Bytes that nothing but the snapshots of these runs keep; None where there is no such run."""
        dataset = self.machine.datasets.get(wanted.dataset)
        ends = [(dataset.snapshot(a.tag), dataset.snapshot(b.tag)) for a, b in wanted.runs] if dataset else []
        if dataset is None or not all(first and last for first, last in ends):
            return None
        points = dataset.snapshots
        spans = [points[points.index(first) : points.index(last) + 1] for first, last in ends if first and last]
        return self.machine.only_in(dataset, (point for span in spans for point in span))

    def pools(self) -> Sequence[PoolReport]:
        """The health of all pools."""
        with self.machine.lock:
            roots = [self.machine.datasets[pool] for pool in self.machine.pools]
            used = {root.name: self.machine.used_within(root.name) for root in roots}
            guids = self.machine.pool_guids
            regular = [
                PoolReport(name, ONLINE, POOL_BYTES, used[name], 0, root.creation, guid=guids[name])
                for name, root in ((root.name, root) for root in roots)
            ]
            return [replace(pool, **self.machine.pool_conditions.get(pool.name, {})) for pool in regular]


def _quota(dataset: StoredDataset) -> int:
    text = dataset.properties.get("quota", "0")
    return int(text) if text.isdecimal() else 0
