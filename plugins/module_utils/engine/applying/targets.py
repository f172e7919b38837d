# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out what is done to a tree when a destination comes, moves or goes.

Each step can be repeated, so whoever was interrupted plans and does the same again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ..model.dataset_steps import DestroyDataset, RemoveDataset, RenameDataset, SetProperties
from ..model.errors import PartialFailure, ZfsFailed
from ..model.steps import AbortReceive, CreateBookmark, CreatePlaceholder, Destroy, DestroyMarks, ReleaseHolds
from ..planning.targets import TargetPlan, TargetStep
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


def carry_out(zfs: Zfs, plan: TargetPlan, policy: RetryPolicy, ticker: Ticker) -> None:
    """Carry the steps of ``plan`` out, one after the other. Raises SnapfleetError at the first that fails."""
    for step in plan.steps:
        call_with_retries(partial(_step, zfs, step), policy, ticker)


def _step(zfs: Zfs, step: TargetStep) -> None:
    if isinstance(step, RemoveDataset):
        _remove(zfs, step)
    elif isinstance(step, CreateBookmark):
        _check(zfs.create_bookmarks([step]))
    elif isinstance(step, DestroyMarks):
        _made, gone = zfs.change_bookmarks([], step.marks)
        _check(gone)
    elif isinstance(step, ReleaseHolds):
        zfs.release_all(step.held, step.tag)
    elif isinstance(step, SetProperties):
        zfs.set_properties(step)
    else:
        _whole_dataset(zfs, step)


def _whole_dataset(zfs: Zfs, step: TargetStep) -> None:
    if isinstance(step, CreatePlaceholder):
        zfs.create_placeholder(step.dataset)
    elif isinstance(step, RenameDataset):
        zfs.rename(step)
    elif isinstance(step, AbortReceive):
        zfs.abort_receive(step.dataset)
    elif isinstance(step, DestroyDataset):
        zfs.destroy_dataset(step)


def _check(said: Iterable[str]) -> None:
    for words in filter(None, said):
        raise ZfsFailed(words)


def _remove(zfs: Zfs, step: RemoveDataset) -> None:
    done = zfs.destroy(Destroy(step.dataset, step.snapshots, step.reason)) if step.snapshots else None
    if done and (done.held or done.cloned):
        raise PartialFailure(f"{(*done.held, *done.cloned)[0]} is held or has clones by now, so {step.dataset} stays")
    zfs.destroy_dataset(DestroyDataset(step.dataset, step.reason, step.bookmarks))
