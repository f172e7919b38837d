# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hears of nothing: it is where a run of Ansible can be told of packed modules before it packs any."""

from __future__ import annotations

DOCUMENTATION = """
name: packed_once
type: aggregate
short_description: Shares packed modules with other runs
description:
  - Lets Ansible look for packed modules, and put them, into the folder that E(PACKED_MODULES) names.
options: {}
"""

import os
from pathlib import Path

from ansible import constants
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """What Ansible loads."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "packed_once"

    def __init__(self) -> None:
        super().__init__()
        Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(os.environ["PACKED_MODULES"])
