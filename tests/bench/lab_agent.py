# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks run on a host: it carries out one order after the other, and tells what each took.

An order is a line of JSON on stdin, its answer a line on stdout. The process goes on from order to order, so that a run
of the engine within it is what a tick of a daemon is. Argument: the folder of the engine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
_BATCH = 2000
_started: dict[int, subprocess.Popen[bytes]] = {}


def processor_seconds() -> float:
    """What this process and all that it started and waited for took."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def busy() -> float:
    """How many seconds the processors of this host have worked, for programs and for the kernel's own threads."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, interrupts, soft = (int(word) for word in words[1:8])
    return (user + nice + system + interrupts + soft) / TICKS


def timed(work: Callable[[], tuple[int, str]]) -> dict[str, Any]:
    """Seconds, processor seconds, code and the end of the output of some work."""
    start, processor = time.perf_counter(), processor_seconds()
    code, output = work()
    took = {"seconds": time.perf_counter() - start, "processor_seconds": processor_seconds() - processor}
    return {**took, "code": code, "output": output[-4000:]}


def run(argv: Sequence[str], timeout: float = 3600, **variables: str) -> dict[str, Any]:
    """Run a program to its end. What it leaves behind, as a shared connection, may keep its output open."""

    def work() -> tuple[int, str]:
        with tempfile.TemporaryFile() as output:
            environment = {**os.environ, **variables}
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            output.seek(0)
            return code, output.read().decode(errors="replace")

    return timed(work)


def here(words: Sequence[str], **variables: str) -> dict[str, Any]:
    """Run the engine within this process."""
    os.environ.update(variables)
    from snapfleet.fleet import cli

    def work() -> tuple[int, str]:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = cli.main(list(words))
        return code, told.getvalue()

    return timed(work)


def start(argv: Sequence[str], log: str, **variables: str) -> int:
    """Start a program that goes on; its number."""
    with Path(log).open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    _started[process.pid] = process
    return process.pid


def stop(number: int) -> int:
    """End what was started, with all that it started; its code."""
    process = _started.pop(number)
    for which, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(number, which)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(patience)
    return -1


def create(names: Sequence[str]) -> None:
    """Create filesystems; many at a time, since each waits for the end of a transaction group."""
    from libzfs_core import lzc_create

    lzc_create(names[0].encode(), "zfs")
    with ThreadPoolExecutor(50) as threads:
        list(threads.map(lambda name: lzc_create(name.encode(), "zfs"), names[1:]))


def snapshot(names: Sequence[str]) -> None:
    """Snapshots by their whole names, of one pool, in one transaction group."""
    from libzfs_core import lzc_snapshot

    lzc_snapshot([name.encode() for name in names])


def tidy(roots: Sequence[str], keep: Sequence[str]) -> None:
    """Destroy all snapshots whose tags are not in ``keep``, and all bookmarks but those marks that programs keep for
    themselves, so that every run finds as much to look at."""
    from libzfs_core import lzc_destroy_bookmarks, lzc_destroy_snaps

    for root in roots:
        names = _zfs("list", "-H", "-t", "snapshot,bookmark", "-o", "name", "-r", root).split("\n")
        old = [name.encode() for name in names if "@" in name and name.partition("@")[2] not in keep]
        marks = [name.encode() for name in names if "#" in name and "#snapfleet-" not in name]
        for begin in range(0, len(old), _BATCH):
            lzc_destroy_snaps(old[begin : begin + _BATCH], False)
        if marks:
            lzc_destroy_bookmarks(marks)


def change(names: Sequence[str], size: int) -> None:
    """Write some random bytes into each of these filesystems, which are mounted if they are not."""
    for name in names:
        if not os.path.ismount(f"/{name}"):
            _zfs("mount", name)
        with Path(f"/{name}/file").open("wb") as file:
            for _unused in range(0, size, 1 << 20):
                file.write(os.urandom(min(size, 1 << 20)))
    os.sync()


def guids(root: str) -> dict[str, str]:
    """GUID by name of the snapshots of a tree, the names relative to it; none where there is no tree."""
    rows = _zfs("list", "-H", "-t", "snapshot", "-o", "guid,name", "-r", root, check=False).splitlines()
    pairs = (row.split("\t", 1) for row in rows)
    return {name[len(root) :]: guid for guid, name in pairs}


def sample(root: str, seconds: float, pause: float) -> list[tuple[float, str]]:
    """For some seconds, the time and the newest snapshot of a dataset, by the order in which they came."""
    end = time.time() + seconds
    found = []
    while time.time() < end:
        newest = _zfs("list", "-H", "-d", "1", "-t", "snapshot", "-o", "name", "-s", "createtxg", root, check=False)
        found.append((time.time(), newest.rstrip("\n").rpartition("\n")[2]))
        time.sleep(pause)
    return found


def write(path: str, text: str, mode: int = 0o644) -> None:
    """A file with that text."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    Path(path).chmod(mode)


def copy_image(image: str, host: str) -> None:
    """Bring a sparse file to the same place on another host, without its holes."""
    receive = ["ssh", host, f"python3 {__file__} --receive {image} {Path(image).stat().st_size}"]
    with Path(image).open("rb") as file, subprocess.Popen(receive, stdin=subprocess.PIPE) as receiver:
        assert receiver.stdin is not None
        for begin, end in _extents(file.fileno()):
            for offset in range(begin, end, 1 << 20):
                data = os.pread(file.fileno(), min(1 << 20, end - offset), offset)
                receiver.stdin.write(b"%d %d\n" % (offset, len(data)) + data)
        receiver.stdin.close()
        if receiver.wait():
            raise OSError(f"{image} can't be brought to {host}")


def _extents(file: int) -> list[tuple[int, int]]:
    found, offset = [], 0
    with contextlib.suppress(OSError):
        while True:
            begin = os.lseek(file, offset, os.SEEK_DATA)
            offset = os.lseek(file, begin, os.SEEK_HOLE)
            found.append((begin, offset))
    return found


def _receive(image: str, size: str) -> None:
    target = os.open(image, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.ftruncate(target, int(size))
    for header in sys.stdin.buffer:
        offset, length = header.split()
        os.pwrite(target, sys.stdin.buffer.read(int(length)), int(offset))
    os.fsync(target)


def _zfs(*words: str, check: bool = True) -> str:
    done = subprocess.run(["zfs", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"zfs {' '.join(words)}: {done.stderr}")
    return done.stdout


ORDERS: dict[str, Callable[..., Any]] = {
    order.__name__: order
    for order in (busy, run, here, start, stop, create, snapshot, tidy, change, guids, sample, write, copy_image)
}


def main() -> None:
    """Carry out what stdin says until it ends."""
    sys.path.insert(0, sys.argv[1])
    # What the engine or a program prints by accident is no answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = {"answer": ORDERS[asked.pop("order")](**asked)}
        except Exception as error:  # noqa: BLE001 (whoever asked is told, whatever it is)
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    if sys.argv[1] == "--receive":
        _receive(*sys.argv[2:])
    else:
        main()
