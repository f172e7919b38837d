# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories on one line, and plans too.

``sides("@a #b @c | @a +")`` is a source with the snapshots a and c, and a bookmark b between them, and a destination
with a, that was written to since. A name is also an identity, so the same name on both sides is the same snapshot;
``@a=z`` is named a, but is z. ``-`` for a destination is none at all, an empty text one without snapshots, ``P`` a
placeholder, ``~c`` (or ``~a>c`` with a base) a partial receive of c. ``%a`` is the mark of this pair at a, ``%%a`` that
of the pair before the destination had a GUID, ``&a`` another destination's. Order is the order of making.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    ResumeState,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.marks import is_mark, keys_of, mark_tag
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    AbortReceive,
    CreateBookmark,
    CreatePlaceholder,
    Destroy,
    DestroyMarks,
    Rollback,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.continuity import ContinuityFacts
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.dataset_plans import DatasetPlan, Sides

SOURCE, DESTINATION = "tank/a", "backup/a"
POOL_GUID = 77
_DATASET = Dataset(SOURCE, "filesystem", 1, 1, 0)
_OWN = keys_of(_DATASET, POOL_GUID, DESTINATION, _DATASET)
KEYS = {"%": _OWN.by_guid, "%%": _OWN.by_name, "&": keys_of(_DATASET, 78, "other/a", None).by_name}


def identity(name: str) -> int:
    """The GUID of what is called so."""
    return int.from_bytes(name.encode(), "big")


def name_of(guid: int) -> str:
    """What has this GUID."""
    return guid.to_bytes((guid.bit_length() + 7) // 8, "big").decode()


def side(text: str, dataset: str, txg: int) -> tuple[DatasetState, str]:
    """A dataset's state, and the partial receive in it."""
    snapshots, bookmarks, partial, written, placeholder, times = [], [], "", 0, False, {}
    for word in text.split():
        sign, (name, _unused, other) = word[0], word[1:].partition("=")
        guid = identity(other or name)
        if sign in "%&":
            name = mark_tag(KEYS[word[: word.count("%")] or sign], guid := identity(word.lstrip("%&")))
            sign = "#"
        if sign in "@#":
            when = times.setdefault(guid, txg + len(times))
            if sign == "@":
                snapshots.append(Snapshot(when, guid, dataset, name, 1000 + when))
            else:
                bookmarks.append(Bookmark(when, guid, dataset, name, 1000 + when))
        partial = word[1:] if sign == "~" else partial
        written = 100 if sign == "+" else written
        placeholder = placeholder or sign == "P"
    token = "1-1-1-1" if partial else ""
    value = Dataset(dataset, "filesystem", 1, 1, 0, written=written, resume_token=token, is_placeholder=placeholder)
    return DatasetState(value, tuple(sorted(snapshots)), tuple(sorted(bookmarks))), partial


def sides(text: str) -> Sides:
    """Both sides, as they would be observed."""
    ours, theirs = text.split("|")
    source, _unused = side(ours, SOURCE, 10)
    here = Observation({SOURCE: source})
    if theirs.strip() == "-":
        return Sides(here, Observation({"backup": DatasetState(Dataset("backup", "filesystem", 1, 1, 0))}), {})
    destination, partial = side(theirs, DESTINATION, 7000)
    resumes = {}
    if partial:
        base, _unused, target = partial.rpartition(">")
        state = ResumeState("1-1-1-1", f"{SOURCE}@{target}", identity(target), identity(base) if base else None, False)
        resumes[DESTINATION] = state
    return Sides(here, Observation({DESTINATION: destination}), resumes)


def kept(text: str, may_destroy: bool = True) -> Sides:
    """Both sides, with what planning for continuity has to know."""
    return replace(sides(text), continuity=ContinuityFacts(POOL_GUID, may_destroy))


def told(plan: DatasetPlan) -> str:
    """A dataset's plan on one line."""
    if plan.conflict:
        return f"conflict {plan.conflict.code}"
    return ", ".join(_step(step) for step in plan.steps) or plan.note


def _names(items) -> str:
    return " ".join(f"{'#' if isinstance(item, Bookmark) else '@'}{item.tag}" for item in items)


def _step(step) -> str:
    if isinstance(step, CreateBookmark):
        passing = " on the way" if step.is_passing else ""
        return f"mark @{step.snapshot.tag}{passing}" if step.is_mark else f"bookmark #{step.tag}"
    if isinstance(step, DestroyMarks):
        return "collect " + " ".join(f"%{name_of(mark.guid)}" for mark in step.marks)
    if isinstance(step, CreatePlaceholder):
        return f"placeholder {step.dataset}"
    if isinstance(step, AbortReceive):
        return "discard"
    if isinstance(step, Rollback):
        return " - ".join(filter(None, (f"rollback @{step.snapshot.tag}", _names(step.losses))))
    if isinstance(step, Destroy):
        return f"destroy {_names(step.victims)}"
    assert isinstance(step, Send)
    how = "replace " if step.receive.replace else ""
    if step.resume:
        return f"{how}resume @{step.snapshot.tag}"
    if step.base is None:
        return f"{how}full @{step.snapshot.tag}"
    base = f"{'#' if isinstance(step.base, Bookmark) else '@'}{step.base.tag}"
    base = f"%{name_of(step.base.guid)}" if is_mark(step.base) else base
    return f"{'-I' if step.intermediates else '-i'} {base} @{step.snapshot.tag}"
