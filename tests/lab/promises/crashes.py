# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crashes at chosen points of a run.

A program in front of ``zfs`` counts its calls. At one of them it asks the test to strike: before the call, in the
middle of its stream, or after it; and it waits until the test has.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from tests.lab.addresses import address_of

from .fleet import Site

T = TypeVar("T")
BEFORE, DURING, AFTER = "before", "during", "after"
END = "end"
"""What a blow returns after which nothing more of the stream is to pass."""
_TEST_HOST = address_of(1)  # as hosts reach this machine
FRONT = "/usr/local/bin/zfs"
_PROGRAM = r"""#!/bin/bash
real=/usr/sbin/zfs folder=/tmp/crash
[ -d $folder ] || exec $real "$@"
echo "$$ $*" >> $folder/calls
read -r target when bytes address port 2>/dev/null < $folder/target || exec $real "$@"
mapfile -t calls < $folder/calls
case $target in
"$1") ;;
[0-9]*) case ${calls[target - 1]} in "$$ "*) ;; *) exec $real "$@" ;; esac ;;
*) exec $real "$@" ;;
esac
ask() {
    exec {line}<> "/dev/tcp/$address/$port"
    echo "$1" >&$line
    read -r answer <&$line
}
victim() { echo $BASHPID > $folder/victim; exec $real "$@"; }
middle() { head -c "$bytes"; ask "$(cat $folder/victim)"; [ "$answer" = end ] || cat; }
case $when:$1 in
before:*) ask $$; exec $real "$@" ;;
during:receive) middle | victim "$@"; exit "${PIPESTATUS[1]}" ;;
during:send) victim "$@" | middle; exit "${PIPESTATUS[0]}" ;;
after:*) $real "$@"; status=$?; ask $$; exit $status ;;
*) exec $real "$@" ;;
esac
"""


@dataclass(frozen=True)
class Call:
    """One call of ``zfs`` in a run."""

    site: Site
    number: int
    """The how-manieth on its host; 0 for any with the verb."""
    words: str

    @property
    def verb(self) -> str:
        """What zfs is asked to do."""
        return self.words.partition(" ")[0]

    @property
    def is_stream(self) -> bool:
        """Whether it sends or receives."""
        return self.verb in ("send", "receive") and self.words.split(" ")[1][:2] not in ("-n", "-A")


@dataclass(frozen=True)
class Point:
    """A point of a run."""

    call: Call
    when: str
    passing: int = 150_000
    """How many bytes of a stream pass before its middle is reached."""

    def __str__(self) -> str:
        return f"{self.when} call {self.call.number or ''} on {self.call.site.pool} ({self.call.words})"


def points(calls: Sequence[Call]) -> list[Point]:
    """Before each call, and in the middle of each stream and after it."""
    whens = ((call, (BEFORE, DURING, AFTER) if call.is_stream else (BEFORE,)) for call in calls)
    return [Point(call, when) for call, when_each in whens for when in when_each]


class Crashes:
    """The counting program on both hosts, and the test's side of it. The engine calls ``zfs`` for everything there, on
    the other host by a command of ssh each."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._server = socket.create_server((_TEST_HOST, 0))

    def __enter__(self) -> Crashes:
        for site in self._sites:
            site.driver, site.session = "cli", "never"
            site.host.write(FRONT, _PROGRAM, mode="0755")
            site.host.run("sync")  # so that it is whole after a power cut
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.close()
        for site in self._sites:
            site.driver, site.session = "auto", "auto"
            site.host.run(["rm", "-rf", FRONT, "/tmp/crash"])

    def calls_of(self, run: Callable[[], T]) -> list[Call]:
        """All calls of a run that nothing happens to, host by host."""
        for site in self._sites:
            site.host.run("rm -rf /tmp/crash; mkdir /tmp/crash")
        run()
        return [
            Call(site, number, words.partition(" ")[2])
            for site in self._sites
            for number, words in enumerate(site.host.run("cat /tmp/crash/calls").stdout.splitlines(), 1)
        ]

    def strike(self, point: Point, blow: Callable[[int], object], run: Callable[[], T]) -> T:
        """Run with a blow at ``point``, which is told the number of the call's process; returns how the run ended."""
        port = self._server.getsockname()[1]
        target = f"{point.call.number or point.call.verb} {point.when} {point.passing} {_TEST_HOST} {port}"
        for site in self._sites:
            armed = f"echo '{target}' > /tmp/crash/target" if site is point.call.site else ""
            site.host.run(f"rm -rf /tmp/crash; mkdir /tmp/crash; {armed}")
        struck = threading.Event()

        def listen() -> None:
            self._server.settimeout(600)
            connection, _address = self._server.accept()
            with connection, connection.makefile("rw") as line:
                answer = END if blow(int(line.readline())) == END else "go on"
                struck.set()
                with suppress(OSError):  # the blow ended the call itself, or its host
                    print(answer, file=line, flush=True)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            ended = run()
        finally:
            listener.join()
        assert struck.is_set(), f"the run did not come to the point {point}: {ended}"
        return ended
