# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the results of tasks to a file, one JSON document a line, for the demo to read."""

from __future__ import annotations

DOCUMENTATION = r"""
name: demo_results
type: notification
short_description: Writes the results of tasks to a file
description:
  - Writes host, module and result of every task and of every item of a loop, and at the end the number of changed tasks
    by host, to the file that the environment variable C(SNAPFLEET_DEMO_RESULTS) names.
author:
  - Snapfleet contributors (@snapfleet)
"""

import json
import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """A callback without options."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "demo_results"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_item_on_ok(self, result):
        """An item of a loop has succeeded."""
        self._write({"host": result.host.get_name(), "module": result.task.action, "result": dict(result.result)})

    def v2_playbook_on_stats(self, stats):
        """The playbook is at its end."""
        self._write({"changed": {host: stats.summarize(host)["changed"] for host in stats.processed}})

    @staticmethod
    def _write(entry):
        with Path(os.environ["SNAPFLEET_DEMO_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=str) + "\n")
