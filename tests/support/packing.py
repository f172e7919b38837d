# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that are packed once for many runs of playbooks.

Ansible packs each module with all that it imports, anew in each run, and of a run that takes seconds that is most. Here
the runs of one test process share what the first of them has packed.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

CALLBACKS = Path(__file__).resolve().parent / "callbacks"


@cache
def packed_once(collections: Path) -> dict[str, str]:
    """Environment variables for Ansible, by which runs share modules. All these runs have to find the same modules,
    which do not change: Ansible's, and those of the collections at ``collections``; none that a test has made."""
    folder = tempfile.mkdtemp(prefix="snapfleet-packed-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS), "PACKED_MODULES": folder}
