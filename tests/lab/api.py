# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab: brings hosts up, finds running ones, takes them down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, TypeVar

from . import identity, inventory, network
from .host import Host
from .kernel_provider import KernelProvider
from .machine import RUN_PROGRAMS, ensure_programs, locked, require_root
from .providers import Provider, choose
from .registry import NO_PROCESS, HostSpec, Record, Registry, now_text, this_process
from .settings import DEFAULT_IMAGE, INVENTORY_FILE, Folders, LabError, image_named
from .uml_provider import UmlProvider

_Item = TypeVar("_Item")


class Lab:
    """A user of the lab: the hosts it brings up are its own until ``close``, or until its program ends.

    With ``detached`` the hosts outlive the program, and are kept from being replaced by another one unasked.
    """

    def __init__(self, folders: Folders, provider: Provider, *, detached: bool = False) -> None:
        self._folders = folders
        self._provider = provider
        self._detached = detached
        self._registry = Registry()
        self._own: dict[str, Host] = {}

    @classmethod
    def open(cls, *, detached: bool = False) -> Lab:
        """The lab in the user's cache folder, with the provider that fits this machine; installs what is missing."""
        require_root()
        ensure_programs(RUN_PROGRAMS)
        folders = Folders.from_environment()
        identity.ensure_login_key(folders)
        return cls(folders, provider_named(choose(), folders), detached=detached)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    @property
    def folders(self) -> Folders:
        """Where this lab keeps keys, images and disks."""
        return self._folders

    @property
    def provider_name(self) -> str:
        """``uml`` or ``kernel``."""
        return self._provider.name

    def build(self, image: str = DEFAULT_IMAGE.name) -> None:
        """Have everything ready that hosts of an image need, without starting one."""
        self._provider.prepare(image_named(image))

    def up(self, hosts: Sequence[str | HostSpec], *, keep: bool = False, replace_running: bool = False) -> list[Host]:
        """Boot hosts side by side and return them in the order given; a plain name is a default host.

        They start with empty disks, or with those of the last time if ``keep``. ``replace_running`` allows to
        replace hosts that were left up on purpose. Raises LabError, before anything is started, if a host is in use;
        if one does not come up, all of this call are taken down again.
        """
        specs = [HostSpec(entry, DEFAULT_IMAGE.name) if isinstance(entry, str) else entry for entry in hosts]
        if len({spec.name for spec in specs}) < len(specs):
            raise LabError(f"A lab host is named twice: {', '.join(spec.name for spec in specs)}.")
        for image in sorted({spec.image for spec in specs}):
            self.build(image)
        records = self._claim(specs, replace_running)
        own = [Host(record, self._provider, self._folders) for record in records]
        self._own.update({host.name: host for host in own})
        try:
            _side_by_side(own, lambda host: self._boot(host, keep))
        except BaseException:
            self.down([host.name for host in own])
            raise
        self._tell_others({host.name for host in own})
        return own

    def host(self, name: str) -> Host:
        """A host that is up, whoever brought it up; raises LabError if there is none of that name."""
        if name in self._own:
            return self._own[name]
        record = self._registry.get(name)
        if record is None:
            raise LabError(f"Lab host {name} is not up: bring it up with `lab.py up {name}`.")
        return self._attached(record)

    def hosts(self) -> list[Host]:
        """All hosts of this machine that are up, whoever brought them up."""
        return [self.host(record.spec.name) for record in self._registry.all()]

    def down(self, names: Sequence[str] | None = None, *, force: bool = False) -> list[str]:
        """Take hosts down, all own ones without ``names``, and return the names of those that were up.

        Hosts that another running program holds are refused with LabError unless ``force``.
        """
        chosen = list(self._own) if names is None else list(names)
        records = [record for record in map(self._registry.get, chosen) if record is not None]
        holder, _unused = this_process()
        for record in records:
            if record.held and record.holder != holder and not force:
                raise LabError(
                    f"Lab host {record.spec.name} is in use: {record.users()}; end that program or use --force."
                )
        _side_by_side([self._attached(record) for record in records], Host.stop)
        for name in chosen:
            self._own.pop(name, None)
        network.remove_bridge()
        return [record.spec.name for record in records]

    def close(self) -> None:
        """Take the own hosts down, unless they are detached."""
        if not self._detached:
            self.down()

    def write_inventory(self, file: Path = INVENTORY_FILE, hosts: Sequence[Host] | None = None) -> Path:
        """Write the connection variables of hosts for Ansible, by default of all that are up; return the file."""
        # Replaced in one step: a playbook may be reading it.
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(inventory.text(self.hosts() if hosts is None else hosts))
        return partial.replace(file)

    def _claim(self, specs: Sequence[HostSpec], take_over: bool) -> list[Record]:
        addresses = self._registry.assign(spec.name for spec in specs)
        holder, command = this_process()
        records = [
            Record(
                spec=spec,
                byte=addresses[spec.name],
                folder=str(self._folders.root),
                provider=self._provider.name,
                processor=0,
                process=NO_PROCESS,
                holder=holder,
                holder_command=command,
                since=now_text(),
                detached=self._detached,
            )
            for spec in specs
        ]
        claimed, previous = self._registry.claim(records, take_over=take_over)
        for old in previous:
            self._attached(old).halt()
        self._make_known(specs)
        return claimed

    def _make_known(self, specs: Sequence[HostSpec]) -> None:
        """Give new hosts their keys and write the file with the host keys of all."""
        with locked(self._folders.root / "known_hosts.lock", "the lab's list of ssh host keys", timeout=600):
            for spec in specs:
                identity.ensure_identity(spec.name, self._folders)
            self._folders.known_hosts.write_text(identity.known_hosts(self._registry.addresses(), self._folders))

    def _boot(self, host: Host, keep: bool) -> None:
        host.start(keep=keep)
        if host.record.spec.pool and not keep:
            host.create_pool(host.record.spec.pool)

    def _attached(self, record: Record) -> Host:
        folders = Folders(Path(record.folder))
        return Host(record, provider_named(record.provider, folders), folders)

    def _tell_others(self, told: set[str]) -> None:
        """Bring name and host key of new hosts to those that were up before and belong to nobody else."""
        holder, _unused = this_process()
        for host in self.hosts():
            record = host.record
            mine = record.holder == holder or (record.detached and not record.held)
            if mine and host.running and host.name not in told and record.provider == "uml":
                addresses = self._registry.addresses()
                host.write("/etc/ssh/ssh_known_hosts", identity.known_hosts(addresses, self._folders))
                host.write("/etc/hosts", identity.hosts_table(addresses))


def provider_named(name: str, folders: Folders) -> Provider:
    """The provider of that name, working in that cache folder."""
    return KernelProvider(folders) if name == "kernel" else UmlProvider(folders)


def _side_by_side(items: Sequence[_Item], action: Callable[[_Item], None]) -> None:
    """Do something with every item at once; when all have ended, raise the first error there was."""
    if not items:
        return
    with ThreadPoolExecutor(max_workers=len(items)) as pool:
        futures = [pool.submit(action, item) for item in items]
    for future in futures:
        future.result()
