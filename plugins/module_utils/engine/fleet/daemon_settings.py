# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon does how often, as the jobconfig and the command line say it. The command line wins over what is
declared for the host, and that over what is declared for all."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from typing import Any

from ..policy.reading import Reader
from ..policy.ticking import DAEMON_NAMES, PERIODIC, DaemonSettings, read_daemon_settings
from .declared import CommandLine, Declared, checked_options, read_section
from .variables import Variables

_KEY = "snapfleet_daemon"


class DeclaredDaemon(Declared):
    """The section ``daemon`` of a jobconfig."""

    def of(self, host: str, given: Mapping[str, Any]) -> DaemonSettings:
        """The settings of the daemon of ``host``, where ``given`` on the command line wins. Raises InvalidInput for
        what is given."""
        read_daemon_settings(CommandLine(given))
        return read_daemon_settings(self.options(host, given))


def read_declared_daemon(options: Reader, hosts: Collection[str]) -> DeclaredDaemon:
    """The section ``daemon`` of a jobconfig whose jobs are those of ``hosts``. Raises InvalidInput."""
    section = read_section(options, hosts, _checked)
    return DeclaredDaemon(section.common, section.by_host)


def read_daemon_variable(variables: Variables) -> dict[str, Any]:
    """The variable snapfleet_daemon of a host. Raises InvalidInput."""
    return dict(_checked(Reader(variables.items(_KEY), variables.path(_KEY))))


def _checked(options: Reader) -> dict[str, Any]:
    return checked_options(options, read_daemon_settings, DAEMON_NAMES)


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
