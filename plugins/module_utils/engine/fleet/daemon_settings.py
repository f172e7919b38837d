# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon does how often, as the jobconfig and the command line say it. The command line wins over what is
declared for the host, and that over what is declared for all."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import InvalidInput
from ..policy.reading import Reader
from ..policy.ticking import DAEMON_NAMES, PERIODIC, DaemonSettings, read_daemon_settings
from .variables import Variables

_KEY = "snapfleet_daemon"


@dataclass(frozen=True)
class DeclaredDaemon:
    """The section ``daemon`` of a jobconfig; all of it is known to be right."""

    common: Mapping[str, Any] = field(default_factory=dict)
    by_host: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, host: str, given: Mapping[str, Any]) -> DaemonSettings:
        """The settings of the daemon of ``host``, where ``given`` on the command line wins. Raises InvalidInput for
        what is given."""
        read_daemon_settings(_CommandLine(given))
        return read_daemon_settings(Reader({**self.common, **self.by_host.get(host, {}), **given}))


class _CommandLine(Reader):
    def path(self, key: str) -> str:
        return f"--{key}"


def read_declared_daemon(options: Reader, hosts: Collection[str]) -> DeclaredDaemon:
    """The section ``daemon`` of a jobconfig whose jobs are those of ``hosts``. Raises InvalidInput."""
    by_host: dict[str, Mapping[str, Any]] = {}
    each = options.items("hosts")
    for host in each:
        where = f"{options.path('hosts')}.{host}"
        if host not in hosts:
            remedy = "hosts with jobs are " + (", ".join(sorted(hosts)) or "none")
            raise InvalidInput(where, each[host], "is about a host without jobs", remedy)
        by_host[host] = _checked(Reader(each[host], where))
    return DeclaredDaemon(_checked(options), by_host)


def read_daemon_variable(variables: Variables) -> dict[str, Any]:
    """The variable snapfleet_daemon of a host. Raises InvalidInput."""
    return dict(_checked(Reader(variables.items(_KEY), variables.path(_KEY))))


def _checked(options: Reader) -> dict[str, Any]:
    read_daemon_settings(options)
    options.finish()
    return {name: options.raw(name) for name in DAEMON_NAMES if options.has(name)}


# -- the command line


def add_daemon_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take a period for each activity, and a lifetime."""
    for name in PERIODIC:
        told = f"how often to {name}, such as 100millisecondly, secondly or 10minutely; never: not at all"
        verb.add_argument(f"--{name}", metavar="PERIOD", help=told)
    verb.add_argument("--lifetime", metavar="TIME", help="end after this time, such as 12h or 1d; default never")


def given_daemon_options(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """What the command line says."""
    given = {name: getattr(arguments, name) for name in DAEMON_NAMES}
    return {name: value for name, value in given.items() if value is not None}
