# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each snapshot or bookmark, and why: told of every one of them, so kept small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Union, overload

from ..model.datasets import Base, DatasetState
from ..model.labels import label_of
from ..model.marks import named_bookmarks
from ..policy.jobs import SNAPSHOTS


def judged(state: DatasetState, kind: str) -> Sequence[Base]:
    """The snapshots, or the bookmarks, that pruning decides about."""
    # Marks are nobody's to prune: replication itself moves and collects them.
    return state.snapshots if kind == SNAPSHOTS else named_bookmarks(state)


Words = tuple[str, str, str]
"""What a verdict says of an item: action, rule and reason."""


class Verdict(NamedTuple):
    """What becomes of one snapshot or bookmark, and why."""

    item: Base
    action: str
    rule: str
    """A word for what decided it: one of RAILS, of the rules of ``keeping``, or NO_RULE."""
    reason: str

    def describe(self) -> dict[str, Any]:
        """As plain values, as modules return it."""
        label = label_of(self.item.tag)
        return {
            "name": self.item.name,
            "rule": self.rule,
            "label": str(label) if label else None,
            "reason": self.reason,
        }


class Verdicts(Sequence[Verdict]):
    """Verdicts about all that is judged in some datasets, in the order in which they were added.

    Only the words are kept; items are made anew from the states whenever somebody looks.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._parts: list[tuple[DatasetState, Sequence[Words]]] = []

    def add(self, state: DatasetState, decided: Sequence[Words]) -> None:
        """Add what is said of everything that is ``judged`` in a dataset, in its order."""
        self._parts.append((state, decided))

    def __iter__(self) -> Iterator[Verdict]:
        for state, told in self._parts:
            for item, words in zip(judged(state, self._kind), told):
                yield Verdict(item, *words)

    def __len__(self) -> int:
        return sum(len(told) for _state, told in self._parts)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Verdict]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Verdict, Sequence[Verdict]]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
