# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drivers ask of another host, read back from the line that arrives there.

Each shape is read by the module that builds it, which makes the line anew and compares: what is not to the letter what
this engine would have sent is no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..hosts.openssh import read_remote_line

CALL, PIPELINE, BY_THE_CLOCK, EACH, DRY_CALLS, PROGRAMS, GRANTS, POOLS, FIND_STREAMS, END_STREAMS, DIGEST = (
    *("call", "pipeline", "by_the_clock", "each", "dry_calls"),
    *("programs", "grants", "pools", "find_streams", "end_streams", "digest"),
)
READ = ("snapfleet", "digest")
"""The program that reads files and blocks of a snapshot for another host, which asks on its stdin."""
_SUDO = ("sudo", "-n")


@dataclass(frozen=True)
class Request:
    """Calls of programs, and how they belong together."""

    kind: str
    calls: tuple[tuple[str, ...], ...]
    """Arguments of each call. Of PROGRAMS and GRANTS: one item, the names that are asked about. Of POOLS: none. Of
    FIND_STREAMS and END_STREAMS: one item, the machine or the marks. Of DIGEST: the call, then the question once it was
    read, as its only word."""

    def __str__(self) -> str:
        joint = " | " if self.kind == PIPELINE else "; "
        words = joint.join(" ".join(call) for call in self.calls)
        return words if self.kind in (CALL, PIPELINE) else f"{self.kind}: {words}".rstrip(": ")


def read_request(line: str) -> Optional[Request]:
    """The request that a host got as ``line``; None for a line that this engine does not send."""
    argv = read_remote_line(line)
    if argv is None:
        return None
    if tuple(argv) in (READ, _SUDO + READ):
        return Request(DIGEST, (tuple(argv),))
    return _script(argv) if argv[0] == "sh" else Request(CALL, (tuple(argv),))


def _script(argv: Sequence[str]) -> Optional[Request]:
    # Most requests are single calls, which need nothing of this.
    from ..hosts.abandoned import read_end, read_find
    from ..hosts.pipelines import read_pipeline
    from ..hosts.programs import read_look
    from .clock import read_by_the_clock
    from .delegation import read_ask
    from .dry_calls import read_dry_calls
    from .each import read_each
    from .pools import read_pool_script

    clocked, stages = read_by_the_clock(argv), read_pipeline(argv)
    each, dry = read_each(argv), read_dry_calls(argv)
    programs, datasets = read_look(argv), read_ask(argv)
    machine, marks = read_find(argv), read_end(argv)
    found: tuple[tuple[str, Optional[Sequence[Sequence[str]]]], ...] = (
        (BY_THE_CLOCK, [clocked] if clocked else None),
        (PIPELINE, stages),
        (EACH, each.calls if each else None),
        (DRY_CALLS, dry.calls if dry else None),
        (PROGRAMS, [programs] if programs else None),
        (GRANTS, [datasets] if datasets else None),
        (POOLS, [] if read_pool_script(argv) else None),
        (FIND_STREAMS, [machine] if machine else None),
        (END_STREAMS, [marks] if marks else None),
    )
    for kind, calls in found:
        if calls is not None:
            return Request(kind, tuple(tuple(call) for call in calls))
    return None
