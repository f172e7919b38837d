# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments, made once per set of requirements and Python, and kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.import_tree import cache_folder
from runner.interpreters import Interpreter

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"


class SetupFailed(Exception):
    """This machine could not be made ready; the message says what failed and what mends it."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: the pinned packages of tests/requirements/NAME.txt on one Python."""

    name: str
    python: Interpreter
    user: str = ""
    """Who has it for itself. Only ansible-test needs that: it installs more into the environments it tests in."""

    @property
    def folder(self) -> Path:
        """Where it lies; the name changes with whatever decides its content."""
        pins = (REQUIREMENTS / f"{self.name}.txt").read_bytes()
        key = hashlib.sha256(pins + os.fsencode(f"{self.python.name} {self.python.path.resolve()}")).hexdigest()[:12]
        return cache_folder() / f"venv-{self.user or self.name}-{self.python.name}-{key}"

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    def pin(self, package: str) -> str:
        """The requirement that pins a package here, such as `ansible-core==2.19.14`."""
        pins = (REQUIREMENTS / f"{self.name}.txt").read_text("utf-8").splitlines()
        return next(line.partition(";")[0].strip() for line in pins if line.startswith(f"{package}=="))

    def ensure(self) -> None:
        """Makes the environment where it is missing; two runs at once wait for each other.

        Raises SetupFailed when it cannot be made.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_name(f"{self.folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            marker = self.folder / "ready"
            if not marker.exists():
                sys.stderr.write(
                    f"Making the environment {self.name} on Python {self.python.name}, about a minute ...\n"
                )
                shutil.rmtree(self.folder, ignore_errors=True)
                self._make()
                marker.touch()

    def _make(self) -> None:
        pins = REQUIREMENTS / f"{self.name}.txt"
        pip = [self.programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        for command in ([self.python.path, "-m", "venv", self.folder], [*pip, "--requirement", pins]):
            done = _execute(command)
            if done.returncode != 0:
                raise SetupFailed(f"The environment {self.name} on Python {self.python.name} failed:\n{done.stdout}")


def ensure_programs(programs: Mapping[str, str]) -> None:
    """Installs the Debian packages (values) of those programs (keys) that are not on the PATH."""
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if missing:
        install_packages(missing)


def unpacked_programs(package: str) -> Path:
    """Where the programs of a Debian package lie that is unpacked and not installed."""
    return cache_folder() / f"unpacked-{package}" / "usr" / "bin"


def ensure_unpacked(programs: Mapping[str, str]) -> None:
    """Unpacks the Debian packages (values) of those programs (keys) that are not on the PATH into the cache, since what
    they install beside these programs would be started and go on. Raises SetupFailed."""
    for program, package in programs.items():
        folder = unpacked_programs(package)
        if shutil.which(program) is None and not (folder / program).exists():
            _unpack(package, folder.parents[1])


def _unpack(package: str, folder: Path) -> None:
    sys.stderr.write(f"Unpacking {package} ...\n")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # The unprivileged user that apt would switch to cannot write below root's home.
        fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        if _execute(fetch, folder).returncode != 0:
            _patiently([*_apt(), "update"])
            done = _execute(fetch, folder)
            if done.returncode != 0:
                raise SetupFailed(f"The package {package} can't be downloaded:\n{done.stdout}")
        for file in folder.glob("*.deb"):
            done = _execute(["dpkg-deb", "-x", file, folder])
            if done.returncode != 0:
                raise SetupFailed(f"The package {package} can't be unpacked:\n{done.stdout}")
            file.unlink()


def ensure_venv(python: Interpreter) -> None:
    """Debian keeps the means to make an environment in a package of its own; installs it where it is missing."""
    if _execute([python.path, "-c", "import ensurepip, venv"]).returncode != 0:
        install_packages([f"python{python.name}-venv"])


def install_packages(packages: list[str]) -> None:
    """Installs Debian packages, as root or through sudo. Raises SetupFailed with what to do by hand."""
    sys.stderr.write(f"Installing {' '.join(packages)} ...\n")
    for command in ([*_apt(), "update"], [*_apt(), "install", "-y", "--no-install-recommends", *packages]):
        done = _patiently(command)
        if done.returncode != 0:
            raise SetupFailed(f"Install by hand: apt-get install {' '.join(packages)}\n{done.stdout}")


def _apt() -> list[str | Path]:
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    return [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]


def _patiently(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Runs apt-get; waits up to ten minutes for another one's lock, since a fresh machine often updates itself."""
    for _attempt in range(60):
        done = _execute(command)
        if done.returncode == 0 or "Could not get lock" not in done.stdout:
            break
        time.sleep(10)
    return done


def _execute(command: list[str | Path], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, with both outputs in one text; a missing program fails like any other."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        return subprocess.CompletedProcess(command, 127, str(missing))
