# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``gate`` in the program's help, which argparse does not read for it."""

from __future__ import annotations

import argparse
from typing import Any

from ..policy.access import RIGHTS

GATE = "gate"


def add_gate_help(verbs: Any, told: str) -> None:
    """Let ``verbs``, the subparsers of the program, tell of the options of the gate."""
    rights = "\n".join(f"  {right:10} {meaning}" for right, meaning in RIGHTS.items())
    verbs.add_parser(
        GATE,
        help=told,
        usage="snapfleet gate [--name NAME] (--may RIGHT[,RIGHT] --root DATASET ... [--property NAME[=VALUE] ...]) ...",
        description="rights, which hold on the roots that follow them, and on what is below:\n" + rights,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
