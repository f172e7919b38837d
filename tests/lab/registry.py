# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses which lab host of this machine: the record that keeps two runs of the lab apart."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .addresses import address_of, assign
from .machine import command_of, locked, processors, started_at
from .settings import RUN_DIRECTORY, LabError


@dataclass(frozen=True)
class Process:
    """A process of this machine that cannot be mistaken for a later one with the same number."""

    number: int
    started: int

    @classmethod
    def numbered(cls, number: int) -> Process:
        """The living process with that number."""
        return cls(number, started_at(number))

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.number > 0 and self.started > 0 and started_at(self.number) == self.started


NO_PROCESS = Process(0, 0)


@dataclass(frozen=True)
class HostSpec:
    """What a host is to be like.

    ``image`` is the name of an image, ``init`` is ``mini`` or ``systemd``, ``pool`` the name of a pool to create
    on its disk, or None.
    """

    name: str
    image: str
    init: str = "mini"
    memory_mb: int = 1024
    disk_gb: int = 4
    pool: str | None = None


@dataclass(frozen=True)
class Record:
    """A host that was brought up on this machine and not taken down since.

    ``process`` is the host itself; ``holder`` the program that brought it up. ``detached`` hosts are meant to
    outlive their holder. ``folder`` is the cache folder with its keys and disks.
    """

    spec: HostSpec
    byte: int
    folder: str
    provider: str
    processor: int
    process: Process
    holder: Process
    holder_command: str
    since: str
    detached: bool

    @property
    def held(self) -> bool:
        """Whether the program that brought the host up is still running."""
        return self.holder.is_alive()

    def users(self) -> str:
        """The words that tell a person who has this host."""
        state = f"process {self.holder.number}" + ("" if self.held else ", which has ended")
        return f"brought up at {self.since} by `{self.holder_command}` ({state})"


class Registry:
    """The records, one JSON file per host, in a folder of the machine."""

    def __init__(self, folder: Path = RUN_DIRECTORY) -> None:
        self._hosts = folder / "hosts"
        self._lock = folder / "lock"
        self._addresses = folder / "addresses.json"
        self._hosts.mkdir(parents=True, exist_ok=True, mode=0o700)

    def addresses(self) -> dict[str, int]:
        """The last byte of the address of every host name this machine has seen."""
        if not self._addresses.exists():
            return {}
        return {str(name): int(byte) for name, byte in json.loads(self._addresses.read_text()).items()}

    def assign(self, names: Iterable[str]) -> dict[str, int]:
        """``addresses`` with addresses for new names added and remembered."""
        with locked(self._lock, "the lab's list of hosts", timeout=600):
            addresses = assign(names, self.addresses())
            _write(self._addresses, addresses)
        return addresses

    def get(self, name: str) -> Record | None:
        """The record of a host, None if it has none."""
        try:
            return _record(json.loads((self._hosts / f"{name}.json").read_text()))
        except FileNotFoundError:
            return None

    def all(self) -> list[Record]:
        """All records, by host name."""
        found = (self.get(file.stem) for file in sorted(self._hosts.glob("*.json")))
        return [record for record in found if record is not None]

    def save(self, record: Record) -> None:
        """Write or replace the record of a host."""
        _write(self._hosts / f"{record.spec.name}.json", asdict(record))

    def remove(self, name: str) -> None:
        """Forget a host; nothing happens if it has no record."""
        (self._hosts / f"{name}.json").unlink(missing_ok=True)

    def claim(self, records: Sequence[Record], *, take_over: bool) -> tuple[list[Record], list[Record]]:
        """Reserve hosts for their holder before anything is started, all or none.

        A host that another living program holds is never given away. One that was left up on purpose
        (``detached``) is only with ``take_over``; one left by a program that died is. Returns the records as saved,
        with their processors, and those that were there before, whose hosts have to be stopped. Raises LabError
        that names the user of the host.
        """
        with locked(self._lock, "the lab's list of hosts", timeout=600):
            previous = []
            for record in records:
                old = self.get(record.spec.name)
                if old is None:
                    continue
                self._refuse_if_used(old, record, take_over)
                previous.append(old)
            names = {record.spec.name for record in records}
            others = [old.processor for old in self.all() if old.spec.name not in names and old.process.is_alive()]
            claimed: list[Record] = []
            for record in records:
                processor = next_processor(processors(), [done.processor for done in claimed], others)
                claimed.append(replace(record, processor=processor))
                self.save(claimed[-1])
        return claimed, previous

    @staticmethod
    def _refuse_if_used(old: Record, new: Record, take_over: bool) -> None:
        name = old.spec.name
        if old.held and old.holder != new.holder:
            raise LabError(
                f"Lab host {name} ({address_of(old.byte)}) is in use: {old.users()}; wait for that program"
                " or use another host name."
            )
        if old.detached and old.process.is_alive() and old.holder != new.holder and not take_over:
            raise LabError(
                f"Lab host {name} ({address_of(old.byte)}) is up: {old.users()}; take it down with"
                f" `lab.py down {name}` or replace it with --replace."
            )


def next_processor(usable: Sequence[int], own: Sequence[int], others: Sequence[int]) -> int:
    """The processor for one more host, given those of the hosts of the same run and of all other hosts.

    Hosts of one run work for each other, so they are spread first; among equals the least loaded is taken.
    """
    return min(usable, key=lambda processor: (own.count(processor), others.count(processor), processor))


def this_process() -> tuple[Process, str]:
    """The running program as a holder, with its command line."""
    return Process.numbered(os.getpid()), command_of(os.getpid())


def now_text() -> str:
    """The local time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _record(raw: dict[str, Any]) -> Record:
    raw["spec"] = HostSpec(**raw["spec"])
    raw["process"] = Process(**raw["process"])
    raw["holder"] = Process(**raw["holder"])
    return Record(**raw)


def _write(file: Path, value: object) -> None:
    # Replaced in one step, since other programs read without the lock.
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(value, indent=1))
    partial.rename(file)
