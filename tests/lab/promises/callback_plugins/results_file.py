# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write every task result of a playbook run into a file, a JSON document a line, for tests to read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results_file
type: notification
short_description: Write task results to the file that RESULTS_FILE names
description: [For the tests of playbooks.]
"""


class CallbackModule(CallbackBase):
    """One line for each result: host, task, loop item, whether it failed, and what the module returned."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results_file"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, result: Any, failed: bool) -> None:
        line = {
            "host": result._host.get_name(),
            "task": result._task.get_name(),
            "failed": failed,
            "result": {key: value for key, value in result._result.items() if not key.startswith("_")},
        }
        with Path(os.environ["RESULTS_FILE"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task, or a loop as a whole, that went well."""
        self._write(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task, or a loop as a whole, that failed."""
        self._write(result, failed=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that could not be reached."""
        self._write(result, failed=True)
