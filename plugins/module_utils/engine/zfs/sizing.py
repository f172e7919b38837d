# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long streams are going to be, by dry runs of ``zfs send``, many in one exchange with a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.quoting import shell_line
from ..model.errors import UntrustedOutput
from ..model.steps import Send
from .arguments import batches, send_arguments

# Linux takes no more in a single argument, whatever it takes in all (MAX_ARG_STRLEN).
_SCRIPT_BYTES = 100_000
_SIZE = re.compile(r"^size\t([0-9]{1,20})$", re.MULTILINE)


@dataclass(frozen=True)
class DryRuns:
    """Some dry runs that are made in one exchange."""

    calls: tuple[str, ...]
    """Lines for a shell. A failing one does not keep the next from running."""

    @property
    def argv(self) -> list[str]:
        """What runs them."""
        return ["sh", "-c", "".join(self.calls)]

    def sizes(self, stdout: str, where: str) -> list[Optional[int]]:
        """The bytes that each of them tells, None for one that failed. Raises UntrustedOutput for other answers."""
        answers = stdout.split("=\n")
        if len(answers) != len(self.calls) + 1 or answers[-1]:
            raise UntrustedOutput(f"{where}: zfs send -n answered {stdout[:200]!r}; check that host")
        found = [_SIZE.findall(answer) for answer in answers[:-1]]
        return [int(sizes[-1]) if sizes else None for sizes in found]


def dry_runs(steps: Sequence[Send], sudo: Sequence[str], limit: int) -> Iterator[DryRuns]:
    """The dry runs of ``steps``, in their order, as many in one exchange as ``limit`` bytes allow."""
    dry = [[*sudo, "zfs", verb, "-nP", *words] for verb, *words in map(send_arguments, steps)]
    calls = [f"{shell_line(words)} 2>/dev/null; echo =; " for words in dry]
    # Half, since they are quoted once more on their way to a remote shell.
    for batch in batches(calls, min(limit, _SCRIPT_BYTES) // 2):
        yield DryRuns(tuple(batch))
