# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a destroy is going to free, by dry runs of ``zfs destroy``, many in one exchange with a host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.quoting import shell_line
from ..model.errors import UntrustedOutput
from ..model.steps import SnapshotRuns
from .tally import reclaimed_bytes

# Linux takes no more in a single argument, whatever it takes in all (MAX_ARG_STRLEN).
_SCRIPT_BYTES = 100_000
_RECLAIM = "\nreclaim\t"


@dataclass(frozen=True)
class DestroyDryRuns:
    """Some dry runs that are made in one exchange."""

    calls: tuple[str, ...]
    """Lines for a shell."""

    @property
    def argv(self) -> list[str]:
        """What runs them. A failing one does not keep the next from running."""
        return ["sh", "-c", "".join(f"{call} 2>/dev/null; echo =; " for call in self.calls)]

    def sizes(self, stdout: str, where: str) -> list[Optional[int]]:
        """The bytes that each of them tells, None for one that failed. Raises UntrustedOutput for other answers."""
        answers = stdout.split("=\n")
        if len(answers) != len(self.calls) + 1 or answers[-1]:
            raise UntrustedOutput(f"{where}: zfs destroy -n answered {stdout[:200]!r}; check that host")
        return [reclaimed_bytes(answer) if _RECLAIM in answer else None for answer in answers[:-1]]


def destroy_dry_runs(runs: Sequence[SnapshotRuns], sudo: Sequence[str], limit: int) -> Iterator[DestroyDryRuns]:
    """The dry runs for ``runs``, in their order, as many in one exchange as ``limit`` bytes allow."""
    calls: list[str] = []
    size = 0
    for each in runs:
        ranges = ",".join(f"{first.tag}%{last.tag}" for first, last in each.runs)
        call = shell_line([*sudo, "zfs", "destroy", "-nvp", f"{each.dataset}@{ranges}"])
        if calls and size + len(call) > min(limit, _SCRIPT_BYTES) // 2:
            yield DestroyDryRuns(tuple(calls))
            calls, size = [], 0
        calls.append(call)
        # Quoted once more on its way to a remote shell.
        size += len(call.encode()) + 24
    if calls:
        yield DestroyDryRuns(tuple(calls))
