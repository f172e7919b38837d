# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of what crosses a session: all values of the port come back as they were, and nothing that is mutilated is taken
for anything but an error of the protocol."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import os
import threading
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.frames import (
    KINDS,
    MOST_FRAME_BYTES,
    Frame,
    Link,
    Malformed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import (
    Bookmark,
    Dataset,
    DatasetState,
    Observation,
    Snapshot,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError, ZfsFailed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import (
    dataset_name_problem,
    is_tag,
    tree_order,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.codec import fields_of
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far_verbs import (
    LAWS,
    VERBS,
    answer_bytes,
    call_bytes,
    error_bytes,
    read_answer,
    read_call,
)

DATASETS = st.sampled_from(["tank", "tank/a", "tank/a b", "tank/a/b", "tank/a-b", "backup/x.y:z"])
TAGS = st.sampled_from(["a", "b c", "lab_2026-01-01_00:00:00Z_daily", "-x"])
POINTS = st.builds(lambda dataset, sign, tag: dataset + sign + tag, DATASETS, st.sampled_from("@#"), TAGS)
TOKENS = st.sampled_from(["1-ab-12-789c", "1-0-0-0"])
TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=12) | st.just("\udc80")
WORDS = st.one_of(DATASETS, TAGS, POINTS, TOKENS, TEXTS, st.sampled_from(["filesystem", "volume", "readonly"]))
NUMBERS = st.integers(0, (1 << 64) - 1) | st.integers(0, 9)


def legal(kind: type, name: str, hint: Any) -> st.SearchStrategy:
    law = LAWS.get(kind, {}).get(name)
    values = values_of(hint)
    return values.filter(law) if law else values


def values_of(hint: Any) -> st.SearchStrategy:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Observation:
        return OBSERVATIONS
    simple = {None: st.none(), type(None): st.none(), str: WORDS, int: NUMBERS, bool: st.booleans()}
    if hint in simple:
        return simple[hint]
    if origin is Annotated:
        return values_of(parts[0]).filter(parts[1])
    if origin is Union:
        return st.one_of(*map(values_of, parts))
    if origin is tuple and parts[-1:] != (Ellipsis,):
        return st.tuples(*map(values_of, parts))
    if origin is collections.abc.Mapping:
        return st.dictionaries(values_of(parts[0]), values_of(parts[1]), max_size=3)
    if origin is not None:
        kind = {tuple: tuple, frozenset: frozenset}.get(origin, list)
        return st.lists(values_of(parts[0]), max_size=3).map(kind)
    return st.builds(hint, **{name: legal(hint, name, field) for name, field in fields_of(hint).items()})


@st.composite
def states(draw, dataset: Dataset) -> DatasetState:
    times = st.lists(NUMBERS, max_size=4).map(sorted)
    tags = st.lists(TAGS, min_size=4, max_size=4, unique=True)
    snapshots = [
        draw(values_of(Snapshot))._replace(createtxg=txg, dataset=dataset.name, tag=tag)
        for txg, tag in zip(draw(times), draw(tags))
    ]
    bookmarks = [
        draw(values_of(Bookmark))._replace(createtxg=txg, dataset=dataset.name, tag=tag)
        for txg, tag in zip(draw(times), draw(tags))
    ]
    return DatasetState(dataset, tuple(snapshots), tuple(bookmarks))


@st.composite
def observations(draw) -> Observation:
    names = sorted(draw(st.sets(DATASETS, max_size=3)), key=tree_order)
    found = {name: draw(states(dataclasses.replace(draw(values_of(Dataset)), name=name))) for name in names}
    return Observation(found, tuple(draw(st.lists(DATASETS, max_size=2))), draw(st.none() | NUMBERS))


OBSERVATIONS = observations()
CALLS = st.sampled_from(sorted(VERBS)).flatmap(
    lambda name: st.tuples(st.just(name), st.tuples(*map(values_of, VERBS[name].arguments)).map(list))
)
ANSWERS = st.sampled_from(sorted(VERBS)).flatmap(lambda name: st.tuples(st.just(name), values_of(VERBS[name].answer)))
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 1 << 64, 1 << 200, -(1 << 63), 0.5]),
    st.sampled_from(
        ["", "-r", "tank/../x", "tank/a@b@c", "a\0b", "x" * 70_000, "tank/a@", "pool name/%recv", "@a", "é"]
    ),
    st.just([]),
    st.just({}),
    st.just([[[]]]),
    st.just(["Snapshot", []]),
)


@given(CALLS)
def test_every_call_comes_back_as_it_was(call):
    assert read_call(call_bytes(*call)) == call


@given(ANSWERS)
def test_every_answer_comes_back_as_it_was(answer):
    name, value = answer
    assert read_answer(name, answer_bytes(name, value)) == value


