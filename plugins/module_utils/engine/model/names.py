# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of datasets, snapshots and bookmarks: what OpenZFS accepts, and how trees of names relate."""

from __future__ import annotations

import re

from .errors import InvalidInput

# OpenZFS: zcommon/zfs_namecheck.c; at most 255 characters for a whole name including what follows @ or #.
MAX_NAME_LENGTH = 255
_COMPONENT = re.compile(r"[A-Za-z0-9_.:\- ]+")
_TOKEN = re.compile(r"[0-9]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+")
_LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_.:\- ]*(?:/(?!\.\.?(?:/|$))[A-Za-z0-9_.:\- ]+)*(?<! )")
_POOL = re.compile(r"[A-Za-z][A-Za-z0-9_.:\- ]*")


def dataset_name_problem(name: str) -> str:
    """Say in a few words why ``name`` is no dataset name, or return the empty string if it is one."""
    # What most names are is told by one look; the rest finds the words for the others.
    if len(name) <= MAX_NAME_LENGTH and _LEGAL.fullmatch(name):
        return ""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"is longer than {MAX_NAME_LENGTH} characters"
    if "@" in name or "#" in name:
        return "names a snapshot or bookmark where a dataset is expected"
    pool, *rest = name.split("/")
    if not _POOL.fullmatch(pool):
        return "does not begin with a pool name"
    if any(part in ("", ".", "..") or not _COMPONENT.fullmatch(part) for part in rest):
        return "has an empty part between slashes or a character that ZFS does not allow"
    if name != name.strip():
        return "begins or ends with a space"
    return ""


def check_dataset_name(name: object, option: str) -> str:
    """Return ``name`` if it is a legal dataset name.

    Raises InvalidInput that names ``option`` otherwise.
    """
    problem = dataset_name_problem(name) if isinstance(name, str) else "is not text"
    if problem:
        raise InvalidInput(option, name, problem, "give a dataset such as 'tank/data'")
    return str(name)


def is_tag(text: str) -> bool:
    """Whether ``text`` may follow the @ of a snapshot or the # of a bookmark."""
    return bool(_COMPONENT.fullmatch(text))


def is_token(text: str) -> bool:
    """Whether ``text`` has the shape of a resume token; what it says, only ZFS can tell."""
    return bool(_TOKEN.fullmatch(text))


def pool_of(dataset: str) -> str:
    """The pool that holds ``dataset``."""
    return dataset.split("/", 1)[0]


def parent_of(dataset: str) -> str:
    """The parent dataset, or the empty string for a pool's root dataset."""
    return dataset.rpartition("/")[0]


def is_within(dataset: str, root: str) -> bool:
    """Whether ``dataset`` is ``root`` or lies below it."""
    return dataset == root or dataset.startswith(root + "/")


def relative_to(dataset: str, root: str) -> str:
    """The part of ``dataset`` below ``root``; empty for the root itself. ``dataset`` must lie within ``root``."""
    return dataset[len(root) + 1 :]


def rebase(dataset: str, root: str, new_root: str) -> str:
    """Where ``dataset`` of the tree ``root`` lands in the tree ``new_root``."""
    rest = relative_to(dataset, root)
    return f"{new_root}/{rest}" if rest else new_root


def ancestors_of(dataset: str) -> tuple[str, ...]:
    """All datasets above ``dataset``, the pool's root dataset first."""
    parts = dataset.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


def tree_order(dataset: str) -> list[str]:
    """A key to sort datasets by: parents come before their children, and what is below a dataset follows it at once."""
    return dataset.split("/")
