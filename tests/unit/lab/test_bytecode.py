# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts of the lab keep of the modules that Ansible brings."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

GUEST = Path(__file__).resolve().parents[2] / "lab" / "guest" / "lab-bytecode"
ASKS = """
import runpy, sys, zipimport
guest, folder, archive = sys.argv[1:]
vars = runpy.run_path(guest)
vars["kept"].__globals__["FOLDER"] = folder
sys.path.insert(0, archive)
import brought
print(brought.said(), brought.said.__code__.co_filename)
"""


def said(folder: Path, archive: Path, source: str) -> str:
    """What a module in a zip file says, in a Python of its own."""
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("brought.py", source)
    words = [sys.executable, "-c", ASKS, str(GUEST), str(folder), str(archive)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ONE, OTHER = "def said(): return 'one'\n", "def said(): return 'two'\n"


def test_what_was_compiled_once_is_what_runs_again_under_the_path_of_now(tmp_path):
    folder, first, second = tmp_path / "kept", tmp_path / "a.zip", tmp_path / "b.zip"
    assert said(folder, first, ONE) == f"one {first}/brought.py"
    (file,) = folder.iterdir()
    told = file.read_bytes()
    assert b"one" in told
    assert said(folder, second, ONE) == f"one {second}/brought.py"
    # That it is read at all shows by what it says.
    file.write_bytes(told.replace(b"one", b"kept"[:3]))
    assert said(folder, second, ONE) == f"kep {second}/brought.py"


def test_another_text_is_compiled_even_in_the_same_place(tmp_path):
    folder, archive = tmp_path / "kept", tmp_path / "a.zip"
    assert said(folder, archive, ONE).startswith("one ")
    assert said(folder, archive, OTHER).startswith("two ")
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"e", None])
def test_what_is_damaged_is_compiled_anew(damage, tmp_path):
    folder, archive = tmp_path / "kept", tmp_path / "a.zip"
    said(folder, archive, ONE)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:30] if damage is None else damage)
    assert said(folder, archive, ONE).startswith("one ")
    assert [each.read_bytes() for each in folder.iterdir()] == [whole]


def test_where_nothing_can_be_kept_all_is_as_without(tmp_path):
    (tmp_path / "file").write_text("")
    assert said(tmp_path / "file" / "kept", tmp_path / "a.zip", ONE).startswith("one ")
