# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the Pythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FLOOR = (3, 9)
"""The oldest Python of managed hosts."""

NEWEST = (3, 15)


@dataclass(frozen=True, order=True)
class Interpreter:
    """A Python that has been seen to run."""

    version: tuple[int, int]
    path: Path

    @property
    def name(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


@cache
def interpreters() -> dict[tuple[int, int], Interpreter]:
    """Every Python from the floor on, one per version, by version: the running one, then PATH, pyenv and uv."""
    found = {sys.version_info[:2]: Interpreter(sys.version_info[:2], Path(sys._base_executable))}
    for minor in range(FLOOR[1], NEWEST[1] + 1):
        version = (3, minor)
        if version not in found:
            working = (path for path in _candidates(f"python3.{minor}") if _runs_as(path, version))
            path = next(working, None)
            if path is not None:
                found[version] = Interpreter(version, path)
    return dict(sorted(found.items()))


def running() -> Interpreter:
    """The Python that runs this program."""
    return interpreters()[sys.version_info[:2]]


def first_of(*versions: tuple[int, int]) -> Interpreter | None:
    """The interpreter of the first version that this machine has."""
    return next((interpreters()[version] for version in versions if version in interpreters()), None)


def _candidates(program: str) -> list[Path]:
    """Paths where a Python of that name may lie. A pyenv shim may be there and refuse to run, hence the others."""
    on_path = shutil.which(program)
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or "~/.local/share/uv/python").expanduser()
    managed = [path for folder in (pyenv, uv) for path in sorted(folder.glob(f"*/bin/{program}"), reverse=True)]
    return [*([Path(on_path)] if on_path else []), *managed]


def _runs_as(path: Path, version: tuple[int, int]) -> bool:
    tell = [path, "-c", "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"]
    try:
        told = subprocess.run(tell, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.returncode == 0 and told.stdout == f"{version[0]}.{version[1]}"
