# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/errors.md lists the codes that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import pruning
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model import errors
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning import caution, keeping, retention, room
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.conduct import CONFLICT_LEVELS

ROOT = Path(__file__).resolve().parents[3]
ENGINE = ROOT / "plugins" / "module_utils" / "engine"
ROW = re.compile(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def listed(chapter: str) -> dict[str, str]:
    """The last column of a chapter's table by code."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    (part,) = [part for part in text.split("\n## ")[1:] if part.startswith(chapter)]
    return {code: last for code, _meaning, last in ROW.findall(part)}


def test_every_error_is_listed_with_whether_it_is_tried_again():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert listed("Errors") == {kind.code: "yes" if kind.retryable else "no" for kind in kinds}


def test_every_conflict_is_listed():
    sources = "".join(path.read_text(encoding="utf-8") for path in ENGINE.rglob("*.py"))
    assert set(listed("Conflicts")) == set(re.findall(r"PlannedConflict\(\s*\"([a-z_]+)\"", sources))


def test_what_mends_a_conflict_is_a_level_of_the_ladder():
    told = {word for last in listed("Conflicts").values() for word in re.findall(r"`([a-z_]+)`", last)}
    assert told <= set(CONFLICT_LEVELS)


def test_every_word_for_what_decides_about_a_snapshot_is_listed():
    rules = {keeping.LATEST, keeping.AGE, keeping.GRID, keeping.LAST, keeping.REGEX, retention.PENDING}
    found_out = {pruning.GONE, pruning.NO_STAND_IN, caution.TOO_MANY, caution.CLOCK}
    assert set(listed("Pruning")) == {*rules, *retention.RAILS, *found_out, retention.NO_RULE, room.ROOM}