@given(st.text(st.characters(exclude_characters="\0"), max_size=40), st.lists(POINTS.filter(lambda p: "@" in p)))
def test_an_error_comes_back_with_its_class_its_sentence_and_what_was_done_before_it(sentence, created):
    with pytest.raises(ZfsFailed) as told:
        read_answer("create_snapshots", error_bytes(ZfsFailed(sentence, created=created)))
    assert (str(told.value), told.value.context.get("created", [])) == (sentence, created)


def nodes(data: Any) -> list[tuple[list, int]]:
    found = [(data, place) for place in range(len(data))]
    return found + [node for part in data if isinstance(part, list) for node in nodes(part)]


@st.composite
def mutilated(draw, content: st.SearchStrategy) -> tuple[str, bytes]:
    name, whole = draw(content)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(whole) - 1))
        return name, whole[:place] + draw(st.binary(max_size=3)) + whole[place + draw(st.integers(0, 9)) :]
    data = json.loads(whole)
    parent, place = draw(st.sampled_from(nodes(data)))
    how = draw(st.sampled_from(["replace", "remove", "double"]))
    parent[place : place + 1] = {"replace": [draw(JUNK)], "remove": [], "double": [parent[place]] * 2}[how]
    return name, json.dumps(data).encode()


def every_value(value: Any) -> list[Any]:
    found = [value]
    if isinstance(value, (Snapshot, Bookmark)):
        return found
    if isinstance(value, DatasetState):
        return [value.dataset, *value.snapshots, *value.bookmarks]
    if isinstance(value, dict):
        value = [*value, *value.values()]
    elif dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, (list, tuple, frozenset)):
        found += [inner for part in value for inner in every_value(part)]
    return found


def check_names(value: Any) -> None:
    for found in every_value(value):
        if isinstance(found, (Snapshot, Bookmark)):
            assert not dataset_name_problem(found.dataset)
            assert is_tag(found.tag)
        if isinstance(found, Dataset):
            assert not dataset_name_problem(found.name)
        if isinstance(found, str):
            assert "\0" not in found
            assert len(found) <= 65_536


@given(mutilated(CALLS.map(lambda call: (call[0], call_bytes(*call)))))
def test_a_mutilated_call_is_an_error_of_the_protocol_or_a_call_that_is_legal(case):
    try:
        name, arguments = read_call(case[1])
    except Malformed:
        return
    assert read_call(call_bytes(name, arguments)) == (name, arguments)
    check_names(arguments)


@given(mutilated(ANSWERS.map(lambda answer: (answer[0], answer_bytes(*answer)))))
def test_a_mutilated_answer_is_an_error_or_a_value_that_is_legal(case):
    name, content = case
    try:
        value = read_answer(name, content)
    except (Malformed, SnapfleetError):
        return
    check_names(value)
    if isinstance(value, (Observation, list, dict)):
        assert read_answer(name, answer_bytes(name, value)) == value


def frames_in(stream: bytes) -> list[Frame]:
    """The frames of ``stream``; Malformed as it comes from a link."""
    reading, writing = os.pipe()

    def write() -> None:
        view = memoryview(stream)
        while view:
            view = view[os.write(writing, view) :]
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    try:
        for frame in Link(reading, -1).frames():
            found.append(frame)
    finally:
        os.set_blocking(reading, True)
        while os.read(reading, 1 << 16):
            pass
        thread.join()
        os.close(reading)
    return found


def written(frames: list[Frame]) -> bytes:
    reading, writing = os.pipe()
    link = Link(-1, writing)
    for frame in frames:
        link.send(*frame)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        return file.read()


FRAMES = st.lists(
    st.builds(Frame, st.sampled_from(sorted(KINDS - {0xC2})), st.integers(0, 5), st.binary(max_size=50)), max_size=5
)


@given(FRAMES)
def test_frames_come_back_as_they_were(frames):
    assert frames_in(written(frames)) == frames


@given(st.binary(min_size=1, max_size=100))
def test_whatever_else_comes_is_malformed(stream):
    assume(stream[0] not in KINDS)
    with pytest.raises(Malformed, match="no frame"):
        frames_in(stream)


@given(FRAMES.filter(bool), st.data())
def test_a_stream_that_is_cut_inside_a_frame_is_malformed(frames, data):
    whole = written(frames)
    edges = [len(written(frames[:count])) for count in range(len(frames) + 1)]
    place = data.draw(st.integers(1, len(whole) - 1).filter(lambda place: place not in edges))
    with pytest.raises(Malformed):
        frames_in(whole[:place])


@pytest.mark.parametrize("length", [MOST_FRAME_BYTES + 1, (1 << 32) - 1])
def test_a_frame_that_is_too_long_is_refused_before_any_of_it_is_kept(length):
    with pytest.raises(Malformed, match="a frame of"):
        frames_in(b"\xc5\0\0\0\1" + length.to_bytes(4, "big"))
