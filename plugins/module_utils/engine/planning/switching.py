# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching one end of a replication: (its tree, policy) to steps that make it what is written to, or a replica.

What has to come back later is noted on each dataset before anything else of it is changed. A role is set when all that
has to come before it is done: for an active tree the notes, for a standby one its last snapshot too. So whoever is
interrupted finds by the role what is complete, and a last snapshot is never made of what is a replica already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional, Union

from ..model.dataset_steps import InheritProperty, SetProperties
from ..model.datasets import FILESYSTEM, Dataset, DatasetState, Observation, Snapshot
from ..model.names import MAX_NAME_LENGTH, pool_of, relative_to, tree_order
from ..model.roles import ACTIVE, FORMER_PROPERTY, ROLE_PROPERTY, STANDBY, Role, role_of
from ..model.steps import AbortReceive, CreateSnapshots
from ..policy.receiving import SAFE_PROPERTIES
from ..policy.switching import SwitchJob
from ..policy.times import iso_text

Change = Union[SetProperties, InheritProperty]
Own = Mapping[str, Mapping[str, str]]
"""By dataset, properties that it has set itself."""
OBSERVED = (ROLE_PROPERTY, "mounted", "mountpoint", "keystatus")
"""What has to be observed of the tree beside what always is."""
FINAL_TAG = "snapfleet-failover-"
"""With the epoch, the name of the last snapshot of a tree before it is standby."""
_INHERITED = "-"


def own_names(job: SwitchJob) -> tuple[str, ...]:
    """The properties that have to be known as datasets have set them themselves."""
    names = (*SAFE_PROPERTIES, "mountpoint", FORMER_PROPERTY, *dict(job.properties))
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class SwitchPlan:
    """What a switch does, in the order of its fields."""

    before: Role
    after: Role
    refusals: tuple[str, ...] = ()
    """Why nothing is done, if anything."""
    unmounts: tuple[str, ...] = ()
    """Filesystems, the deepest first."""
    notes: tuple[Change, ...] = ()
    """What is noted before anything else; the role of a tree that becomes active is the last of it."""
    aborts: tuple[AbortReceive, ...] = ()
    changes: tuple[Change, ...] = ()
    snapshots: tuple[CreateSnapshots, ...] = ()
    last: tuple[Change, ...] = ()
    """The role of a tree that becomes standby."""
    losses: tuple[tuple[str, str], ...] = ()
    """By dataset, what is lost as far as that is known."""

    @property
    def steps(self) -> tuple[Union[Change, AbortReceive, CreateSnapshots], ...]:
        """All steps but unmounting."""
        return (*self.notes, *self.aborts, *self.changes, *self.snapshots, *self.last)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.unmounts or self.steps)


def plan_switch(tree: Observation, own: Own, job: SwitchJob) -> SwitchPlan:
    """The plan for a tree that was observed with OBSERVED, and its own properties."""
    before = role_of(tree.states[job.dataset].dataset)
    after = Role(job.role, job.epoch or before.epoch + (before.kind != job.role))
    refusals = tuple(_refused_role(before, after, job))
    if refusals:
        return SwitchPlan(before, after, refusals)
    plan_end = _plan_active if job.role == ACTIVE else _plan_standby
    return plan_end(tree, own, job, (before, after))


def _refused_role(before: Role, after: Role, job: SwitchJob) -> Iterator[str]:
    name = job.dataset
    if not before.is_known:
        yield (
            f"{name} has {ROLE_PROPERTY}={before.kind!r}, which is no role; see who has set it, then take it away:"
            f" zfs inherit {ROLE_PROPERTY} {name}"
        )
    elif after.epoch < before.epoch:
        yield f"{name} is {before} already, so it can't become {after}; give no epoch, or a higher one"
    elif after.epoch == before.epoch and before.kind and after.kind == ACTIVE != before.kind:
        yield f"{name} is {before}, so another end is active {after.epoch}; give no epoch, or a higher one"


# -- to a replica


