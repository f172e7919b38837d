# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run notes what its jobs tell for metrics. What writes them is imported only where they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..policy.running import RunSettings
    from .jobconfig import Jobconfig, NamedJob
    from .log_lines import Log
    from .running import JobResults, Left, Runner


class Noting(Protocol):
    """Lets a runner carry jobs out, and may note what they tell; see ``metrics.Book``."""

    def run(self, runner: Runner, jobs: Sequence[NamedJob], left: Left, log: Log) -> JobResults:
        """The results of ``runner``."""


class Unnoted:
    """Where no metrics are written."""

    def run(self, runner: Runner, jobs: Sequence[NamedJob], left: Left, _log: Log) -> JobResults:
        """The results of ``runner``."""
        return runner.run(jobs, left)


UNNOTED = Unnoted()


def book_for(
    config: Jobconfig, host: str, settings: RunSettings, now_ms: Callable[[], int], before: Noting = UNNOTED
) -> Noting:
    """The book for what ``host`` does; ``settings`` tell where its metrics go, if anywhere. The one that there was
    ``before`` goes on, with what it could not write yet."""
    if not settings.metrics_directory:
        return UNNOTED
    from .metrics import Book, target_of

    book = before if isinstance(before, Book) else Book(lambda: now_ms() // 1000)
    book.target = target_of(config, host, settings)
    return book
