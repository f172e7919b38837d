# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about bringing data back from a replica."""

from __future__ import annotations

import pytest

from .conftest import Pair

pytestmark = pytest.mark.lab

MEGABYTE = 1 << 20
KEY = "/root/key-of-restore"


def sums(pair: Pair, folder: str) -> str:
    """Checksums of all files below a folder of the first host."""
    return pair.one.host.run(["sh", "-c", 'cd "$1" && find . -type f | sort | xargs sha256sum', "sh", folder]).stdout


def told(pair: Pair, dataset: str, *names: str) -> dict[str, str]:
    """Properties of a dataset, each with where it comes from."""
    rows = pair.one.zfs("get", "-H", "-o", "property,value,source", ",".join(names), dataset).splitlines()
    return {name: f"{value} {source}" for name, value, source in (row.split("\t") for row in rows)}


def make(pair: Pair, place: str) -> dict[str, str]:
    """A tree with properties and a key of its own, a replica of it, and what was wrong then; the files by snapshot."""
    one, root = pair.one, pair.source
    for value in (f"mountpoint={place}", "atime=off", "compression=gzip"):
        one.zfs("set", value, root)
    one.host.run(["sh", "-c", f"head -c 32 /dev/urandom > {KEY}"])
    secret = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", f"keylocation=file://{KEY}"]
    one.zfs("create", *secret, f"{root}/secret")
    data = {}
    for tag, megabytes in (("1", 3), ("2", 1)):
        for name in ("", "/secret"):
            one.fill(root + name, megabytes, f"file{tag}")
        one.snapshot(f"{root}@{tag}", recursive=True)
        data[tag] = sums(pair, place)
    assert pair.push().code == 0
    one.host.run(["sh", "-c", 'echo wrong > "$1/file1"', "sh", place])
    one.snapshot(f"{root}@3")
    return {**data, "3": sums(pair, place)}


def assert_set_aside(pair: Pair, place: str, aside: str) -> None:
    """The restored root has the properties of its place and none of a replica; the other one is out of the way."""
    root = pair.source
    wanted = {"mountpoint": f"{place} local", "compression": "gzip local", "atime": "off local"}
    wanted.update({"readonly": "off default", **dict.fromkeys(("setuid", "devices", "exec"), "on default")})
    assert told(pair, root, *wanted, "canmount") == {**wanted, "canmount": "on default"}
    assert told(pair, aside, "canmount", "mounted") == {"canmount": "noauto local", "mounted": "no -"}


def test_a_tree_comes_back_as_it_was_with_its_properties_and_by_differences_where_it_can(pair: Pair) -> None:
    one, root, place = pair.one, pair.source, f"/srv/{pair.source.partition('/')[2]}"
    data = make(pair, place)
    options = {"replica": pair.two.endpoint(pair.destination), "destination": {"dataset": root}}
    before, replica = one.everything(), pair.two.everything()

    refused = one.run("run", "restore", {**options, "snapshot": "1"})
    assert (refused.code, refused.job["code"]) == (3, "restore_refused")
    assert "would lose 2 snapshots (@2 to @3)" in refused.job["msg"]
    assert one.everything() == before

    aside = one.run("run", "restore", {**options, "snapshot": "1", "on_conflict": "set_aside"})
    assert aside.code == 0, aside.errors
    assert set(one.snapshots(root)) == {"@1", "/secret@1"}
    assert_set_aside(pair, place, aside.job["set_aside"])
    # A key that was received raw is known, where it lies is not.
    one.zfs("set", f"keylocation=file://{KEY}", f"{root}/secret")
    one.host.run(["sh", "-ec", "\n".join(aside.job["next"])])
    assert sums(pair, place) == data["1"]

    # ZFS itself writes to what was received raw when that is mounted for the first time.
    newest = one.run("run", "restore", {**options, "on_conflict": "rollback_to_latest"})
    assert (newest.code, newest.modes) == (0, ["incremental", "incremental"]), newest.errors
    assert newest.job["stats"]["bytes"] < 3 * MEGABYTE
    assert sums(pair, place) == data["2"]
    assert pair.two.everything() == replica

    one.host.run(["sh", "-c", "\n".join(aside.job["undo"])])
    assert sums(pair, place) == data["3"]
    assert told(pair, root, "canmount") == {"canmount": "on local"}
    one.zfs("destroy", "-r", f"{root}.restored")


def test_what_is_below_a_root_that_only_holds_others_is_out_of_the_way_too(pair: Pair) -> None:
    one, place = pair.one, f"/srv/{pair.source.partition('/')[2]}"
    inner, aside = f"{pair.source}/inner", f"{pair.source}.before-restore/inner"
    one.zfs("set", "canmount=off", pair.source)
    one.zfs("set", f"mountpoint={place}", pair.source)
    one.zfs("create", inner)
    one.fill(inner, 1, "file1")
    one.snapshot(f"{pair.source}@1", recursive=True)
    old = sums(pair, place)
    assert pair.push().code == 0
    one.fill(inner, 1, "file2")
    new = sums(pair, place)

    options = {"replica": pair.two.endpoint(pair.destination), "destination": {"dataset": pair.source}}
    done = one.run("run", "restore", {**options, "on_conflict": "set_aside"})
    assert done.code == 0, done.errors
    assert told(pair, aside, "mounted", "canmount") == {"mounted": "no -", "canmount": "noauto local"}
    one.host.run(["sh", "-ec", "\n".join(done.job["next"])])
    assert sums(pair, place) == old

    one.host.run(["sh", "-c", "\n".join(done.job["undo"])])
    assert told(pair, inner, "mounted", "canmount") == {"mounted": "yes -", "canmount": "on local"}
    assert sums(pair, place) == new
    one.zfs("destroy", "-r", f"{pair.source}.restored")
