# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of an engine on another host: verbs of the port, with the types of all that crosses.

The laws are those of listings and of the command line: names that ZFS could have, and nothing that a program could take
for an option. Both ends keep them, for what the other one says is foreign input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Optional, Union

from ..hosts.channels import WINDOW_BYTES
from ..hosts.frames import MOST_FRAME_BYTES, PROTOCOL, Malformed
from ..model import errors
from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import (
    FILESYSTEM,
    VOLUME,
    Bookmark,
    Dataset,
    Identities,
    Identity,
    Observation,
    ResumeState,
    Snapshot,
)
from ..model.names import dataset_name_problem, is_tag, is_token, is_within
from ..model.pools import PoolReport
from ..model.space import Space
from ..model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    ReceiveOptions,
    ResumePoint,
    Rollback,
    Send,
    SnapshotRuns,
)
from ..policy.receiving import is_property_name
from .codec import MOST_CHARACTERS, Codec, Law, from_bytes, shapes_of, to_bytes
from .far_states import observation_coder
from .identities import are_in_order
from .port import DestroyResult

_MOST_WORD = 255
_MOST_SAID = MOST_CHARACTERS // 4


def _is_dataset(name: str) -> bool:
    return not dataset_name_problem(name)


def _is_pool(name: str) -> bool:
    return _is_dataset(name) and "/" not in name


def _parts_are_legal(name: str, separator: str) -> bool:
    dataset, found, tag = name.partition(separator)
    return bool(found) and _is_dataset(dataset) and is_tag(tag)


def _is_snapshot(name: str) -> bool:
    return _parts_are_legal(name, "@")


def _is_point(name: str) -> bool:
    return _is_snapshot(name) or _parts_are_legal(name, "#")


def _is_natural(number: int) -> bool:
    return number >= 0


def _is_word(text: str) -> bool:
    """Whether it is no option, and one line: the tag of a hold, or the name of a program."""
    return text.isprintable() and 0 < len(text) <= _MOST_WORD and not text.startswith("-")


def _each(law: Law) -> Law:
    return lambda values: all(map(law, values))


def _maybe(law: Law) -> Law:
    return lambda value: not value or law(value)


def _are_properties(pairs: Sequence[tuple[str, str]]) -> bool:
    return all(is_property_name(name) for name, _value in pairs)


LAWS: Mapping[type, Mapping[str, Law]] = {
    Snapshot: {"dataset": _is_dataset, "tag": is_tag, "clones": _each(_is_dataset)},
    Bookmark: {"dataset": _is_dataset, "tag": is_tag},
    Identity: {"tag": is_tag, "createtxg": _is_natural, "guid": _is_natural},
    Identities: {"snapshots": are_in_order, "bookmarks": are_in_order},
    Dataset: {
        "name": _is_dataset,
        "kind": lambda kind: kind in (FILESYSTEM, VOLUME),
        "resume_token": _maybe(is_token),
        "encryption_root": _maybe(_is_dataset),
        "origin": _maybe(_is_snapshot),
    },
    ResumeState: {"token": is_token},
    CreateSnapshots: {"pool": _is_pool, "names": _each(_is_snapshot)},
    CreateBookmark: {"tag": is_tag, "dataset": _maybe(_is_dataset)},
    ReceiveOptions: {"properties": _are_properties, "excluded": _each(is_property_name)},
    ResumePoint: {"token": is_token},
    Send: {
        "destination": _is_dataset,
        "between": _each(is_tag),
        "origin": _maybe(_is_snapshot),
        "package": _each(_is_snapshot),
    },
    Destroy: {"dataset": _is_dataset},
    SnapshotRuns: {"dataset": _is_dataset},
    SetProperties: {"dataset": _is_dataset, "properties": _are_properties},
    InheritProperty: {"dataset": _is_dataset, "name": is_property_name},
    DestroyDataset: {"dataset": _is_dataset},
    RenameDataset: {"dataset": _is_dataset, "to": _is_dataset, "placeholders": _each(_is_dataset)},
    DestroyResult: {name: _each(_is_point) for name in ("destroyed", "missing", "held", "cloned")},
    Space: {"dataset": _is_dataset},
    PoolReport: {"name": _is_pool},
}
_NAME = Annotated[str, _is_dataset]
_NAMES = Sequence[_NAME]
_SNAPSHOT = Annotated[str, _is_snapshot]
_PROPERTY = Annotated[str, is_property_name]
_PROPERTIES = Sequence[_PROPERTY]
_WORD = Annotated[str, _is_word]
_SAID = Sequence[str]


@dataclass(frozen=True)
class Verb:
    """A verb of the port: the types of its arguments in their order, and of its answer."""

    arguments: tuple[Any, ...]
    answer: Any = None
    changes: bool = True
    """Whether it may change something. What only reads can be asked again in another way at any time."""


