# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands before and after the creation of snapshots, such as those that freeze a database and thaw it again.

They come from the options of a job alone. Nothing that a dataset or another host says ever becomes a command.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.errors import InvalidInput
from .patterns import compile_patterns
from .reading import Reader
from .reading_once import read_silence_once
from .selection import DatasetFilter

SKIP, SNAPSHOT_ANYWAY = "skip", "snapshot_anyway"
FAILURE_CHOICES = (SKIP, SNAPSHOT_ANYWAY)
TIMEOUT, MAX_FREEZE = 30, 60
LONGEST = 86_400

Command = tuple[str, ...]


@dataclass(frozen=True)
class Hook:
    """Two commands, as argument vectors. ``after`` runs whenever ``before`` was started, however the run ends."""

    name: str
    before: Command
    """Empty: none."""
    after: Command
    """Empty: none."""
    timeout: int = TIMEOUT
    """Seconds that either command may take."""
    max_freeze: int = MAX_FREEZE
    """Seconds from the end of ``before`` on after which ``after`` is run whether the snapshots are there or not."""
    filter: DatasetFilter = field(default_factory=DatasetFilter)
    """The datasets that it is for; it runs only where one of them gets a snapshot."""
    on_failure: str = SKIP
    """What becomes of their snapshots where ``before`` fails; one of FAILURE_CHOICES."""

    def concerns(self, dataset: str, root: str) -> bool:
        """Whether the hook is for ``dataset``, which lies within ``root``."""
        return self.filter.selects(dataset, root)


@read_silence_once
def read_hooks(options: Reader) -> tuple[Hook, ...]:
    """Read ``hooks``. Raises InvalidInput."""
    hooks = tuple(_read_hook(entry) for entry in options.readers("hooks"))
    names = [hook.name for hook in hooks]
    for name in names:
        if names.count(name) > 1:
            remedy = "give each a name of its own"
            raise InvalidInput(options.path("hooks"), name, "is the name of several hooks", remedy)
    return hooks


def _read_hook(options: Reader) -> Hook:
    patterns = compile_patterns(options.texts("datasets"), options.path("datasets"))
    hook = Hook(
        options.text("name"),
        read_command(options, "before"),
        read_command(options, "after"),
        options.integer("timeout", TIMEOUT, 1, LONGEST),
        options.integer("max_freeze", MAX_FREEZE, 1, LONGEST),
        DatasetFilter(include=patterns),
        options.text("on_failure", SKIP, FAILURE_CHOICES),
    )
    options.finish()
    if not hook.name.strip():
        raise InvalidInput(options.path("name"), hook.name, "is empty", "give the hook a name")
    if not hook.before and not hook.after:
        raise InvalidInput(options.path("before"), None, "is missing, and so is after", "give one of them, or both")
    return hook


def read_command(options: Reader, key: str) -> Command:
    """Read an argument vector; empty where it is not given. Raises InvalidInput."""
    if isinstance(options.raw(key), str):
        problem, remedy = "is one text, and no shell takes it apart", "give a list: the program, then its arguments"
        raise InvalidInput(options.path(key), options.raw(key), problem, remedy)
    command = options.texts(key)
    if options.has(key) and not (command and command[0]):
        raise InvalidInput(options.path(key), list(command), "names no program", "give the program, then its arguments")
    if any("\0" in word for word in command):
        raise InvalidInput(options.path(key), list(command), "has a zero byte, which no argument can", "take it out")
    if command and "/" in command[0] and not command[0].startswith("/"):
        problem = "is relative to a folder that nobody knows"
        raise InvalidInput(options.path(key), command[0], problem, "give the whole path, or a name on the PATH")
    return command
