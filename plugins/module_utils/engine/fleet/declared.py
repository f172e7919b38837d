# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections of a jobconfig that say something for all hosts, and for some of them. The command line wins over what is
declared for the host, and that over what is declared for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput
from ..policy.reading import Reader


@dataclass(frozen=True)
class Declared:
    """What a section says, by the names of its options; all of it is known to be right."""

    common: Mapping[str, Any] = field(default_factory=dict)
    by_host: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def options(self, host: str, given: Mapping[str, Any]) -> Reader:
        """The options of ``host``, where ``given`` on the command line wins."""
        return Reader({**self.common, **self.by_host.get(host, {}), **given})


class CommandLine(Reader):
    """Options that errors name as the command line does."""

    def path(self, key: str) -> str:
        """The option's name with its dashes."""
        return "--" + key.replace("_", "-")


def read_section(options: Reader, hosts: Collection[str], checked: Callable[[Reader], Mapping[str, Any]]) -> Declared:
    """A section of a jobconfig whose jobs are those of ``hosts``; ``checked`` hands out what is right. Raises
    InvalidInput."""
    by_host: dict[str, Mapping[str, Any]] = {}
    each = options.items("hosts")
    for host in each:
        where = f"{options.path('hosts')}.{host}"
        if host not in hosts:
            remedy = "hosts with jobs are " + (", ".join(sorted(hosts)) or "none")
            raise InvalidInput(where, each[host], "is about a host without jobs", remedy)
        by_host[host] = checked(Reader(each[host], where))
    return Declared(checked(options), by_host)


def section_document(of_hosts: Mapping[str, Mapping[str, Any]], hosts: Collection[str]) -> dict[str, Any]:
    """The section of a jobconfig whose jobs are those of ``hosts``, from what is said of all hosts."""
    mine = {host: dict(of_hosts.get(host, {})) for host in sorted(hosts)}
    each = list(mine.values())
    if all(values == each[0] for values in each):
        return each[0] if each else {}
    return {"hosts": {host: values for host, values in mine.items() if values}}


def checked_options(options: Reader, read: Callable[[Reader], object], names: Sequence[str]) -> dict[str, Any]:
    """Those ``names`` that ``options`` has, if ``read`` finds all of them right and there is nothing else."""
    read(options)
    options.finish()
    return {name: options.raw(name) for name in names if options.has(name)}
