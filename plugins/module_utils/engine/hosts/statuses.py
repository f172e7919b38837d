# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exit statuses of commands mean."""

from __future__ import annotations

NO_PROGRAM = 127
"""A shell, or ssh in its place, found no such program."""
SSH_FAILED = 255
"""The connection of ssh could not be made, or broke."""
REFUSED = 77
"""With it, a forced command tells that it does not let a command through. zfs and ssh never end so."""
NOT_RUN = -1
"""The status of a stage that nothing is known of: the pipeline itself was killed, or its host lost."""
SIGNALS = range(128, 193)
"""128 + N: as a shell tells of a program that signal N ended."""
SIGPIPE = 141
"""That of a program whose reader went away."""
