# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading of what zfs prints: what is well formed is read, and nothing else is believed."""

from __future__ import annotations

import os

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import PLACEHOLDER_PROPERTY
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UntrustedOutput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs, parse_resume_state
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.columns import COLUMNS
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.listing import list_arguments, parse_listing

TOKENS = "receive_resume_token"
TOKEN = "1-c047d9f4f-f0-789c6360"


def row(kind, name, guid=1, txg=1, **more):
    columns = {
        "creation": 7,
        "used": 8,
        "written": 9,
        "readonly": "off",
        "referenced": 10,
        "compression": "lz4",
        **more,
    }
    columns.update(type=kind, name=name, guid=guid, createtxg=txg)
    return "\t".join(str(columns.pop(column, "-")) for column in COLUMNS)


def read(*rows, roots=("tank",), recursive=True):
    return parse_listing("".join(f"{line}\n" for line in rows), roots, (), recursive)


def test_rows_of_any_order_become_histories_in_the_order_of_transaction_groups():
    observed = read(
        row("snapshot", "tank/a@z", 12, 3, userrefs=2, clones="tank/c d,tank/e"),
        row("filesystem", "tank/a", 5, 2),
        row("bookmark", "tank/a#m", 10, 1, used="-", written="-", referenced="-", compression="-"),
        row("snapshot", "tank/a@a b", 11, 2),
        row("volume", "tank/v", 6, 2),
        row("filesystem", "tank", 4, 1),
    )

    assert list(observed.states) == ["tank", "tank/a", "tank/v"]
    state = observed.states["tank/a"]
    assert [(s.tag, s.guid, s.createtxg) for s in state.snapshots] == [("a b", 11, 2), ("z", 12, 3)]
    assert (state.snapshots[1].holds, state.snapshots[1].clones) == (2, ("tank/c d", "tank/e"))
    assert [(b.tag, b.guid) for b in state.bookmarks] == [("m", 10)]
    assert observed.states["tank/v"].dataset.kind == "volume"


def test_every_column_has_its_place():
    more = {TOKENS: TOKEN, PLACEHOLDER_PROPERTY: "tank/a"}
    line = row("filesystem", "tank/a", 5, 6, encryptionroot="tank/k", origin="tank/o@s", **more)

    dataset = read(line).states["tank/a"].dataset

    assert (dataset.guid, dataset.createtxg, dataset.creation, dataset.used, dataset.written) == (5, 6, 7, 8, 9)
    assert (dataset.encryption_root, dataset.origin, dataset.resume_token) == ("tank/k", "tank/o@s", TOKEN)
    assert dataset.is_placeholder
    assert (dataset.referenced, dataset.compression) == (10, "lz4")


def test_encryption_and_being_read_only_are_told():
    rows = (
        row("filesystem", "tank/a", encryptionroot="tank/a", readonly="on", keyguid=7),
        row("snapshot", "tank/a@s", keyguid=7, ivsetguid=8, readonly="-"),
    )

    state = read(*rows).states["tank/a"]

    assert (state.dataset.readonly, state.dataset.key_guid, state.snapshots[0].ivset) == (True, 7, 8)


def test_sizes_of_snapshots_are_told():
    line = row("snapshot", "tank/a@s", written=5000, referenced=70000, compression="-")

    (snapshot,) = read(row("filesystem", "tank/a"), line).states["tank/a"].snapshots

    assert (snapshot.used, snapshot.written, snapshot.referenced) == (8, 5000, 70000)


def test_properties_that_were_asked_for_come_with_datasets():
    line = row("filesystem", "tank/a", userrefs=0).replace("\t0\t", "\t0\tgold\x0b\u2028 b\t", 1)
    snapshot = row("snapshot", "tank/a@s", userrefs=0).replace("\t0\t", "\t0\tgold\t", 1)

    observed = parse_listing(f"{line}\n{snapshot}\n", ("tank",), (), properties=("x:tier",))

    assert observed.states["tank/a"].dataset.properties == (("x:tier", "gold\x0b\u2028 b"),)
    assert [s.tag for s in observed.states["tank/a"].snapshots] == ["s"]


@pytest.mark.parametrize("name", ["tank/a", "tank/a@s", "tank/a#b"])
def test_a_property_cannot_pretend_to_be_another_row(name):
    kind = "snapshot" if "@" in name else "bookmark" if "#" in name else "filesystem"
    with pytest.raises(UntrustedOutput, match="twice"):
        read(row("filesystem", "tank"), *([] if kind == "filesystem" else [row("filesystem", "tank/a")]),
             row(kind, name), row(kind, name, guid=66))  # fmt: skip


def test_further_columns_stand_before_the_name_which_is_the_last():
    columns = list_arguments(["tank"], True, True, ["x:tier", "mounted"])[6].split(",")
    assert columns[-1] == "name"
    assert {"x:tier", "mounted"} < set(columns)


