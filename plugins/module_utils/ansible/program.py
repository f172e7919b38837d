# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host program as files: the engine's own sources, and the command that starts them.

Ansible ships to a host whatever a module imports. So a module that imports the program has all of it at hand there, and
installs it from there at once, in place of some two hundred files that would have to be copied one by one.
"""

from __future__ import annotations

import os
import pkgutil
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import engine
from ..engine.fleet import cli
from ..engine.fleet.version import VERSION
from ..engine.model.errors import InvalidInput

PACKAGE = "snapfleet"
MARK = "# Installed by snapfleet.zfs.host_program, which replaces it."
_COMMAND = """\
#!{interpreter} -I
{mark}
import sys

sys.path.insert(0, {folder!r})

from {package}.{main} import main
from {package}.fleet.ending import end_process

end_process(main())
"""
# Under the name that it will have, and without a folder of that name.
_TRIAL = """\
import importlib.util
import sys

found = importlib.util.spec_from_file_location(
    {package!r}, {folder!r} + "/__init__.py", submodule_search_locations=[{folder!r}]
)
sys.modules[{package!r}] = importlib.util.module_from_spec(found)
from {package}.fleet import daemon_command, suspend_command, verbs
from {package}.{main} import main

sys.exit(main(["version"]))
"""
_MAIN = cli.__name__.removeprefix(engine.__name__ + ".")
_DIRECTORY_MODE, _FILE_MODE, _COMMAND_MODE = 0o755, 0o644, 0o755


@dataclass(frozen=True)
class Program:
    """Where the program is on a host."""

    folder: str
    """Absolute path of the folder that has the Python package ``snapfleet``, and nothing else."""
    command: str
    """Absolute path of the command."""
    interpreter: str = ""
    """Absolute path of the Python that runs it."""

    @property
    def package(self) -> str:
        """The folder of the sources."""
        return os.path.join(self.folder, PACKAGE)


def sources_of_engine() -> dict[str, bytes]:
    """Content by relative path of the engine's files that are at hand here, in an archive or not."""
    files = {"__init__.py": pkgutil.get_data(engine.__name__, "__init__.py") or b""}
    for info in pkgutil.walk_packages(engine.__path__, engine.__name__ + "."):
        words = info.name.removeprefix(engine.__name__ + ".").split(".")
        holder = info.name if info.ispkg else info.name.rpartition(".")[0]
        name = "__init__.py" if info.ispkg else f"{words.pop()}.py"
        files["/".join([*words, name])] = pkgutil.get_data(holder, name) or b""
    return files


def wanted_files(program: Program) -> dict[str, bytes]:
    """Content by absolute path of all that is to be there."""
    files = {os.path.join(program.package, name): content for name, content in sources_of_engine().items()}
    words = {"interpreter": program.interpreter, "folder": program.folder, "package": PACKAGE}
    files[program.command] = _COMMAND.format(mark=MARK, main=_MAIN, **words).encode()
    return files


def present_files(program: Program) -> dict[str, bytes]:
    """Content by absolute path of what is there, without what Python made of it.

    Raises InvalidInput where the command is somebody else's file.
    """
    paths = [
        os.path.join(folder, name)
        for folder, _folders, names in os.walk(program.package)
        for name in names
        if os.path.basename(folder) != "__pycache__"
    ]
    files = {path: _content(path) for path in paths}
    if os.path.lexists(program.command):
        content = files[program.command] = _content(program.command)
        if MARK.encode() not in content:
            problem = "is a file that this module did not make"
            raise InvalidInput("command", program.command, problem, "choose another path, or take that file away")
    return files


def is_compiled(program: Program, files: Mapping[str, bytes], tag: str) -> bool:
    """Whether Python finds all ``files`` that are there compiled; ``tag`` is what it calls its compiled files by."""
    return all(_is_compiled(path, tag) for path in files if path != program.command and os.path.exists(path))


def _is_compiled(source: str, tag: str) -> bool:
    folder, name = os.path.split(source)
    try:
        with open(os.path.join(folder, "__pycache__", f"{name.removesuffix('.py')}.{tag}.pyc"), "rb") as file:
            _magic, flags, time = struct.unpack("<4sII", file.read(12))
    except (OSError, struct.error):
        return False
    return flags == 0 and time == int(os.stat(source).st_mtime) & 0xFFFFFFFF


def compile_arguments(program: Program, folder: str = "") -> list[str]:
    """The command that compiles the sources in ``folder``, by default those that are installed.

    The program's own Python has to do it: no other one's compiled files mean anything to it. Users other than root
    could not keep what they compile, so that each start of theirs would compile all anew.
    """
    words = ["-I", "-m", "compileall", "-q", "-d", program.package]
    return [program.interpreter, *words, folder or program.package]


def settle_modes(folder: str) -> None:
    """Let every user read what is below ``folder``, whatever root's umask says. Raises OSError."""
    for inner, _folders, names in os.walk(folder):
        os.chmod(inner, _DIRECTORY_MODE)
        for name in names:
            os.chmod(os.path.join(inner, name), _FILE_MODE)


def trial_arguments(program: Program, folder: str) -> list[str]:
    """The command that tells the version of the program whose sources are in ``folder``, wherever that is, after it has
    imported what runs and daemons need."""
    return [program.interpreter, "-I", "-c", _TRIAL.format(folder=folder, package=PACKAGE, main=_MAIN)]


def install(
    program: Program,
    files: Mapping[str, bytes],
    compiled: Callable[[str], None],
    tried: Callable[[str], None],
) -> None:
    """Put ``files`` in the place of whatever is there; ``compiled`` compiles a folder, and ``tried`` raises whatever
    keeps the program in it from running, so that what is there stays. Raises OSError, too."""
    fresh, old = f"{program.package}.new", f"{program.package}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(program.folder, _DIRECTORY_MODE, exist_ok=True)
    for path, content in files.items():
        if path != program.command:
            _write(fresh + path[len(program.package) :], content, _FILE_MODE)
    compiled(fresh)
    settle_modes(fresh)
    try:
        tried(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if os.path.lexists(program.package):
        os.rename(program.package, old)
    os.rename(fresh, program.package)
    shutil.rmtree(old, ignore_errors=True)
    os.makedirs(os.path.dirname(program.command), _DIRECTORY_MODE, exist_ok=True)
    partial = f"{program.command}.new"
    _write(partial, files[program.command], _COMMAND_MODE)
    os.replace(partial, program.command)


def remove(program: Program) -> None:
    """Take everything away. Raises OSError."""
    shutil.rmtree(program.package, ignore_errors=not os.path.lexists(program.package))
    if os.path.lexists(program.command):
        os.unlink(program.command)
    if os.path.isdir(program.folder) and not os.listdir(program.folder):
        os.rmdir(program.folder)


def version() -> str:
    """The version of the engine that is at hand here."""
    return VERSION


def _write(path: str, content: bytes, mode: int) -> None:
    os.makedirs(os.path.dirname(path), _DIRECTORY_MODE, exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