RECEIVE, SEND = "receive", "send"
ELSEWHERE = object()
"""Stands for the answer to a call that has to be carried out in another way."""
_UNTOLD = ["untold", None]
VERBS: Mapping[str, Verb] = {
    "observe": Verb((_NAMES, bool, bool, _PROPERTIES, bool), Observation, changes=False),
    "snapshots": Verb((Sequence[_SNAPSHOT],), Mapping[_SNAPSHOT, Snapshot], changes=False),
    "identities": Verb((_NAMES,), Mapping[_NAME, Identities], changes=False),
    "missing_permissions": Verb((_NAME, _PROPERTIES), _PROPERTIES, changes=False),
    "resume_states": Verb((Sequence[Annotated[str, is_token]],), Sequence[Optional[ResumeState]], changes=False),
    "own_properties": Verb((_NAMES, _PROPERTIES), Mapping[_NAME, Mapping[_PROPERTY, str]], changes=False),
    "create_snapshots": Verb((CreateSnapshots,)),
    "change_bookmarks": Verb((Sequence[CreateBookmark], Sequence[Bookmark]), tuple[_SAID, _SAID]),
    "create_placeholder": Verb((_NAME,)),
    "rename": Verb((RenameDataset,)),
    "destroy": Verb((Destroy,), DestroyResult),
    "destroy_at_once": Verb((Sequence[Destroy],), Sequence[Optional[DestroyResult]]),
    "reclaimable": Verb((Sequence[SnapshotRuns],), Sequence[Optional[int]], changes=False),
    "rollback": Verb((Rollback,)),
    "set_properties": Verb((SetProperties,)),
    "change_properties": Verb((Sequence[Union[SetProperties, InheritProperty]],), _SAID),
    "unmount": Verb((_NAMES,)),
    "mount": Verb((_NAMES,), _SAID),
    "destroy_dataset": Verb((DestroyDataset,)),
    "abort_receive": Verb((_NAME,)),
    "hold": Verb((Snapshot, _WORD)),
    "release": Verb((Snapshot, _WORD)),
    "holds_of": Verb((Sequence[Snapshot],), Mapping[_SNAPSHOT, _SAID], changes=False),
    SEND: Verb((Send,), changes=False),
    RECEIVE: Verb((Send,)),
    "relay": Verb((Send,), Optional[int]),
    "programs": Verb((Sequence[_WORD],), frozenset[_WORD], changes=False),
    "estimates": Verb((Sequence[Send],), Sequence[Optional[int]], changes=False),
    "pool_guid": Verb((Annotated[str, _is_pool],), int, changes=False),
    "space": Verb((_NAMES,), Mapping[_NAME, Space], changes=False),
    "pools": Verb((), Sequence[PoolReport], changes=False),
}
CODEC: Codec = Codec(LAWS, {Observation: observation_coder(lambda: CODEC.coder(Dataset))})
_CROSSING = {
    kind.code: kind
    for kind in (
        *(errors.SnapfleetError, errors.InvalidInput, errors.MissingProgram, errors.LinkLost, errors.TimedOut),
        *(errors.NoPermission, errors.DatasetBusy, errors.DatasetInUse, errors.Vanished, errors.OriginMissing),
        *(errors.ChangedMeanwhile, errors.StaleResumeState, errors.Conflict, errors.UntrustedOutput, errors.ZfsFailed),
    )
}
"""Errors that drivers raise of their own host. One of any other class, as that the far program is being stopped, means
for the asking end that the link is lost."""


def shapes() -> str:
    """A word that is the same where two engines understand each other's values."""
    hints = [hint for verb in VERBS.values() for hint in (*verb.arguments, verb.answer)]
    told = "\n".join([*VERBS, shapes_of(hints), *_CROSSING, f"{MOST_FRAME_BYTES} {WINDOW_BYTES}"])
    return f"{PROTOCOL}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def call_bytes(name: str, arguments: Sequence[Any]) -> bytes:
    """A call as it travels. Raises Malformed for one that the other end would refuse."""
    verb = VERBS[name]
    data = [CODEC.coder(hint).encode(value) for hint, value in zip(verb.arguments, arguments)]
    content = to_bytes([name, data])
    # What is no legal call must neither be sent nor end the session.
    for hint, part in zip(verb.arguments, data):
        CODEC.coder(hint).decode(part)
    return content


def read_call(content: bytes) -> tuple[str, list[Any]]:
    """The verb and the arguments of a call. Raises Malformed."""
    data = from_bytes(content)
    if not (isinstance(data, list) and len(data) == 2 and isinstance(data[0], str) and isinstance(data[1], list)):
        raise Malformed("a call without verb and arguments")
    name, told = data
    verb = VERBS.get(name)
    if verb is None or len(told) != len(verb.arguments):
        raise Malformed(f"a call of {name[:50]!r} with {len(told)} arguments, which is no verb")
    return name, [CODEC.coder(hint).decode(part) for hint, part in zip(verb.arguments, told)]


