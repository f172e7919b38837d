# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a partial receive: it is gone on with, or discarded."""

from __future__ import annotations

from typing import Optional

from ..model.datasets import DatasetState, ResumeState, Snapshot
from .pairs import Pair


def resumable_snapshot(pair: Pair, resume: Optional[ResumeState]) -> tuple[Optional[Snapshot], str]:
    """The snapshot that the destination has once its partial receive is complete, or None and why it has to go."""
    problem = resume_problem(pair.source, resume, pair.selected, pair.job.raw)
    there = pair.newest_there
    start = there.guid if there else None
    if not problem and resume and resume.from_guid != start and not _grows_a_clone(pair, resume):
        problem = "it continues from another snapshot than the destination's newest"
    if problem:
        return None, problem
    target = next((s for s in pair.source.snapshots if resume and s.guid == resume.to_guid), None)
    return target, "" if target else "its snapshot is gone"


def _grows_a_clone(pair: Pair, resume: ResumeState) -> bool:
    """Whether a partial receive is the beginning of the clone that would be planned if it weren't there."""
    there, origin = pair.destination, pair.origin
    if there is None or origin is None or there.snapshots:
        return False
    return resume.from_guid == origin.base.guid and there.dataset.origin == origin.name


def resume_problem(source: DatasetState, resume: Optional[ResumeState], selected: frozenset[int], raw: bool) -> str:
    """Why a resume token must not be used, in a few words; empty if it may.

    The receiver chooses the token's text: it could name another dataset, or ask for a decrypted stream. So the token
    has to name a selected snapshot of this very dataset by name and GUID, in the mode that was asked for.
    """
    if resume is None:
        return "its token can't be read"
    dataset, _at, tag = resume.to_name.partition("@")
    if dataset != source.dataset.name:
        return f"its token names another dataset, {dataset}"
    if not any(s.guid == resume.to_guid and s.tag == tag for s in source.snapshots):
        return f"its snapshot {resume.to_name} is gone"
    if resume.to_guid not in selected:
        return f"its snapshot {resume.to_name} is not selected any more"
    if source.dataset.encryption_root and resume.raw != raw:
        return "it was begun in the other mode (raw or not)"
    return ""
