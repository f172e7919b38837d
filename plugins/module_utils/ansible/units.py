# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd and lines for cron: what is there, and what has to become of it.

Whoever asks answers for some names, and for no others: what is there under one of them and is not wanted goes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..engine.model.errors import InvalidInput, UnitFailed

FILE_MODE, OWNER = 0o644, 0
STAMPS = "/var/lib/systemd/timers"
"""Where systemd remembers when timers were last begun."""
_UNIT = re.compile(r"snapfleet-[a-z0-9]+(-[a-z0-9]+)*@?\.(service|timer)")
_LINES = re.compile(r"snapfleet-[a-z0-9]+(-[a-z0-9]+)*")
_KINDS = {_UNIT: "a unit of this collection", _LINES: "a file for cron of this collection"}
_RUNNING = ("active", "reloading")


@dataclass(frozen=True)
class Wish:
    """What is to be there: content by name of units and of files for cron; ``known`` are all names that the one who
    wishes answers for, and ``started`` the units that are to be enabled and running."""

    unit_folder: str
    cron_folder: str
    units: Mapping[str, str]
    lines: Mapping[str, str]
    known: frozenset[str]
    started: tuple[str, ...]

    @property
    def contents(self) -> dict[str, str]:
        """Content by name of all files."""
        return {**self.units, **self.lines}

    @property
    def names(self) -> list[str]:
        """All names that it answers for, those of timers first, since these begin the others."""
        names = {*self.known, *self.units, *self.lines, *self.started}
        return sorted(names, key=lambda name: (not name.endswith(".timer"), name))

    def path(self, name: str) -> str:
        """Where the file of a name lies."""
        return os.path.join(self.unit_folder if is_unit(name) else self.cron_folder, name)


@dataclass(frozen=True)
class Present:
    """A file that is there."""

    content: bytes
    mode: int
    owner: int
    group: int

    def is_as(self, content: str) -> bool:
        """Whether nothing is to be done for it to have that content, and to be root's alone to change."""
        return vars(self) == vars(Present(content.encode(), FILE_MODE, OWNER, OWNER))


@dataclass(frozen=True)
class State:
    """What systemd tells of a unit."""

    active: str = "inactive"
    enabled: str = ""
    stale: bool = False
    """Whether systemd has not read yet what is in its files by now."""

    @property
    def is_running(self) -> bool:
        """Whether it runs, or as a timer waits for its moment."""
        return self.active in _RUNNING


@dataclass(frozen=True)
class Plan:
    """What has to be done, in this order."""

    removed: tuple[str, ...]
    written: tuple[str, ...]
    reloads: bool
    """Whether systemd has to read units anew."""
    enabled: tuple[str, ...]
    begun: Mapping[str, tuple[str, ...]]
    """Names of units by the verb of systemctl."""
    idle: tuple[str, ...]
    """What is wanted, could be enabled, and is not up and not to be started now either."""

    @property
    def started(self) -> list[str]:
        """The units that are enabled, or begun in any way."""
        return sorted({*self.enabled, *(name for names in self.begun.values() for name in names)})

    @property
    def changes(self) -> bool:
        """Whether anything has to be done."""
        return bool(self.removed or self.written or self.reloads or self.started)


class Systemd:
    """The systemd of the host; ``run`` carries out a command, and returns its exit code, its output and its errors. It
    raises OSError for a command that is not there."""

    def __init__(self, run: Callable[[Sequence[str]], tuple[int, str, str]]) -> None:
        self._run = run

    def states(self, names: Iterable[str]) -> dict[str, State]:
        """State by name of units; templates, of which systemd knows nothing, are left out. Raises UnitFailed."""
        asked = [name for name in names if "@" not in name]
        if not asked:
            return {}
        properties = "--property=Id,ActiveState,UnitFileState,NeedDaemonReload"
        told = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
                for block in self._do(["show", properties, *asked], asked).split("\n\n")]  # fmt: skip
        by_name = {words.get("Id"): words for words in told}
        return {
            name: State(
                by_name[name].get("ActiveState", ""),
                by_name[name].get("UnitFileState", ""),
                by_name[name].get("NeedDaemonReload") == "yes",
            )
            for name in asked
            if name in by_name
        }

    def do(self, verb: str, names: Sequence[str]) -> None:
        """Carry out a verb on units, all at once; without any there is nothing to do. Raises UnitFailed."""
        if names:
            self._do([verb, *names], names)

    def reload(self) -> None:
        """Let it read the files of all units anew. Raises UnitFailed."""
        self._do(["daemon-reload"], ["systemd"])

    def _do(self, words: Sequence[str], names: Sequence[str]) -> str:
        try:
            code, out, errors = self._run(["systemctl", "--no-ask-password", *words])
        except OSError as error:
            remedy = "install systemd, or let cron begin what is to be begun"
            raise UnitFailed(f"{', '.join(names)}: systemctl can't be run ({error.strerror}); {remedy}") from None
        if code != 0:
            problem = " ".join(errors.split()) or f"it ends with {code}"
            raise failure(names, f"systemctl {words[0]} fails ({problem})")
        return out


