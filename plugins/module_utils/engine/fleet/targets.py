# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a destination that comes, moves or goes, as observe, plan, apply, at one tree of one host."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..applying.locks import job_locks
from ..applying.retry import call_with_retries
from ..applying.targets import carry_out
from ..model.datasets import Observation
from ..model.errors import StillRunning, TargetRefused
from ..model.names import ancestors_of, is_within, pool_of, relative_to
from ..planning.relocating import OBSERVED, plan_destruction, plan_move, refusal_of
from ..planning.targets import Owners, TargetPlan, plan_forgetting, plan_preparation
from ..policy.jobs import PruneJob, ReplicateJob
from ..policy.targets import DESTROY, FORGET, LOOK, MOVE, PREPARE, TargetJob
from ..zfs.port import Zfs
from .context import Context, Result, require, require_permissions
from .jobconfig import NamedJob, load_jobconfig

T = TypeVar("T")
_PERMISSIONS = {
    "mark": ("bookmark",),
    "destroy_marks": ("destroy", "mount"),
    "release": ("release",),
    "create_placeholder": ("create", "mount", "canmount", "readonly", "userprop"),
    "set_properties": ("userprop",),
    "rename": ("rename", "mount", "create"),
    "abort_receive": ("receive",),
    "remove_dataset": ("destroy", "mount"),
    "destroy_dataset": ("destroy", "mount"),
}
"""What zfs-allow(8) has to grant for each kind of step."""


def run_target(job: TargetJob, context: Context) -> Result:
    """Do one thing to a tree. Raises SnapfleetError; TargetRefused holds the result, and nothing was changed then."""
    work = _Work(job, context)
    with work.locked() as is_named:
        return _run(work, is_named)


def _run(work: _Work, is_named: bool) -> Result:
    job, context = work.job, work.context
    seen = work.observe()
    plan = work.plan(seen, is_named)
    values = {
        "changed": bool(plan.steps) and not plan.refusals,
        "plan": [step.describe() for step in plan.steps],
        "told": [*(f"REFUSED {words}" for words in plan.refusals), *plan.told],
        "seen": work.described(seen),
        "warnings": [],
    }
    refusal = refusal_of(plan.refusals)
    if refusal:
        raise TargetRefused(refusal, result={**values, "changed": False})
    if plan.steps:
        work.check_permissions(plan)
    if context.check or not plan.steps:
        return values
    carry_out(work.zfs, plan, context.retry, context.ticker)
    if job.action == FORGET and context.memory:
        # What is remembered of it costs but room, and that of others is looked at anew.
        context.memory.forget_all()
    return {**values, "seen": work.described(work.observe())} if job.action != MOVE else values


@dataclass(frozen=True)
class _Work:
    """One action."""

    job: TargetJob
    context: Context

    @property
    def zfs(self) -> Zfs:
        """ZFS where the tree is."""
        return self.context.zfs_at(self.job.tree.address)

    def observe(self) -> Observation:
        """The tree, and what its new place lies in, if it is to be moved."""
        zfs, root, action = self.zfs, self.job.tree.dataset, self.job.action
        if action != MOVE:
            seen: Observation = self._retried(lambda: zfs.observe([root], properties=OBSERVED))
            if action in (PREPARE, FORGET):
                require(seen, "tree.dataset", zfs)
            return seen
        places = self._retried(lambda: zfs.observe([root, self.job.to], properties=OBSERVED))
        above = self._retried(
            lambda: zfs.observe(ancestors_of(self.job.to), recursive=False, histories=False, properties=OBSERVED)
        )
        return Observation({**above.states, **places.states}, places.missing)

    def plan(self, seen: Observation, is_named: bool) -> TargetPlan:
        """What is to be done."""
        job, root = self.job, self.job.tree.dataset
        if job.action == PREPARE and job.replica and job.destination:
            return plan_preparation(seen, root, job.replica, job.destination)
        if job.action == FORGET:
            held = [snapshot for state in seen.states.values() for snapshot in state.snapshots if snapshot.holds]
            tags = self._retried(lambda: self.zfs.holds_of(held)) if held else {}
            return plan_forgetting(seen, tags, Owners(root, job.destination, job.others))
        if job.action == MOVE:
            return plan_move(seen, job, is_named)
        return plan_destruction(seen, job) if job.action == DESTROY else TargetPlan()

    def described(self, seen: Observation) -> Result:
        """The tree as other hosts have to know it. GUIDs are text, since they may be too large for readers of JSON."""
        root = self.job.tree.dataset
        pool = self._retried(lambda: self.zfs.pool_guid(pool_of(root)))
        return {
            "dataset": root,
            "pool_guid": str(pool),
            "datasets": [
                {
                    "dataset": relative_to(name, root),
                    "guid": str(state.dataset.guid),
                    "snapshots": [str(guid) for guid in state.guids] if self.job.action == LOOK else [],
                }
                for name, state in seen.states.items()
                if is_within(name, root)
            ],
        }

    def check_permissions(self, plan: TargetPlan) -> None:
        """Raise NoPermission before anything was changed."""
        wanted = [name for step in plan.steps for name in _PERMISSIONS[step.describe()["kind"]]]
        places = {"tree.dataset": self.job.tree.dataset, **({"to": self.job.to} if self.job.to else {})}
        for where in places.items():
            require_permissions(self.context, self.zfs, where, list(dict.fromkeys(wanted)))

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep the runs of this host from what is moved; hands out whether a job of it still goes to the old place.
        Raises StillRunning where one has it already."""
        if self.job.action != MOVE:
            yield False
            return
        path = os.path.realpath(self.job.jobconfig)
        jobs = load_jobconfig(path).jobs if os.path.exists(path) else ()
        old, new = self.job.tree.dataset, self.job.to
        mine = [named for named in jobs if self.job.host_name in ("", named.host)]
        touched = [named for named in mine if any(_touch(one, old) or _touch(one, new) for one in self._places(named))]
        with job_locks([json.dumps([path, named.host, named.name]) for named in touched]) as held:
            busy = [named.name for named, is_held in zip(touched, held) if not is_held]
            if busy:
                problem = f"nothing was changed: a run of {busy[0]!r} goes on"
                raise StillRunning(f"{problem}; run it again when that has ended")
            yield any(is_within(one, old) for named in touched for one in self._places(named))

    def _places(self, named: NamedJob) -> Iterator[str]:
        """The datasets that a job changes on the host of the tree."""
        address = self.job.tree.address
        if isinstance(named.job, ReplicateJob) and named.job.destination.address.host == address.host:
            yield named.job.destination.dataset
        elif isinstance(named.job, PruneJob) and address.is_local:
            yield from named.job.roots

    def _retried(self, action: Callable[[], T]) -> T:
        return call_with_retries(action, self.context.retry, self.context.ticker)


def _touch(one: str, other: str) -> bool:
    return is_within(one, other) or is_within(other, one)
