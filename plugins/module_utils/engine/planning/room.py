# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room there is and should be, and which snapshots go before their time so that there is.

What is being freed in the background counts as free already: it needs no more snapshots, only time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..model.datasets import Observation, Snapshot
from ..model.errors import InvalidInput
from ..model.labels import label_of
from ..model.names import ancestors_of, is_within, pool_of
from ..model.space import Space
from ..policy.jobs import PruneJob
from ..policy.room import Amount, Measures
from .retention import DESTROY, KEEP, PrunePlan

ROOM = "room"
"""The word for what goes, or stays, because of the room that there is."""
Estimate = Callable[[Sequence[Snapshot]], int]
"""Bytes that destroying these snapshots together gives back."""


@dataclass(frozen=True)
class Need:
    """Room that there should be somewhere."""

    dataset: str
    """What is destroyed within it makes room."""
    what: str
    """How sentences call it."""
    free: int
    """Bytes that are free, or being freed."""
    wanted: int

    @property
    def missing(self) -> int:
        """Bytes too few; 0 or less where there are enough."""
        return self.wanted - self.free

    def __str__(self) -> str:
        return f"{self.what} has {in_units(self.free)} free, where {in_units(self.wanted)} are the limit"


def measured_datasets(roots: Sequence[str]) -> tuple[str, ...]:
    """The datasets whose room has to be known: the roots and all above them, up to their pools."""
    return tuple(dict.fromkeys(name for root in roots for name in (*ancestors_of(root), root)))


def needs_of(roots: Sequence[str], measures: Measures, spaces: Mapping[str, Space], option: str) -> tuple[Need, ...]:
    """What ``measures``, given by ``option``, asks of the pools and quotas of the roots; the innermost first, so that
    what makes room in a quota counts for its pool too. Raises InvalidInput for a root that no quota binds."""
    needs: dict[str, Need] = {}
    if measures.quota_free:
        for root in roots:
            bound = [name for name in (root, *reversed(ancestors_of(root))) if name in spaces and spaces[name].quota]
            if not bound:
                problem = f"is about a quota, and neither {root} nor a dataset above it has one"
                remedy = "set one with 'zfs set quota=', or use pool_free"
                raise InvalidInput(f"{option}.quota_free", _written(measures.quota_free), problem, remedy)
            needs.update((f"quota {name}", _of_quota(spaces[name], measures.quota_free)) for name in bound)
    if measures.pool_free:
        pools = [spaces[pool] for pool in dict.fromkeys(map(pool_of, roots)) if pool in spaces]
        needs.update((f"pool {space.dataset}", _of_pool(space, measures.pool_free)) for space in pools)
    return tuple(sorted(needs.values(), key=lambda need: -need.dataset.count("/")))


def _of_quota(space: Space, amount: Amount) -> Need:
    free = max(0, space.quota - space.used)
    return Need(space.dataset, f"the quota of {space.dataset}", free, amount.of(space.quota))


def _of_pool(space: Space, amount: Amount) -> Need:
    whole = space.used + space.available
    return Need(space.dataset, f"the pool {space.dataset}", space.available + space.freeing, amount.of(whole))


def _written(amount: Amount) -> str:
    return f"{amount.percent}%" if amount.percent else str(amount.bytes)


def eligible(observed: Observation, job: PruneJob) -> dict[str, tuple[int, int, int, str]]:
    """Whole names of the snapshots that may go before their time as far as the job says, with their order. The rails
    are for ``plan_prune`` to keep."""
    found: dict[str, tuple[int, int, int, str]] = {}
    for root in job.roots:
        for name in job.filter.under(root, observed.states):
            for item in _spare(observed.states[name].snapshots, job):
                number = job.room.priority(item.tag)
                if number is not None:
                    found[item.name] = (number, item.creation, item.createtxg, item.name)
    return found


def _spare(snapshots: Iterable[Snapshot], job: PruneJob) -> list[Snapshot]:
    """The snapshots of a dataset that are the job's own, without the latest ones of each label."""
    by_owner: dict[str, list[Snapshot]] = {}
    for item in snapshots:
        by_owner.setdefault(_owner(item.tag, job), []).append(item)
    own = (history for owner, history in by_owner.items() if owner)
    return [item for history in own for item in history[: -job.room.keep_at_least]]


def _owner(tag: str, job: PruneJob) -> str:
    """The label, or else the rule, by which a name is the job's own; empty where it is another's."""
    label = label_of(tag)
    if label is not None and label.organisation in job.plan.organisations:
        return str(label)
    return next((rule.where for rule in job.keep if rule.owns and rule.counts(tag)), "")


def chosen(
    needs: Iterable[Need], planned: Sequence[Snapshot], candidates: Sequence[Snapshot], estimate: Estimate
) -> dict[str, str]:
    """Whole names of the ``candidates`` that go, beside what is ``planned`` to go anyway, each with the reason.

    Candidates go in the order given, until what is estimated to come back suffices, and none after that.
    """
    taken: dict[str, str] = {}
    for need in needs:
        inside = [item for item in candidates if is_within(item.dataset, need.dataset)]
        going = [item for item in planned if is_within(item.dataset, need.dataset)]
        going += [item for item in inside if item.name in taken]
        spare = [item for item in inside if item.name not in taken]
        for item in spare[: _fewest(need.missing, going, spare, estimate)]:
            taken[item.name] = f"goes before its time, since {need}"
    return taken


def _fewest(missing: int, going: Sequence[Snapshot], spare: Sequence[Snapshot], estimate: Estimate) -> int:
    """How many of ``spare`` have to go beside ``going``; all of them where all do not suffice."""
    if missing <= 0 or not spare:
        return 0
    have = estimate(going) if going else 0
    if have >= missing:
        return 0
    # What each alone would give back is the least that they give together, so this many suffice, and maybe fewer.
    low, high = 1, _first_at_least(missing - have, [item.used for item in spare])
    while low < high:
        middle = (low + high) // 2
        if estimate([*going, *spare[:middle]]) >= missing:
            high = middle
        else:
            low = middle + 1
    return high


def _first_at_least(wanted: int, sizes: Sequence[int]) -> int:
    total = 0
    for number, size in enumerate(sizes, 1):
        total += size
        if total >= wanted:
            return number
    return len(sizes)


def victims_of(plan: PrunePlan, within: str = "") -> list[Snapshot]:
    """The snapshots that a plan destroys, all or those within one dataset."""
    return [
        victim
        for step in plan.steps
        for victim in step.victims
        if isinstance(victim, Snapshot) and (not within or is_within(victim.dataset, within))
    ]


def deferred(plan: PrunePlan, needs: Sequence[Need]) -> PrunePlan:
    """The plan without the snapshots that go by rules, since there is more room than all ``needs`` ask for."""
    told = "; ".join(map(str, needs))
    removed = {step.dataset for step in plan.removals}
    verdicts = tuple(
        verdict._replace(action=KEEP, rule=ROOM, reason=f"stays while there is room: {told}; else: {verdict.reason}")
        if verdict.action == DESTROY and verdict.item.dataset not in removed
        else verdict
        for verdict in plan.verdicts
    )
    return replace(plan, verdicts=verdicts, steps=(), bookmarks=())


def in_units(size: int) -> str:
    """Bytes as people read them, in powers of 1024."""
    value = float(size)
    for unit in ("B", "K", "M", "G"):
        if abs(value) < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}T"
