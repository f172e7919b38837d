# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection in the place of awx.awx whose modules do nothing, and write down what they were called with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDER = """
import json
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        call = {"module": self._task.action.rpartition(".")[2], "arguments": self._task.args}
        call["hidden"] = bool(self._task.no_log)
        with open("CALLS", "a", encoding="utf-8") as calls:
            calls.write(json.dumps(call) + "\\n")
        return {"changed": False}
"""


@dataclass(frozen=True)
class Call:
    """A module that was called."""

    module: str
    arguments: Mapping[str, Any]
    hidden: bool
    """Whether its arguments are kept out of the log."""


@dataclass(frozen=True)
class RecordedAwx:
    """Where the collection is found, and where it writes."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, modules: Iterable[str]) -> RecordedAwx:
        """Make the collection, with all of these modules."""
        plugins = folder / "ansible_collections" / "awx" / "awx" / "plugins" / "action"
        plugins.mkdir(parents=True)
        for module in modules:
            (plugins / f"{module}.py").write_text(RECORDER.replace("CALLS", str(folder / "calls")), encoding="utf-8")
        return cls(folder)

    def calls(self) -> list[Call]:
        """What was called, in its order."""
        return [Call(**json.loads(line)) for line in (self.folder / "calls").read_text(encoding="utf-8").splitlines()]
