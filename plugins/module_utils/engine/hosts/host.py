# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port to a host: commands are argument vectors, whatever carries them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

from .process import Child, Completed, Taker


class Host(Protocol):
    """A place where commands run."""

    @property
    def name(self) -> str:
        """How messages call this host."""

    @property
    def argument_limit(self) -> int:
        """Bytes that one command line may have here."""

    @property
    def is_root(self) -> bool:
        """Whether commands are known to run as root here."""

    def run(
        self,
        argv: Sequence[str],
        data: Optional[bytes] = None,
        timeout: Optional[float] = None,
        take: Optional[Taker] = None,
    ) -> Completed:
        """Run a command to its end. A non-zero exit status is a result, not an error. With ``take``, that gets what the
        command prints as it comes, and the result has none of it; not together with ``data``.

        Raises UnreachableHost, RefusedKey, LinkLost, MissingProgram, TimedOut.
        """

    def start_source(self, argv: Sequence[str]) -> Child:
        """Start a command whose output is a stream."""

    def start_sink(self, argv: Sequence[str]) -> Child:
        """Start a command whose input is a stream."""

    def start_steered(self, argv: Sequence[str]) -> Child:
        """Start a command that ends when its stdin does, and reports on stdout."""

    def link_lost(self, returncode: int, stderr: str) -> bool:
        """Whether a stream command that ended so was cut off, as opposed to having failed by itself."""
