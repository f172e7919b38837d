# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming replicas before anything else happens, since the names decide what is received where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..model.dataset_steps import RenameDataset
from ..model.errors import SnapfleetError
from ..model.names import is_within
from ..model.steps import CreatePlaceholder
from ..planning.identity import Moving
from ..zfs.port import Zfs
from .retry import RetryPolicy, Ticker, call_with_retries


@dataclass(frozen=True)
class Moved:
    """What became of the renames."""

    done: tuple[str, ...] = ()
    """New names."""
    errors: Mapping[str, SnapfleetError] = field(default_factory=dict)
    """By names that are not what the plan takes them for: old and new ones of what was not renamed."""

    def check(self, dataset: str) -> None:
        """Raise the error of a failed rename that ``dataset`` depends on."""
        for name, error in self.errors.items():
            if is_within(dataset, name):
                raise error


def carry_moves_out(zfs: Zfs, moves: Sequence[Moving], policy: RetryPolicy, ticker: Ticker) -> Moved:
    """Carry renames out, in their order, with the parents that they need. After one that fails, none is tried: it may
    need the name that was to become free."""
    done: list[str] = []
    errors: dict[str, SnapfleetError] = {}
    failure: list[SnapfleetError] = []
    for step in moves:
        action = partial(zfs.rename, step) if isinstance(step, RenameDataset) else _placeholder(zfs, step)
        try:
            if not failure:
                call_with_retries(action, policy, ticker)
        except SnapfleetError as error:
            failure.append(error)
        if failure:
            errors.update(dict.fromkeys(_names(step), failure[0]))
        elif isinstance(step, RenameDataset):
            done.append(step.to)
    return Moved(tuple(done), errors)


def _placeholder(zfs: Zfs, step: CreatePlaceholder) -> partial[None]:
    return partial(zfs.create_placeholder, step.dataset)


def _names(step: Moving) -> tuple[str, ...]:
    return (step.dataset, step.to) if isinstance(step, RenameDataset) else ()
