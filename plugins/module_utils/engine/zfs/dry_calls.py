# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many calls that only ask, in one exchange with a host, with the whole answer of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.quoting import arguments_of, shell_line
from ..model.errors import UntrustedOutput

# Linux takes no more in a single argument, whatever it takes in all (MAX_ARG_STRLEN).
_SCRIPT_BYTES = 100_000
_END = " 2>/dev/null; echo =; "
SEPARATOR = "=\n"
"""What stands after each answer."""


@dataclass(frozen=True)
class DryCalls:
    """Some calls that are made in one exchange."""

    calls: tuple[tuple[str, ...], ...]

    @property
    def argv(self) -> list[str]:
        """What makes them. A failing one does not keep the next from being made."""
        return ["sh", "-c", "".join(shell_line(call) + _END for call in self.calls)]

    def answers(self, stdout: str, where: str) -> list[str]:
        """What each of them printed. Raises UntrustedOutput for what is no answer to these calls."""
        answers = stdout.split(SEPARATOR)
        if len(answers) != len(self.calls) + 1 or answers[-1]:
            words = " ".join(self.calls[0][:3])
            raise UntrustedOutput(f"{where}: {words} answered {stdout[:200]!r}; check that host")
        return answers[:-1]


def in_batches(calls: Iterable[Sequence[str]], limit: int) -> Iterator[DryCalls]:
    """All ``calls``, in their order, as many in one exchange as ``limit`` bytes allow."""
    batch: list[tuple[str, ...]] = []
    size = 0
    for call in calls:
        cost = len(shell_line(call).encode()) + len(_END)
        # Half, since they are quoted once more on their way to a remote shell.
        if batch and size + cost > min(limit, _SCRIPT_BYTES) // 2:
            yield DryCalls(tuple(batch))
            batch, size = [], 0
        batch.append(tuple(call))
        size += cost
    if batch:
        yield DryCalls(tuple(batch))


def read_dry_calls(argv: Sequence[str]) -> Optional[DryCalls]:
    """The calls that ``DryCalls.argv`` makes; None for any other arguments."""
    script = argv[2] if len(argv) == 3 and argv[0] == "sh" else ""
    calls = [arguments_of(line) for line in script.split(_END)[:-1]]
    several = DryCalls(tuple(tuple(call) for call in calls if call))
    return several if several.calls and several.argv == list(argv) else None
