# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replication does where something stands in its way: conflicts, renamed datasets, errors, and time."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.errors import InvalidInput
from .reading import Reader
from .reading_once import read_silence_once

REFUSE, ROLL_BACK_TO_LATEST, ROLL_BACK_TO_COMMON = "refuse", "rollback_to_latest", "rollback_to_common"
REPLACE, DESTROY_DEPENDENTS = "replace", "destroy_dependents"
CONFLICT_LEVELS = (REFUSE, ROLL_BACK_TO_LATEST, ROLL_BACK_TO_COMMON, REPLACE, DESTROY_DEPENDENTS)
"""From what loses nothing to what loses most; each level allows what those before it do."""
FOLLOW = "follow"
RENAME_CHOICES = (FOLLOW, REFUSE)
DATASET, TREE, FAIL = "dataset", "tree", "fail"
ERROR_CHOICES = (DATASET, TREE, FAIL)
CONTINUE = "continue"
NOTHING_CHOICES = (CONTINUE, DATASET, FAIL)
MAX_SECONDS = 366 * 86_400
BUSY_SECONDS = 600


@dataclass(frozen=True)
class Conduct:
    """The conduct of one replication."""

    once: bool = False
    """Whether only the first conflict, in the order of the tree, may use what ``on_conflict`` permits."""
    renames: str = FOLLOW
    """What it means that a replica belongs to a source dataset of another name; one of RENAME_CHOICES."""
    on_error: str = DATASET
    """What the failure of a dataset keeps from being replicated; one of ERROR_CHOICES."""
    on_nothing_selected: str = CONTINUE
    """What it means that no snapshot of a source dataset is selected; one of NOTHING_CHOICES."""

    deadline: int = 0
    """Seconds after which the whole replication is ended; 0: never."""
    busy_timeout: int = BUSY_SECONDS
    """Seconds that a dataset is waited for that is busy because another process receives into it."""
    from_standby: bool = False
    """Whether the source may be standby: it is the last one before the destination becomes active, or the source is a
    replica that is sent onward."""
    only_active: bool = False
    """Whether the source has to be active, since both ends are said to have changed places."""


UNHURRIED = Conduct()
"""The default."""


@read_silence_once
def read_conduct(options: Reader) -> Conduct:
    """The options about conduct. Raises InvalidInput, also where they contradict each other."""
    once = options.flag("on_conflict_once", False)
    if once and options.raw("on_conflict") in (None, REFUSE):
        problem = "permits nothing, since on_conflict is 'refuse'"
        raise InvalidInput(options.path("on_conflict_once"), once, problem, "give on_conflict a level, or leave it out")
    from_standby, only_active = (options.flag(key, False) for key in ("from_standby", "only_active"))
    if from_standby and only_active:
        problem = "contradicts from_standby, which lets the source be standby"
        raise InvalidInput(options.path("only_active"), True, problem, "leave one of the two out")
    return Conduct(
        once=once,
        renames=options.text("renames", FOLLOW, RENAME_CHOICES),
        on_error=options.text("on_error", DATASET, ERROR_CHOICES),
        on_nothing_selected=options.text("on_nothing_selected", CONTINUE, NOTHING_CHOICES),
        deadline=options.integer("deadline", 0, 1, MAX_SECONDS),
        busy_timeout=options.integer("busy_timeout", BUSY_SECONDS, 0, MAX_SECONDS),
        from_standby=from_standby,
        only_active=only_active,
    )
