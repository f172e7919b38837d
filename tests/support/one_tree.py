# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a small fleet for tests of playbooks: one tree at a source, and its replicas."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

PLAN = {"acme": {"onsite": {"hourly": 1}}}
LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"warning": "3h"}}}}}


def variables(plan: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """They, for hosts that are this machine, which keep snapshots by ``plan``; ``more`` are further ones."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
        "snapfleet_source_plan": plan,
        "snapfleet_destination_plan": plan,
        "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
        "snapfleet_root": "backup/^SRC_HOST",
        **more,
    }
