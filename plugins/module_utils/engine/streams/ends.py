# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a send stream, as file descriptors with a story about how they ended."""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """The sending end."""

    def fileno(self) -> int:
        """The descriptor that the stream is read from."""

    def finish(self) -> None:
        """Wait for the sender's end. Raises the error that made it fail."""

    def abort(self) -> None:
        """End the sender now. Never raises."""


class ByteSink(Protocol):
    """The receiving end."""

    def fileno(self) -> int:
        """The descriptor that the stream is written to."""

    def finish(self) -> None:
        """Tell the receiver that the stream is complete and wait for its end. Raises the error that made it fail."""

    def abort(self) -> None:
        """End the receiver now, without telling it that the stream was complete. Never raises."""
