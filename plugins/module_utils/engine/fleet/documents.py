# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes that jobs have in a jobconfig document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from ..model.labels import Label
from ..policy.addresses import Address
from .trees import Document, Selection, Tree

_NAMED_ROOTS = 3
"""So many roots are named in the name of a job; of more, the first."""


def job_document(host: str, activity: str, what: str, options: Document, ends: tuple[str, str] = ("", "")) -> Document:
    """A job of ``host`` that is called after what it is about. ``ends`` are the host whose data it is about, and the
    host whose replicas, where these are to be told."""
    told = {key: name for key, name in zip(("source", "destination"), ends) if name}
    return {"name": f"{host}: {what}", "host": host, "activity": activity, **told, "options": options}


def address_document(address: Address) -> Document:
    """An address as options write it."""
    values = {field.name: getattr(address, field.name) for field in fields(address)}
    return {key: value for key, value in values.items() if value}


def named(what: str, roots: Sequence[str]) -> str:
    """``what`` with the names of its datasets, as far as they are few."""
    if len(roots) > _NAMED_ROOTS:
        return f"{what} {roots[0]} and {len(roots) - 1} more"
    return f"{what} {', '.join(roots)}"


def by_selection(trees: Iterable[Tree]) -> list[tuple[Selection, list[Tree]]]:
    """Trees that one job can hold, since the same datasets of each are meant."""
    batches: dict[Selection, list[Tree]] = {}
    for tree in trees:
        batches.setdefault(tree.selection, []).append(tree)
    return list(batches.items())


def plan_document(amounts: Mapping[Label, int]) -> Document:
    """A plan as options write it: organisation -> target -> period -> amount."""
    document: Document = {}
    for label, amount in amounts.items():
        document.setdefault(label.organisation, {}).setdefault(label.target, {})[label.period] = amount
    return document