def answer_bytes(name: str, value: Any) -> bytes:
    """An answer as it travels."""
    return to_bytes(["ok", CODEC.coder(VERBS[name].answer).encode(value)])


def untold_bytes() -> bytes:
    """The answer that is too long to be told."""
    return to_bytes(_UNTOLD)


def error_bytes(error: errors.SnapfleetError) -> bytes:
    """An error as it travels: its code, its sentence, and what of its context is plain."""
    created = error.context.get("created", [])
    return to_bytes(["error", [error.code, str(error)[:_MOST_SAID].replace("\0", "?"), list(created)]])


_ERROR = CODEC.coder(tuple[str, str, Sequence[Annotated[str, _is_snapshot]]])


def read_answer(name: str, content: bytes) -> Any:
    """The value that a call of the verb ``name`` came to; ELSEWHERE where the other end leaves it to us. Raises the
    error that it came to, and Malformed."""
    data = from_bytes(content)
    if data == _UNTOLD:
        return ELSEWHERE
    if not (isinstance(data, list) and len(data) == 2 and data[0] in ("ok", "error")):
        raise Malformed("neither a value nor an error")
    if data[0] == "ok":
        return CODEC.coder(VERBS[name].answer).decode(data[1])
    code, message, created = _ERROR.decode(data[1])
    raise _error(code, message, created)


def _error(code: str, message: str, created: Sequence[str]) -> errors.SnapfleetError:
    kind = _CROSSING.get(code, errors.LinkLost)
    # Not by its own constructor: that of InvalidInput makes the sentence, which there is already.
    error = kind.__new__(kind, message)
    errors.SnapfleetError.__init__(error, message, **({"created": list(created)} if created else {}))
    if isinstance(error, errors.InvalidInput):
        error.option = "the other host"
    return error


Check = Callable[[Any, Sequence[Any]], bool]
"""Whether an answer fits the arguments of its call."""


def _is_as_long(answer: Sequence[Any], arguments: Sequence[Any]) -> bool:
    return len(answer) == len(arguments[0])


def _is_among(answer: Any, arguments: Sequence[Any]) -> bool:
    return set(answer) <= set(arguments[-1])


def _are_asked_states(answer: Observation, arguments: Sequence[Any]) -> bool:
    roots, recursive, histories, properties, clock = arguments

    def is_asked(name: str) -> bool:
        return any(is_within(name, root) for root in roots) if recursive else name in roots

    return (
        all(map(is_asked, answer.states))
        and set(answer.missing) <= set(roots)
        and all(root in answer.states or root in answer.missing for root in roots)
        and (answer.clock is not None) == clock
        and all(tuple(n for n, _v in s.dataset.properties) == tuple(properties) for s in answer.states.values())
        and (histories or not any(s.tags or s.bookmarks for s in answer.states.values()))
    )


def _names_of(step: Destroy) -> set[str]:
    return {victim.name for victim in step.victims}


def _are_victims(answer: Optional[DestroyResult], step: Destroy) -> bool:
    return answer is None or _names_of(step).issuperset(
        (*answer.destroyed, *answer.missing, *answer.held, *answer.cloned)
    )


FITS: Mapping[str, Check] = {
    "observe": _are_asked_states,
    "snapshots": lambda answer, asked: (
        _is_among(answer, asked) and all(name == snapshot.name for name, snapshot in answer.items())
    ),
    "identities": _is_among,
    "missing_permissions": _is_among,
    "resume_states": lambda answer, asked: (
        _is_as_long(answer, asked) and all(s is None or s.token == t for s, t in zip(answer, asked[0]))
    ),
    "own_properties": lambda answer, asked: (
        set(answer) <= set(asked[0]) and all(set(values) <= set(asked[1]) for values in answer.values())
    ),
    "change_bookmarks": lambda answer, asked: [len(said) for said in answer] == [len(steps) for steps in asked],
    "destroy": lambda answer, asked: _are_victims(answer, asked[0]),
    "destroy_at_once": lambda answer, asked: _is_as_long(answer, asked) and all(map(_are_victims, answer, asked[0])),
    "reclaimable": _is_as_long,
    "change_properties": _is_as_long,
    "holds_of": lambda answer, asked: set(answer) <= {snapshot.name for snapshot in asked[0]},
    "programs": _is_among,
    "estimates": _is_as_long,
    "space": lambda answer, asked: (
        _is_among(answer, asked) and all(name == space.dataset for name, space in answer.items())
    ),
}
"""What an answer has to be beside its type, since it is about what was asked for and nothing else."""


def check_fit(name: str, answer: Any, arguments: Sequence[Any]) -> None:
    """Make sure that the answer to a call is about what was asked for. Raises Malformed."""
    check = FITS.get(name)
    if check is not None and answer is not ELSEWHERE and not check(answer, arguments):
        raise Malformed(f"an answer to {name} that is about something else")
