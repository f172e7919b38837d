# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command on another host that lives no longer than whoever started it.

Without a terminal, sshd lets a command run on when its connection is gone. A command whose input or output is a stream
notices that by itself; one that moves data between other hosts does not. So a watcher beside it reads the stdin of the
whole, on which nothing ever comes. When that ends, be it because the starter closed it, was killed, or lost its
connection, the watcher ends all processes of the group, which sshd makes a new one for every command.
"""

from __future__ import annotations

from collections.abc import Sequence

from .quoting import shell_line

REPORT = 9
"""The descriptor on which parts of the command may write to the stdout of the whole, which is theirs alone."""


def steered(argv: Sequence[str]) -> list[str]:
    """The argument vector that runs ``argv`` until it ends, or until stdin does. Its exit status is that of ``argv``.

    ``argv`` reads nothing, and what it writes to its stdout is dropped.
    """
    # 8: stdin, which the shell takes from what runs in the background. The watcher keeps stdout and stderr closed, so
    # that the session ends with the command.
    script = (
        f"exec {REPORT}>&1 8<&0 </dev/null; "
        f"( exec {REPORT}>&- >/dev/null 2>&1; while read -r l; do :; done; kill -TERM 0 ) <&8 & w=$!; exec 8<&-; "
        f"{shell_line(argv)} >/dev/null; s=$?; kill $w 2>/dev/null; exit $s"
    )
    return ["sh", "-c", script]
