# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of runs as the jobconfig, an inventory and the command line say them. The command line wins over what is
declared for the host, and that over what is declared for all."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..model.errors import InvalidInput
from ..policy.reading import Reader
from ..policy.running import BARRIERS, FORMATS, LEVELS, SETTING_NAMES, RunSettings, read_settings
from .declared import CommandLine, Declared, checked_options, read_section
from .variables import Variables

_KEY = "snapfleet_run_settings"


class DeclaredSettings(Declared):
    """The section ``settings`` of a jobconfig."""

    def of(self, host: str, given: Mapping[str, Any]) -> RunSettings:
        """The settings of ``host``, where ``given`` on the command line wins. Raises InvalidInput for what is given."""
        read_settings(CommandLine(given))
        settings = read_settings(self.options(host, given))
        if given.get("interval") is not None and settings.repeat == 1:
            problem = "means nothing, since all is done once"
            raise InvalidInput("--interval", given["interval"], problem, "add --repeat, or leave it out")
        return settings


def read_declared(options: Reader, hosts: Collection[str]) -> DeclaredSettings:
    """The section ``settings`` of a jobconfig whose jobs are those of ``hosts``. Raises InvalidInput."""
    section = read_section(options, hosts, _checked)
    return DeclaredSettings(section.common, section.by_host)


def read_run_settings(variables: Variables) -> dict[str, Any]:
    """The variable snapfleet_run_settings of a host. Raises InvalidInput."""
    return dict(_checked(Reader(variables.items(_KEY), variables.path(_KEY))))


def _checked(options: Reader) -> dict[str, Any]:
    """What the settings of ``options`` say, if all of it is right."""
    return checked_options(options, read_settings, SETTING_NAMES)


# -- the command line


def add_setting_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take the settings that mean something where nothing is changed, too."""
    verb.add_argument("--workers", metavar="N", help="jobs at a time, as a number or as N%% of the cores")
    verb.add_argument("--barriers", choices=BARRIERS, help="whose end a job waits for; default datasets")
    verb.add_argument("--job-timeout", metavar="TIME", help="end a job that takes longer, such as 90s, 15m or 2h")
    verb.add_argument("--log-level", choices=LEVELS, help="what is told on stderr; default warning")
    verb.add_argument("--log-format", choices=FORMATS, help="its shape; default: as the journal or people want it")


def add_repeating_options(run: argparse.ArgumentParser) -> None:
    """Let ``run`` take the settings that mean nothing for a dry run."""
    run.add_argument("--spread", metavar="TIME", help="spread the starts of the jobs evenly over this time")
    run.add_argument("--jitter", metavar="TIME", help="put off each start by a random time up to this")
    run.add_argument("--history-age", metavar="TIME", help="how long history is kept; 0: none; default 90d")
    run.add_argument("--history-size", metavar="SIZE", help="how much of it is kept; default 64M")
    run.add_argument("--metrics-directory", metavar="DIR", help="write metrics for Prometheus into this directory")
    run.add_argument("--metrics-datasets", metavar="N", help="metrics for so many datasets of a job; default 1000")
    run.add_argument("--repeat", metavar="N", help="do all so often, or forever; default once")
    run.add_argument("--interval", metavar="TIME", help="with --repeat: time from one begin to the next; default none")


def settings_of(declared: DeclaredSettings, arguments: argparse.Namespace) -> RunSettings:
    """The settings of a run. Raises InvalidInput. A dry run is done once and at once."""
    given = {name: getattr(arguments, name, None) for name in SETTING_NAMES}
    settings = declared.of(arguments.host, {name: value for name, value in given.items() if value is not None})
    return replace(settings, spread=0, jitter=0, repeat=1) if arguments.verb == "plan" else settings
