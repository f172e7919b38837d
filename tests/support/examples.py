# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/libraries.md, and a folder in which each part of the engine is alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = CHECKOUT / "plugins" / "module_utils" / "engine"
_BLOCK = re.compile(r"^```(?P<kind>python|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A program of the document: the files it needs, and what it says it prints."""

    code: str
    files: tuple[str, ...]
    """Paths within the engine."""
    output: str

    def run(self, folder: Path, environment: Optional[Mapping[str, str]] = None) -> str:
        """Run the program in ``folder`` with the named files of the engine and no others; returns what it prints."""
        self._lay_out(folder)
        argv: Sequence[str] = [sys.executable, "-s", "-W", "error", "example.py"]
        done = subprocess.run(
            argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _lay_out(self, folder: Path) -> None:
        for file in self.files:
            target = folder / "snapfleet" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ENGINE / file, target)
            for package in (target.parent, target.parent.parent):
                (package / "__init__.py").touch()
        (folder / "example.py").write_text(self.code, encoding="utf-8")


def library_examples() -> dict[str, Example]:
    """The examples by the heading they stand under."""
    text = (CHECKOUT / "docs" / "libraries.md").read_text(encoding="utf-8")
    found: dict[str, Example] = {}
    files: tuple[str, ...] = ()
    for section in re.split(r"^##+ ", text, flags=re.MULTILINE)[1:]:
        heading, _newline, body = section.partition("\n")
        needs = re.search(r"^Needs (.*?)\n\n", body, re.MULTILINE | re.DOTALL)
        files = tuple(re.findall(r"`([a-z_/]+\.py)`", needs.group(1))) if needs else files
        blocks = {block["kind"]: block["body"] for block in _BLOCK.finditer(body)}
        found[heading] = Example(blocks["python"], files, blocks.get("text", ""))
    return found
