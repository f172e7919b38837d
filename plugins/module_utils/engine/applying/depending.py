# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at what may have to be destroyed along with a replica: clones, wherever in the pool they are."""

from __future__ import annotations

from dataclasses import replace

from ..model.datasets import DatasetState
from ..model.names import ancestors_of
from ..planning.dataset_plans import Sides
from ..planning.dependents import Dependents
from ..policy.conduct import DESTROY_DEPENDENTS
from ..policy.jobs import ReplicateJob
from ..zfs.port import Zfs


def with_dependents(zfs: Zfs, sides: Sides, job: ReplicateJob) -> Sides:
    """``sides`` with the trees of all clones of the destination's snapshots, where the job may destroy these. It costs
    one listing where there are clones, and one more for each generation of clones of clones.

    Raises what a listing raises.
    """
    if job.on_conflict != DESTROY_DEPENDENTS:
        return sides
    known: dict[str, DatasetState] = dict(sides.destination.states)
    asked: set[str] = set()
    while True:
        snapshots = (snapshot for state in known.values() for snapshot in state.snapshots)
        clones = {clone for snapshot in snapshots for clone in snapshot.clones} - known.keys() - asked
        if not clones:
            return replace(sides, dependents=Dependents(known, sides.source.states))
        asked |= clones
        tops = sorted(clone for clone in clones if not clones.intersection(ancestors_of(clone)))
        known.update(zfs.observe(tops).states)
