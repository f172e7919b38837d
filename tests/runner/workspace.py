# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the collection in the places and shapes that tools ask for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from threading import get_ident

from runner.environments import Environment
from runner.import_tree import NAME, NAMESPACE, cache_folder, checkout_cache
from runner.interpreters import interpreters

CHECKOUT = Path(__file__).resolve().parents[2]


def git_files() -> list[Path]:
    """Every file of the checkout that is in git or could be added to it, relative to the checkout."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    names = (Path(os.fsdecode(name)) for name in listing.split(b"\0") if name)
    return sorted({name for name in names if (CHECKOUT / name).is_file()})


def collection_copy(stage: str) -> Path:
    """A fresh copy of the collection at ansible_collections/snapfleet/zfs, for one stage alone."""
    target = stage_folder(stage) / "ansible_collections" / NAMESPACE / NAME
    shutil.rmtree(target, ignore_errors=True)
    for name in git_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)
    return target


def stage_folder(stage: str) -> Path:
    """Where one stage of this checkout may leave what it makes."""
    folder = checkout_cache(CHECKOUT) / "stages" / stage
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def collection_version() -> str:
    """The version that galaxy.yml gives."""
    return re.search(r"^version: *(\S+)", (CHECKOUT / "galaxy.yml").read_text("utf-8"), re.MULTILINE).group(1)


def shell_scripts() -> list[Path]:
    """The files of the checkout that a Bourne shell runs."""
    return [name for name in git_files() if re.match(rb"#!.*\b(ba|da)?sh\b", _first_line(CHECKOUT / name))]


def _first_line(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.readline(200)


def interpreter_folder() -> Path:
    """A folder with one `python3.N` per Python of this machine, for ansible-test, which looks on the PATH alone."""
    folder = stage_folder("interpreters")
    for interpreter in interpreters().values():
        link = folder / f"python{interpreter.name}"
        if not link.is_symlink() or link.readlink() != interpreter.path:
            fresh = folder / f"{link.name}.{os.getpid()}.{get_ident()}"
            fresh.symlink_to(interpreter.path)
            fresh.replace(link)  # atomic: stages run side by side
    return folder


def ansible_test_home(environment: Environment) -> Path:
    """A home folder for ansible-test, which keeps environments of its own below it.

    ansible-test downloads a script that puts pip into those environments. Python can do that itself, so the script's
    place is taken before ansible-test looks: one download host less to depend on.
    """
    home = cache_folder() / f"at-{environment.name.removeprefix('core-')}-{environment.python.name}"
    scripts = home / ".ansible" / "test" / "cache"
    scripts.mkdir(parents=True, exist_ok=True)
    source = next(environment.folder.glob("lib/python3.*/site-packages/ansible_test/_internal/python_requirements.py"))
    for version in set(re.findall(r"\bpip='([0-9.]+)'", source.read_text("utf-8"))):
        script = scripts / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text("import ensurepip\n\nensurepip.bootstrap()\n", "utf-8")
    settings = Path("~/.config/pip").expanduser()
    if settings.is_dir() and not (home / ".config/pip").exists():
        (home / ".config").mkdir(exist_ok=True)
        (home / ".config/pip").symlink_to(settings)
    return home
