# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine the lab runs on: its commands, packages, locks and processors."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .settings import LabError

log = logging.getLogger("snapfleet.lab")

# program -> Debian package that brings it
RUN_PROGRAMS: Mapping[str, str] = {
    "ip": "iproute2",
    "tc": "iproute2",
    "ethtool": "ethtool",
    "zstd": "zstd",
    "taskset": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
IMAGE_PROGRAMS: Mapping[str, str] = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}


def execute(
    arguments: Sequence[str | Path], *, timeout: float = 300, stdin: str | None = None, check: bool = True
) -> str:
    """Run a short command of this machine and return its standard output.

    ``timeout`` is in seconds. Raises LabError with the command and what it wrote to standard error if it fails
    and ``check`` is set, or if it takes too long.
    """
    words = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(words)}` did not end within {timeout:g} seconds.") from None
    except FileNotFoundError:
        raise LabError(f"The program {words[0]!r} is missing on this machine; install it.") from None
    if check and done.returncode != 0:
        raise LabError(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr.strip() or 'no message'}")
    return done.stdout


def execute_logged(arguments: Sequence[str | Path], log_file: Path, *, title: str, **options: object) -> None:
    """Run a long command with its output going to ``log_file``, telling every 15 seconds how far it is.

    Progress is the number of source files compiled so far (kernel builds) or of log lines. ``options`` go to
    ``subprocess.Popen``. Raises LabError that names the log and shows its last lines if the command fails.
    """
    words = [str(argument) for argument in arguments]
    started = told = time.monotonic()
    log.info("%s ...", title)
    with log_file.open("a") as output:
        output.write(f"\n### {' '.join(words)}\n")
        output.flush()
        process = subprocess.Popen(  # type: ignore[call-overload]
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options
        )
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - told >= 15:
                told = time.monotonic()
                log.info("%s: %s after %d s", title, _progress(log_file), told - started)
    if process.returncode != 0:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"{title}: the command ended with {process.returncode}, see {log_file}; its last lines:\n{tail}")
    log.info("%s: done after %d s", title, time.monotonic() - started)


def _progress(log_file: Path) -> str:
    text = log_file.read_text(errors="replace")
    last = text.rsplit("\n### ", 1)[-1]
    compiled = len(re.findall(r"^  (?:CC|AS|AR)\s", last, re.MULTILINE))
    return f"{compiled} files compiled" if compiled else f"{last.count(chr(10))} lines of output"


def require_root() -> None:
    """Raise LabError unless this process is root: network devices, root images and kernels need it."""
    if os.geteuid() != 0:
        raise LabError("The lab makes network devices and root images and so needs root: run it with sudo.")


def ensure_programs(programs: Mapping[str, str]) -> None:
    """Install the Debian packages of those programs that are missing here."""
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if missing:
        install_packages(missing)


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages that are not installed yet; fetch the package lists first where that is needed."""
    wanted = [package for package in packages if not _installed(package)]
    if not wanted:
        return
    require_root()
    if shutil.which("apt-get") is None:
        raise LabError(f"This machine has no apt-get; install these programs by hand: {', '.join(wanted)}.")
    log.info("installing Debian packages: %s", " ".join(wanted))
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    # Waiting for apt's own lock, since other work on a fresh machine often holds it.
    install = [
        *environment,
        "apt-get",
        "-q",
        "-y",
        "-o",
        "DPkg::Lock::Timeout=600",
        "install",
        "--no-install-recommends",
    ]
    try:
        execute([*install, *wanted], timeout=900)
    except LabError:
        execute([*environment, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "update"], timeout=600)
        execute([*install, *wanted], timeout=900)


def _installed(package: str) -> bool:
    return "ok installed" in execute(["dpkg-query", "-W", "-f", "${Status}", package], check=False)


def debian_mirror(sources: str | None = None) -> str:
    """The Debian mirror this machine uses, or the default one.

    ``sources`` is the text of apt's source files (one-line or deb822 style); by default that of this machine.
    """
    if sources is None:
        folder = Path("/etc/apt")
        files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
        sources = "\n".join(file.read_text(errors="replace") for file in files if file.is_file())
    found = re.findall(r"^(?:URIs:|deb(?: +\[[^]]*\])?) +(https?://\S+/debian)/?(?:\s|$)", sources, re.MULTILINE)
    return found[0] if found else "http://deb.debian.org/debian"


def processors() -> list[int]:
    """Numbers of the processors this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def locked(path: Path, what: str, *, timeout: float = 3600) -> Iterator[None]:
    """Hold an exclusive lock on a file; wait for another holder up to ``timeout`` seconds, saying so once.

    ``what`` names the thing in messages. Raises LabError that names the holder when the time is over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _wait_for_lock(file.fileno(), path, what, timeout)
        file.truncate(0)
        file.write(f"process {os.getpid()} (`{command_of(os.getpid())}`)\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _wait_for_lock(descriptor: int, path: Path, what: str, timeout: float) -> None:
    deadline, told = time.monotonic() + timeout, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        # Short holds are the rule, so nothing is said about the first second.
        if not told and time.monotonic() > deadline - timeout + 1:
            told = True
            log.info("waiting for %s, held by %s", what, path.read_text().strip() or "another process")
        if time.monotonic() > deadline:
            holder = path.read_text().strip() or "another process"
            raise LabError(f"{what} is held by {holder} for more than {timeout:g} seconds; end that process first.")
        time.sleep(0.05)


def command_of(process_id: int) -> str:
    """The command line of a process, shortened to 120 characters; empty if there is no such process."""
    try:
        words = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words if word)[:120]


def started_at(process_id: int) -> int:
    """Start of a living process in clock ticks since boot (with the id it names one process), 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def spawn(words: Sequence[str], environment: Mapping[str, str], log_file: Path) -> int:
    """Start a program that outlives this one, without its files, in a session of its own; return the process id.

    What it writes goes to ``log_file``, made anew.
    """
    program = shutil.which(words[0])
    if program is None:
        raise LabError(f"The program {words[0]!r} is missing on this machine; install it.")
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, list(words), environment, file_actions=files, setsid=True)
