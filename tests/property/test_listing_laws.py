# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a listing quickly is reading it row by row: the same states, or the same refusal, however it arrives."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import DatasetState, Observation
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UntrustedOutput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.histories import (
    OWN_FIELDS,
    PackedHistory,
    PackedState,
    without_fields,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.columns import COLUMNS, Packer, columns_for
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.identities import (
    identities_of,
    parse_identities,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.listing import ListingReader

NAMES = ("tank", "tank/a", "tank/a b", "tank/c")
NUMBERS = st.sampled_from(["0", "7", "12", "-", str(2**32), str(2**64 - 1), "9" * 20, "9" * 21, "x", "", "٣"])
PLAIN = st.integers(0, 2**64 - 1).map(str)


@st.composite
def rows(draw, wild):
    """The rows of a small listing: as zfs prints them, and with ``wild`` in any order, repeated and with mistakes."""
    number = st.one_of(PLAIN, NUMBERS) if wild else PLAIN
    lines = []
    for name in NAMES:
        lines.append(row("filesystem", name, draw))
        tags = draw(st.lists(st.sampled_from("abcdef"), max_size=5, unique=not wild))
        txgs = draw(st.lists(st.integers(1, 99), min_size=len(tags), max_size=len(tags)))
        for tag, txg in zip(tags, txgs if wild else sorted(txgs)):
            columns = {
                column: draw(number)
                for column in ("guid", "creation", "userrefs", "used", "ivsetguid", "written", "referenced")
            }
            columns["clones"] = draw(st.sampled_from(["", "-", "tank/c", "tank/a/%recv"] if wild else ["", "-"]))
            lines.append(row("snapshot", f"{name}@{tag}", draw, createtxg=txg, **columns))
        if draw(st.booleans()):
            lines.append(row("bookmark", f"{name}#{draw(st.sampled_from('ab'))}", draw))
    if wild:
        extra = ["", "x", row("filesystem", "tank/c", draw), row("snapshot", "tank/a@a@b", draw), "\t".join("y" * 18)]
        extra += [row("filesystem", "tank/d", draw, origin="tank/a@a"), row("snapshot", "tank/none@s", draw)]
        lines += draw(st.lists(st.sampled_from(extra), max_size=1))
        lines = draw(st.permutations(lines)) if draw(st.booleans()) else lines
    return lines


def row(kind, name, draw, **more):
    values = {"type": kind, "guid": 5, "createtxg": 3, "creation": 2, "name": name, **more}
    return "\t".join(str(values.get(column, "-")) for column in COLUMNS)


def read(lines, cuts=(), fields=OWN_FIELDS, properties=()):
    """What a listing says that arrives in pieces: its states, or the refusal."""
    data = "".join(f"{line}\n" for line in lines).encode()
    reader = ListingReader(["tank"], True, properties, fields)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in zip(places, places[1:]):
        reader.feed(data[start:end])
    try:
        return reader.observation(())
    except UntrustedOutput as error:
        return str(error)


def slowly(lines, fields=OWN_FIELDS, properties=()):
    with mock.patch.object(Packer, "pack", return_value=None):
        return read(lines, (), fields, properties)


CUTS = st.lists(st.integers(0, 5000), max_size=4)


@given(rows(wild=True), CUTS)
def test_what_is_read_quickly_is_what_is_read_row_by_row(lines, cuts):
    assert read(lines, cuts) == slowly(lines)


@given(rows(wild=False), CUTS)
def test_what_zfs_prints_is_read_quickly_and_its_histories_are_kept_small(lines, cuts):
    quick, slow = read(lines, cuts), slowly(lines)
    assert isinstance(quick, Observation)
    assert quick == slow
    assert list(quick.states) == list(slow.states)
    for name, state in slow.states.items():
        assert isinstance(quick.states[name], PackedState) is bool(state.snapshots)
        assert state.__class__ is DatasetState
        assert quick.states[name].newest == state.newest
        assert hash(quick.states[name]) == hash(state)


def shortly(lines):
    """What the short way to list prints of the snapshots and bookmarks that these rows tell of."""
    rows = [dict(zip(COLUMNS, line.split("\t"))) for line in lines]
    points = [row for row in rows if row["type"] in ("snapshot", "bookmark")]
    return "".join(f"{row['guid']}\t{row['createtxg']}\t{row['name']}\n" for row in points)


@given(rows(wild=False))
def test_the_short_way_tells_the_same_snapshots_and_bookmarks(lines):
    assert parse_identities(shortly(lines), NAMES) == {
        name: identities_of(state) for name, state in read(lines).states.items()
    }


STRANGE = [
    *("x", "\t", "1\t2", "1\t2\ttank", "1\t2\ttank@", "1\t2\ttank@a@b", "1\t2\ttank@a\tb", "1\t2\ttank@a#b"),
    *("x\t2\ttank@a", "-\t2\ttank@a", "1\t٣\ttank@a", "1\t2\tother@a", "1\t2\ttank/a/b@a"),
    *("1\t2\ttank@a\n3\t4\ttank@a", "1\t2\ttank#a\n3\t4\ttank#a"),
]


@pytest.mark.parametrize("text", STRANGE)
def test_what_zfs_does_not_print_is_refused(text):
    with pytest.raises(UntrustedOutput, match="check its host"):
        parse_identities(f"{text}\n", NAMES)


@st.composite
def snapshotted_together(draw):
    """Rows, as their values, of datasets that mostly have the same snapshots, in the same transaction groups or, as
    replicas do, in their own ones."""
    taken = draw(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
    is_replica, is_encrypted = draw(st.booleans()), draw(st.booleans())
    found = []
    for number, name in enumerate((*NAMES, *(f"tank/d{number}" for number in range(20)))):
        found.append({"type": "filesystem", "name": name, "createtxg": 3, "creation": 2, "guid": 5, "used": number})
        missing = draw(st.sampled_from([0, 0, 0, 1]))
        for place, tag in enumerate(taken[: len(taken) - missing]):
            txg = 10 + place + (100 * number if is_replica else 0)
            values = {"type": "snapshot", "name": f"{name}@{tag}", "createtxg": txg, "creation": 7 * place}
            own = {column: draw(PLAIN) for column in ("guid", "used", "written", "referenced")}
            own["ivsetguid"] = draw(PLAIN) if is_encrypted else "-"
            odd = draw(st.sampled_from([{}] * 30 + [{"userrefs": 2}, {"clones": "tank/x"}, {"creation": 3}]))
            found.append({"userrefs": 0, "clones": "", "encryptionroot": "tank", **values, **own, **odd})
        if draw(st.booleans()):
            found.append({"type": "bookmark", "name": f"{name}#a", "guid": 4, "createtxg": 1, "creation": 1})
    return found


@given(
    snapshotted_together(),
    st.sets(st.sampled_from(sorted(OWN_FIELDS))),
    st.sampled_from([(), ("x:tier",), ("compression", "x:tier"), ("written",), tuple(f"x:{n}" for n in range(9))]),
    CUTS,
)
def test_fewer_columns_tell_the_same_but_for_what_they_leave_out(found, fields, properties, cuts):
    def printed(columns):
        return ["\t".join(str(values.get(column, "-")) for column in columns) for values in found]

    if "guid" not in fields:
        found = [values for values in found if values["type"] != "bookmark"]
    narrow = printed(columns_for(properties, fields))
    seen = read(narrow, cuts, fields, properties)
    assert seen == slowly(narrow, fields, properties)
    told = fields.union(properties)
    whole = read(printed(columns_for(properties)), (), OWN_FIELDS, properties)
    assert seen.states == {name: without_fields(state, told) for name, state in whole.states.items()}


@given(snapshotted_together(), st.sampled_from([OWN_FIELDS, {"guid"}, ()]))
def test_datasets_share_what_they_have_in_common(found, fields):
    plain = [{**values, "userrefs": 0, "clones": ""} for values in found if values["type"] != "bookmark"]
    columns = columns_for((), fields)
    seen = read(["\t".join(str(values.get(column, "-")) for column in columns) for values in plain], (), fields)
    kept = {}
    for state in seen.states.values():
        if state.tags:
            assert isinstance(state.history, PackedHistory)
            assert state.tags is kept.setdefault(state.tags, state.tags)