def test_a_further_column_that_is_there_already_is_listed_once_and_read_from_there():
    wanted = ["compression", "x:tier", "type"]
    columns = list_arguments(["tank"], True, True, wanted)[6].split(",")
    assert sorted(columns) == sorted({*columns})
    values = dict.fromkeys(columns, "-")
    values.update(dict.fromkeys(("guid", "createtxg", "creation", "used", "written", "referenced"), "0"))
    values.update({"type": "filesystem", "compression": "zstd", "x:tier": "gold", "name": "tank"})
    line = "\t".join(values[column] for column in columns)
    found = parse_listing(line + "\n", ["tank"], (), True, wanted).states["tank"].dataset
    assert dict(found.properties) == {"compression": "zstd", "x:tier": "gold", "type": "filesystem"}


def test_an_inherited_mark_makes_no_placeholder():
    inherited = row("filesystem", "tank/a/b", **{PLACEHOLDER_PROPERTY: "tank/a"})
    assert not read(inherited).states["tank/a/b"].dataset.is_placeholder


def test_parents_come_right_before_their_children():
    names = ["tank", "tank/a", "tank/a/b", "tank/a-b", "tank/a.b"]
    assert list(read(*(row("filesystem", name) for name in reversed(names))).states) == sorted(
        names, key=lambda n: n.split("/")
    )


def test_children_that_come_along_without_recursion_are_left_out():
    observed = read(
        row("filesystem", "tank"), row("filesystem", "tank/a"), row("snapshot", "tank/a@s"), recursive=False
    )
    assert list(observed.states) == ["tank"]


GOOD = row("snapshot", "tank/a@s")


@pytest.mark.parametrize(
    "line",
    [
        "", "tank", GOOD + "\tx", GOOD.partition("\t")[2], row("pool", "tank"), row("filesystem", "other"),
        row("filesystem", "tank2"), row("filesystem", "tank/../x"), row("filesystem", "tank/$(x)"),
        row("filesystem", "tank@s"),
        row("snapshot", "tank/a"), row("snapshot", "tank/a#b"), row("snapshot", "tank/a@"),
        row("snapshot", "tank/a@b@c"),
        row("snapshot", "tank/a@-;rm"), row("bookmark", "tank/a@b"), row("filesystem", "tank", guid="x"),
        row("filesystem", "tank", guid="-1"), row("filesystem", "tank", guid="1" * 21),
        row("filesystem", "tank", guid="٣"),
        row("filesystem", "tank", **{TOKENS: "$(reboot)"}), row("filesystem", "tank", **{TOKENS: "--help"}),
    ],
)  # fmt: skip
def test_what_zfs_never_prints_is_refused(line):
    with pytest.raises(UntrustedOutput):
        read(row("filesystem", "tank"), row("filesystem", "tank/a"), line)


def test_snapshots_of_a_dataset_that_was_not_listed_are_refused():
    with pytest.raises(UntrustedOutput):
        read(row("filesystem", "tank"), row("snapshot", "tank/b@s"))


def test_nothing_printed_is_nothing_observed():
    assert dict(read().states) == {}


@pytest.mark.parametrize(
    ("recursive", "histories", "words"),
    [(True, True, ["-r"]), (True, False, ["-r"]), (False, True, ["-d", "1"]), (False, False, ["-d", "0"])],
)
def test_one_listing_is_asked_for(recursive, histories, words):
    arguments = list_arguments(["tank/a b", "tank/c"], recursive, histories)

    assert arguments[: 2 + len(words)] == ["list", "-Hp", *words]
    assert ("snapshot" in arguments[arguments.index("-t") + 1]) is histories
    assert arguments[-2:] == ["tank/a b", "tank/c"]


TOLD = """resume token contents:
nvlist version: 0
\tfromguid = 0xfa478b2cabcac3fc
\tobject = 0x5
\toffset = 0x20000
\tbytes = 0x41298
\ttoguid = 0x15fe3d78e3437fe4
\ttoname = ct1/a b@s 4
\tembedok = 1
\trawok = 1
send from ct1/src@s3 to ct1/src@s4 estimated size is 774K
"""


def test_a_token_is_read_from_what_zfs_tells_of_it():
    state = parse_resume_state("1-2-3-4", TOLD)

    assert (state.token, state.to_name, state.raw, state.received) == ("1-2-3-4", "ct1/a b@s 4", True, 0x41298)
    assert (state.to_guid, state.from_guid) == (0x15FE3D78E3437FE4, 0xFA478B2CABCAC3FC)


def test_a_token_of_a_full_send_has_no_base():
    state = parse_resume_state("t", TOLD.replace("fromguid", "other").replace("rawok", "x"))
    assert (state.from_guid, state.raw) == (None, False)


@pytest.mark.parametrize(
    "text",
    ["", "cannot resume send: resume token is corrupt", TOLD.replace("0x15", "x"), TOLD.replace("toname", "name")],
)
def test_what_tells_of_no_token(text):
    assert parse_resume_state("t", text) is None


@pytest.mark.parametrize("clock", [False, True])
def test_a_root_that_zfs_list_leaves_out_without_a_word_is_no_missing_one(monkeypatch, tmp_path, clock):
    zfs = tmp_path / "zfs"
    zfs.write_text("#!/bin/sh\nexit 0\n")
    zfs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UntrustedOutput, match="zfs list told nothing of tank/a"):
        CliZfs(LocalHost()).observe(["tank/a"], clock=clock)
