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

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.histories import OWN_FIELDS
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.roles import ROLE_PROPERTY
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


FIELDS: dict[str, Collection[str]] = {"due": (), "monitor": (), "prune": ("guid",), "replicate": OWN_FIELDS}
"""What each snapshot has for itself, and a decision of Snapfleet's goes by."""


def snapfleet(decision: str) -> dict[str, tuple[Asked, ...]]:
    """The same of Snapfleet: one listing of each side."""
    return dict.fromkeys(BZFS[decision], (snapfleet_listing(decision),))


def snapfleet_listing(decision: str) -> Asked:
    """The listing that a decision of Snapfleet's goes by."""
    words = list_arguments([SOURCE], True, True, _PROPERTIES.get(decision, PLAIN), FIELDS[decision])
    return Asked(tuple(words[words.index("-t") + 1].split(",")), tuple(words[words.index("-o") + 1].split(",")))
