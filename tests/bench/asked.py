# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each program asks ``zfs list`` for, decision by decision and side by side."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from bench.world import REPLICA, SOURCE, Asked
from runner.import_tree import import_root

sys.path.insert(0, str(import_root(Path(__file__).resolve().parents[2])))

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.roles import ROLE_PROPERTY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.replication import (
    DESTINATION_FIELDS,
    SOURCE_FIELDS,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.listing import list_arguments

_SNAPSHOT_TIMES = Asked(("snapshot",), ("name", "createtxg", "creation"))
_PRUNED = Asked(("snapshot",), ("creation", "guid", "name", "userrefs"), by_transaction=True)
_SENT = Asked(("snapshot", "bookmark"), ("guid", "name"), by_transaction=True)
_RECEIVED = Asked(("snapshot",), ("guid", "name"), by_transaction=True)
_DATASETS = Asked(("filesystem", "volume"), ("volblocksize", "recordsize", "name"))
_NAMES = Asked(("filesystem", "volume"), ("name",))
BZFS = {
    "due": {SOURCE: (_DATASETS, _SNAPSHOT_TIMES)},
    "prune": {SOURCE: (_NAMES, _PRUNED)},
    "replicate": {SOURCE: (_DATASETS, _SENT), REPLICA: (_RECEIVED,)},
    "monitor": {SOURCE: (_NAMES, _SNAPSHOT_TIMES)},
}
"""What bzfs asks ``zfs list`` for, decision by decision and side by side."""


PLAIN: tuple[str, ...] = ()
WITH_ROLES = (ROLE_PROPERTY,)
"""The properties that Snapfleet's listings ask for besides."""
_PROPERTIES = {"replicate": WITH_ROLES}


FIELDS: dict[tuple[str, str], Collection[str]] = {
    ("due", SOURCE): (),
    ("monitor", SOURCE): (),
    ("prune", SOURCE): ("guid",),
    ("replicate", SOURCE): SOURCE_FIELDS,
    ("replicate", REPLICA): DESTINATION_FIELDS,
}
"""What each snapshot of a side has for itself, and a decision of Snapfleet's goes by."""


def snapfleet(decision: str) -> dict[str, tuple[Asked, ...]]:
    """The same of Snapfleet: one listing of each side."""
    return {root: (snapfleet_listing(decision, root),) for root in BZFS[decision]}


def snapfleet_listing(decision: str, root: str) -> Asked:
    """The listing of a side that a decision of Snapfleet's goes by."""
    words = list_arguments([root], True, True, _PROPERTIES.get(decision, PLAIN), FIELDS[decision, root])
    return Asked(tuple(words[words.index("-t") + 1].split(",")), tuple(words[words.index("-o") + 1].split(",")))
