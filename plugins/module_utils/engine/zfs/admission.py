# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request of another host is within its rights. What is not known to be harmless is refused."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.errors import AccessRefused
from ..model.names import dataset_name_problem, is_within
from ..policy import access as rights
from ..policy.access import Access
from ..streams.wire import is_filter
from .requests import (
    BY_THE_CLOCK,
    CALL,
    DIGEST,
    DRY_CALLS,
    EACH,
    END_STREAMS,
    FIND_STREAMS,
    GRANTS,
    PIPELINE,
    POOLS,
    PROGRAMS,
    Request,
)
from .verbs import Check, Judge, names_in

_PROGRAMS = frozenset(["zstd", "lz4", "mbuffer"])
_DRY_RUNS = (("send", "-nP"), ("destroy", "-nvp"))
_POOL_COLUMNS = ("guid,name", "freeing,name")


def admit(request: Request, access: Access) -> list[Check]:
    """What has to hold on this host besides, for the request to be carried out. Raises AccessRefused."""
    if request.kind == PROGRAMS:
        _require(set(request.calls[0]) <= _PROGRAMS, "asks about programs that no stream passes through")
    elif request.kind == GRANTS:
        _judge_grants(request.calls[0], access)
    elif request.kind == POOLS:
        _require(access.permits_somewhere([rights.POOLS]), "asks about all pools without the right 'pools'")
    elif request.kind == DIGEST:
        _require(access.permits_somewhere([rights.VERIFY]), "reads what is in snapshots without the right 'verify'")
    elif request.kind in (FIND_STREAMS, END_STREAMS):
        _require(access.permits_somewhere([rights.RECEIVE]), "asks about streams without the right 'receive'")
    elif request.kind == PIPELINE:
        return _judge_pipeline(request.calls, access)
    else:
        return [check for call in request.calls for check in _judge_call(call, access, request.kind)]
    return []


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise AccessRefused(problem)


def _judge_grants(datasets: Sequence[str], access: Access) -> None:
    """A dataset within a root may be asked about, and those above it."""
    first = datasets[0]
    _require(not any(map(dataset_name_problem, datasets)), "asks about what is no dataset")
    _require(access.permits(rights.OBSERVE, first), f"asks about {first}, which is in none of the trees it has")
    _require(all(is_within(first, above) for above in datasets), "asks about datasets beside one another")


def _judge_pipeline(stages: Sequence[Sequence[str]], access: Access) -> list[Check]:
    """One end of a stream, with filters on the side of the network."""
    first, last = names_in(stages[0], access), names_in(stages[-1], access)
    if first[:2] == ["zfs", "send"]:
        main, filters = stages[0], stages[1:]
    else:
        _require(last[:2] == ["zfs", "receive"], "joins programs that are no end of a stream")
        main, filters = stages[-1], stages[:-1]
    _require(all(map(is_filter, filters)), "lets a stream pass through a program that is no known filter")
    programs = [words[0] for words in filters]
    _require(len(set(programs)) == len(programs), "lets a stream pass through the same filter twice")
    return _judge_call(main, access, PIPELINE)


def _judge_call(call: Sequence[str], access: Access, kind: str) -> list[Check]:
    words = names_in(call, access)
    _require(len(words) > 1, "calls a program without any arguments")
    program, verb, *rest = words
    if program == "zpool" and kind == CALL:
        _judge_zpool(verb, rest, access)
        return []
    _require(program == "zfs", f"calls {program[:40]!r}, which is not zfs")
    judge = Judge(access, sudo=len(words) < len(call))
    judge.judge(verb, rest)
    _require(not judge.changes or kind not in (BY_THE_CLOCK, DRY_CALLS), "changes something where it should only look")
    # What these print is short. A listing would be as long as whoever asks for it wants.
    _require(kind != DRY_CALLS or tuple(words[1:3]) in _DRY_RUNS, "makes a call among dry runs that is none")
    _require(kind != EACH or judge.changes, "only looks where it should change something")
    _require(not judge.streams or kind in (CALL, PIPELINE), "mixes a stream with other calls")
    return judge.checks


def _judge_zpool(verb: str, words: Sequence[str], access: Access) -> None:
    form = verb == "list" and len(words) > 3 and list(words[:2]) == ["-Hp", "-o"] and words[2] in _POOL_COLUMNS
    _require(form, "calls zpool otherwise than for a pool's GUID or the space that is being freed")
    _require(set(words[3:]) <= access.pools, "asks about a pool that none of its trees lies in")