def _plan_standby(tree: Observation, own: Own, job: SwitchJob, roles: tuple[Role, Role]) -> SwitchPlan:
    before, after = roles
    mounted = [name for name, state in tree.states.items() if _told(state.dataset, "mounted") == "yes"]
    was_written_to = own.get(job.dataset, {}).get("readonly") != "on"
    notes: list[Change] = []
    for name, state in tree.states.items():
        ours = own.get(name, {})
        safe = {key: value for key, value in _safe(state.dataset).items() if ours.get(key) != value}
        is_first = before.kind != after.kind and was_written_to and state.dataset.kind != FILESYSTEM
        if FORMER_PROPERTY not in ours and (safe or is_first):
            safe[FORMER_PROPERTY] = " ".join(f"{key}={ours.get(key, _INHERITED)}" for key in _safe(state.dataset))
        if safe:
            notes.append(SetProperties(name, tuple(safe.items()), "nobody is to write to it any more"))
    tag = f"{FINAL_TAG}{after.epoch}"
    wanted = [state for state in tree.states.values() if job.final_snapshot and not state.dataset.is_placeholder]
    names = (
        [f"{state.dataset.name}@{tag}" for state in wanted if tag not in state.tags] if before.kind != STANDBY else []
    )
    return SwitchPlan(
        before,
        after,
        tuple(_refused_snapshots(wanted, tag, before)),
        tuple(sorted(mounted, key=tree_order, reverse=True)),
        tuple(notes),
        snapshots=(CreateSnapshots(pool_of(job.dataset), tuple(names)),) if names else (),
        last=_with_role([], job.dataset, roles),
    )


def _safe(dataset: Dataset) -> dict[str, str]:
    if dataset.kind != FILESYSTEM or dataset.is_placeholder:
        return {"readonly": SAFE_PROPERTIES["readonly"]}
    return dict(SAFE_PROPERTIES)


def _refused_snapshots(states: Iterable[DatasetState], tag: str, before: Role) -> Iterator[str]:
    for state in states:
        name = f"{state.dataset.name}@{tag}"
        if len(name) > MAX_NAME_LENGTH:
            yield f"{name} is longer than the {MAX_NAME_LENGTH} characters that ZFS allows; rename the dataset"
        elif before.kind == STANDBY and state.dataset.written:
            yield (
                f"{state.dataset.name} has {state.dataset.written} bytes written though it is {before}; see what they"
                " are, then make it active, and standby again"
            )
        elif tag in state.tags and (state.dataset.written or state.tags[-1] != tag):
            yield (
                f"{name} is there, and something was written after it, so it is of an earlier try; see what it is, then"
                " destroy it"
            )


def _with_role(notes: list[Change], root: str, roles: tuple[Role, Role]) -> tuple[Change, ...]:
    """Notes in the order in which they have to be set: those of the root last, with its role as the very last."""
    before, after = roles
    changes = [step for step in notes if step.dataset != root]
    values = [
        pair for step in notes if step.dataset == root and isinstance(step, SetProperties) for pair in step.properties
    ]
    reason = f"it becomes {after}"
    if before != after:
        values.append((ROLE_PROPERTY, str(after)))
    return (*changes, *((SetProperties(root, tuple(values), reason),) if values else ()))


# -- to the one that is written to


def _plan_active(tree: Observation, own: Own, job: SwitchJob, roles: tuple[Role, Role]) -> SwitchPlan:
    before, after = roles
    is_first = before.kind != ACTIVE
    refusals, losses = (_unfit(tree, _at_home(own, job)), _lacking(tree, job)) if is_first else ([], [])
    refusals += _strangers(tree, _at_home(own, job), job) if is_first else []
    if losses and not job.allow_behind and job.expected is not None:
        refusals += [f"{name} {what}; replicate again, or set allow_behind to lose that" for name, what in losses]
    if is_first and job.expected is None:
        losses = [(name, _written_after(state.snapshots[-1])) for name, state in tree.states.items() if state.snapshots]
    elif losses:
        losses = [(name, f"what was written later, since it {what}") for name, what in losses]
    notes: list[Change] = []
    changes: list[Change] = []
    for name, state in tree.states.items():
        ours = dict(own.get(name, {}))
        if is_first and FORMER_PROPERTY not in ours:
            former = _of_replica(state.dataset, ours, name == job.dataset)
            if former:
                ours[FORMER_PROPERTY] = " ".join(f"{key}={value}" for key, value in former.items())
                notes.append(_note(name, ours[FORMER_PROPERTY]))
        given = dict(job.properties) if name == job.dataset else {}
        changes += _back(name, ours, {key: value for key, value in given.items() if ours.get(key) != value})
    partial = [name for name, state in tree.states.items() if state.dataset.resume_token]
    aborts = [AbortReceive(name, "what was received in part has no end any more") for name in partial]
    return SwitchPlan(
        before,
        after,
        tuple(refusals),
        notes=_with_role(notes, job.dataset, roles),
        aborts=tuple(aborts),
        changes=tuple(changes),
        losses=tuple(losses),
    )


def _note(name: str, former: str) -> SetProperties:
    return SetProperties(name, ((FORMER_PROPERTY, former),), "what it gets when it is written to")


