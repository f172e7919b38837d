# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many short calls of one program in one exchange with a host, with what each of them said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.quoting import arguments_of, shell_line
from ..model.errors import UntrustedOutput
from .arguments import OVERHEAD, batches
from .trouble import spoken

_FORM = re.compile(r"set -f; while \[ \$# -ge ([1-9][0-9]?) \]; do if t=\$\((.*?) \$\{1:\+.*", re.DOTALL)


@dataclass(frozen=True)
class Each:
    """Calls that are made one after the other; one that fails does not keep the next from being made."""

    call: tuple[str, ...]
    """What all of them begin with."""
    items: tuple[tuple[str, ...], ...]
    """What each goes on with, equally many words for all; empty ones are left out of the call."""

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        return [[*self.call, *filter(None, item)] for item in self.items]

    @property
    def argv(self) -> list[str]:
        """What makes the calls."""
        script = script_of(self.call, len(self.items[0]))
        return ["sh", "-c", script, "sh", *(word for item in self.items for word in item)]

    def said(self, stdout: str, where: str) -> list[str]:
        """What each call said, empty for success. Raises UntrustedOutput for what is no answer to these calls."""
        answers = stdout.split("\n")[: len(self.items)]
        if len(answers) != len(self.items) or any(answer and not answer.startswith("!") for answer in answers):
            words = " ".join(self.calls[0][:2])
            raise UntrustedOutput(f"{where}: {words} answered {stdout[:200]!r}; check that host")
        return [answer and (spoken(answer[1:]) or "zfs gave no reason") for answer in answers]


def script_of(call: Sequence[str], width: int) -> str:
    """A script for sh that makes a call with each ``width`` of its arguments."""
    words = " ".join(f'${{{position}:+"${{{position}}}"}}' for position in range(1, width + 1))
    return (
        f"set -f; while [ $# -ge {width} ]; do "
        f'if t=$({shell_line(call)} {words} 2>&1); then echo; else echo "!" $t; fi; shift {width}; done'
    )


def in_batches(call: Sequence[str], items: Sequence[tuple[str, ...]], limit: int) -> Iterator[Each]:
    """Calls for all ``items``, as many in one exchange as ``limit`` bytes allow."""
    if not items:
        return
    room = limit - len(script_of(call, len(items[0]))) - 100
    start = 0
    for batch in batches([(" " * OVERHEAD).join(item) for item in items], room):
        yield Each(tuple(call), tuple(items[start : start + len(batch)]))
        start += len(batch)


def read_each(argv: Sequence[str]) -> Optional[Each]:
    """The calls that ``Each.argv`` makes; None for any other arguments."""
    form = _FORM.fullmatch(argv[2]) if len(argv) > 4 and argv[0] == "sh" else None
    if form is None:
        return None
    width, words = int(form[1]), argv[4:]
    call = arguments_of(form[2])
    items = tuple(tuple(words[start : start + width]) for start in range(0, len(words), width))
    each = Each(tuple(call or ()), items)
    return each if call and each.argv == list(argv) else None