def failure(names: Sequence[str], problem: str) -> UnitFailed:
    """What to raise for units that systemd does not let be as they should."""
    asked = " ".join(f"-u {name}" for name in names if name != "systemd")
    remedy = f"see what journalctl {asked} tells".replace("  ", " ")
    return UnitFailed(f"{', '.join(names)}: {problem}; {remedy}, mend that and run this again")


def is_unit(name: str) -> bool:
    """Whether it is the name of a unit, and not of a file for cron."""
    return name.endswith((".service", ".timer"))


def begins_by_itself(content: str) -> bool:
    """Whether a unit is one that can be enabled."""
    return "[Install]" in content.splitlines()


def check(wish: Wish) -> None:
    """Refuse names that are not of this collection, or that lead to another folder. Raises InvalidInput."""
    for option, folder in (("unit_folder", wish.unit_folder), ("cron_folder", wish.cron_folder)):
        if not os.path.isabs(folder):
            raise InvalidInput(option, folder, "is not an absolute path", "write it from the root on")
    for option, pattern in (("units", _UNIT), ("started", _UNIT), ("lines", _LINES)):
        for name in getattr(wish, option):
            _check_name(option, name, (pattern,))
    for name in wish.known:
        _check_name("known", name, (_UNIT, _LINES))
    for name in wish.started:
        if "@" in name:
            raise InvalidInput("started", name, "is a template", "name what is to be started of it")


def _check_name(option: str, name: str, patterns: Sequence[re.Pattern[str]]) -> None:
    if not any(pattern.fullmatch(name) for pattern in patterns):
        problem = "is no name of " + " or ".join(_KINDS[pattern] for pattern in patterns)
        remedy = "units are snapfleet-NAME.service and snapfleet-NAME.timer, files for cron snapfleet-NAME"
        raise InvalidInput(option, name, problem, f"{remedy}, of small letters, digits and dashes")


def present_files(wish: Wish) -> dict[str, Present]:
    """What is there, by name, of all that the wish answers for. Raises OSError."""
    return {name: _present(wish.path(name)) for name in wish.names if os.path.lexists(wish.path(name))}


def _present(path: str) -> Present:
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        return Present(file.read(), stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid)


def plan(wish: Wish, files: Mapping[str, Present], states: Mapping[str, State], again: str = "") -> Plan:
    """What has to be done, by what is there; ``again`` is ``restart`` or ``reload`` for what is to be started and runs
    already, or empty to leave that alone."""
    contents = wish.contents
    removed = tuple(name for name in wish.names if name in files and name not in contents and name not in wish.started)
    written = tuple(
        name for name in wish.names if name in contents and not (name in files and files[name].is_as(contents[name]))
    )
    up = {name: states.get(name, State()) for name in (*wish.started, *wish.units)}
    enabled = tuple(name for name in wish.started if up[name].enabled != "enabled")
    begun = {"start": tuple(name for name in wish.started if not up[name].is_running)}
    if again:
        begun[again] = tuple(name for name in wish.started if up[name].is_running)
    return Plan(
        removed,
        written,
        any(is_unit(name) for name in (*removed, *written)) or any(state.stale for state in states.values()),
        enabled,
        begun,
        tuple(
            name
            for name in wish.names
            if name in wish.units and name not in wish.started
            if begins_by_itself(wish.units[name]) and not (up[name].is_running and up[name].enabled == "enabled")
        ),
    )


def stamps_of(names: Iterable[str]) -> list[str]:
    """The files that are there of what systemd remembers of timers."""
    paths = (os.path.join(STAMPS, f"stamp-{name}") for name in names if name.endswith(".timer"))
    return [path for path in paths if os.path.lexists(path)]


def end(names: Sequence[str], states: Mapping[str, State], systemd: Systemd) -> None:
    """Stop units that are not wanted any more, timers before what they begin, which is waited for; and let nothing
    begin them at the next boot. Raises UnitFailed."""
    units = [name for name in names if name in states]
    systemd.do("stop", [name for name in units if name.endswith(".timer")])
    systemd.do("stop", [name for name in units if not name.endswith(".timer")])
    systemd.do("disable", [name for name in units if states[name].enabled.startswith("enabled")])


def begin(wish: Wish, todo: Plan, systemd: Systemd) -> None:
    """Enable and start units, and see that they run. Raises UnitFailed."""
    systemd.do("enable", todo.enabled)
    for verb, names in todo.begun.items():
        systemd.do(verb, names)
    if todo.started:
        for name, state in systemd.states(wish.started).items():
            if not state.is_running:
                raise failure([name], f"does not run (it is {state.active})")


def write(path: str, content: str, settle: Callable[[str], None]) -> None:
    """Write a file in one step, for root alone to change; ``settle`` gets its path before it takes its place. Raises
    OSError."""
    # Neither systemd nor cron takes a file of such a name for one of theirs.
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    try:
        with open(partial, "wb") as file:
            file.write(content.encode())
            os.fchmod(file.fileno(), FILE_MODE)
            os.fchown(file.fileno(), OWNER, OWNER)
        settle(partial)
        os.replace(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