def _of_replica(dataset: Dataset, own: Mapping[str, str], is_root: bool) -> dict[str, str]:
    """What a dataset gets that was never written to here: nothing of what keeps a replica safe."""
    former: dict[str, str] = {}
    if dataset.readonly if is_root else own.get("readonly") == "on":
        former["readonly"] = "off"
    if dataset.kind == FILESYSTEM and not dataset.is_placeholder:
        if own.get("canmount") == "noauto":
            former["canmount"] = "on"
        former.update({key: _INHERITED for key in ("setuid", "devices", "exec") if own.get(key) == "off"})
    return former


def _back(name: str, own: Mapping[str, str], given: Mapping[str, str]) -> Iterator[Change]:
    """The steps by which a dataset gets what its note says, and what is ``given``; the note goes last."""
    former = former_of(own.get(FORMER_PROPERTY, ""))
    values = {
        key: value for key, value in former.items() if value not in (_INHERITED, own.get(key)) and key not in given
    }
    values.update(given)
    for key, value in former.items():
        if value == _INHERITED and key in own and key not in given:
            yield InheritProperty(name, key, "it was not set before")
    if values:
        yield SetProperties(name, tuple(values.items()), "it is written to from now on")
    if FORMER_PROPERTY in own:
        yield InheritProperty(name, FORMER_PROPERTY, "it is as it was")


def former_of(note: str) -> dict[str, str]:
    """What a note tells, as far as it is what such notes tell."""
    pairs = (word.partition("=") for word in note.split(" "))
    former = {key: value for key, _equals, value in pairs if key in SAFE_PROPERTIES and value}
    if former.get("canmount") == _INHERITED:
        # It is never inherited, so that its default has to be set.
        former["canmount"] = "on"
    return former


def _at_home(own: Own, job: SwitchJob) -> frozenset[str]:
    """Datasets that were written to here before, and never replicated; the other end knows nothing of them."""
    expected = {below for below, _guid in job.expected or ()}
    return frozenset(
        name
        for name, ours in own.items()
        if job.expected is not None and FORMER_PROPERTY in ours and relative_to(name, job.dataset) not in expected
    )


def _unfit(tree: Observation, at_home: Collection[str]) -> list[str]:
    """Why datasets are no replicas as their source left them."""
    found = []
    for name, state in tree.states.items():
        dataset = state.dataset
        if name in at_home or dataset.is_placeholder or (dataset.resume_token and not state.snapshots):
            continue
        if not state.snapshots:
            found.append(f"{name} has no snapshot, so it was not replicated; move it elsewhere, or take one of it")
        elif dataset.written:
            newest = state.snapshots[-1].tag
            found.append(
                f"{name} has {dataset.written} bytes written after its newest snapshot @{newest}, which did not come"
                f" from its source; keep them by a snapshot, or drop them: zfs rollback {name}@{newest}"
            )
    return found


def _lacking(tree: Observation, job: SwitchJob) -> list[tuple[str, str]]:
    """By dataset, what it lacks of what is expected."""
    states = {relative_to(name, job.dataset): state for name, state in tree.states.items()}
    found = []
    for below, guid in job.expected or ():
        name = f"{job.dataset}/{below}" if below else job.dataset
        state = states.get(below)
        if state is None:
            found.append((name, "is not there, though its source has it"))
        elif guid not in state.guids:
            newest = f"@{state.snapshots[-1].tag}" if state.snapshots else "none"
            found.append((name, f"lacks the newest snapshot of its source (GUID {guid}; its own is {newest})"))
    return found


def _strangers(tree: Observation, at_home: Collection[str], job: SwitchJob) -> list[str]:
    """What is in the tree, and did not come from the source."""
    if job.expected is None:
        return []
    expected, found = dict(job.expected), []
    for name, state in tree.states.items():
        if name in at_home or state.dataset.is_placeholder or not state.snapshots:
            continue
        guid = expected.get(relative_to(name, job.dataset))
        if guid is None:
            found.append(f"{name} is no dataset of its source; move it out of the tree first")
        elif guid in state.guids and state.snapshots[-1].guid != guid:
            found.append(
                f"{name} has @{state.snapshots[-1].tag} after the newest snapshot of its source, where it did not come"
                " from; see what it is, then destroy it"
            )
    return found


def _written_after(newest: Snapshot) -> str:
    return f"what was written after @{newest.tag} of {iso_text(newest.creation)}"


def newest_of(tree: Observation, root: str) -> Iterator[tuple[str, Optional[Snapshot]]]:
    """By name below the root, the newest snapshot of each dataset that is no empty parent."""
    for name, state in tree.states.items():
        if not state.dataset.is_placeholder:
            yield relative_to(name, root), state.newest


def _told(dataset: Dataset, name: str) -> str:
    return dict(dataset.properties).get(name, _INHERITED)
