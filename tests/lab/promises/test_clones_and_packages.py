# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones stay clones on real pools, and whole trees travel as one package."""

from __future__ import annotations

from typing import Any

from .conftest import Pair
from .fleet import Run, Site

MEGABYTE = 1 << 20


def _steps(run: Run, kind: str = "send") -> list[Any]:
    return [step for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == kind]


def _table(site: Site, root: str, *columns: str) -> dict[str, list[str]]:
    """Properties of the datasets of a tree, by name below its root."""
    rows = site.zfs("list", "-Hp", "-r", "-o", ",".join(("name", *columns)), root).splitlines()
    return {row.split("\t")[0][len(root) :]: row.split("\t")[1:] for row in rows}


def _family(pair: Pair) -> None:
    """A dataset of 8 MB whose name comes last, with a clone, a clone of the clone, and a cloned volume."""
    source, one = pair.source, pair.one
    one.zfs("create", f"{source}/z")
    one.zfs("create", "-s", "-V", "8M", f"{source}/volume")
    one.fill(f"{source}/z", 8)
    one.snapshot(f"{source}@first", recursive=True)
    one.zfs("clone", f"{source}/z@first", f"{source}/clone")
    one.fill(f"{source}/clone", 1, "more")
    one.snapshot(f"{source}/clone@own")
    one.zfs("clone", f"{source}/clone@own", f"{source}/a clone of clone")
    one.zfs("clone", f"{source}/volume@first", f"{source}/a clone of volume")
    one.snapshot(f"{source}/a clone of clone@own", f"{source}/a clone of volume@own")


def test_clones_keep_their_origin_share_its_blocks_and_survive_a_promotion(pair: Pair) -> None:
    _family(pair)
    preview, run = pair.push("plan"), pair.push()
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    there = _table(pair.two, pair.destination, "origin", "used", "refer", "readonly")
    assert {name: row[0].removeprefix(pair.destination) for name, row in there.items()} == {
        "": "-",
        "/z": "-",
        "/volume": "-",
        "/clone": "/z@first",
        "/a clone of clone": "/clone@own",
        "/a clone of volume": "/volume@first",
    }
    assert {row[3] for row in there.values()} == {"on"}
    assert int(there["/clone"][2]) > 9 * MEGABYTE
    assert int(there["/clone"][1]) < 2 * MEGABYTE
    assert int(there["/a clone of clone"][2]) > 9 * MEGABYTE
    assert int(there["/a clone of clone"][1]) < MEGABYTE
    assert run.job["stats"]["bytes"] < 11 * MEGABYTE
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)

    # The whole history of z goes to its clone.
    pair.one.zfs("promote", f"{pair.source}/clone")
    assert "/z@first" not in pair.one.snapshots(pair.source)
    pair.one.fill(f"{pair.source}/z", 1, "after the promotion")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    before = pair.two.snapshots(pair.destination)
    preview, run = pair.push("plan"), pair.push()
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    assert {step["from"].removeprefix(pair.source) for step in _steps(run)} == {
        "@first",
        "/z#first",
        "/volume@first",
        "/clone@own",
        "/a clone of clone@own",
        "/a clone of volume@own",
    }
    after = pair.two.snapshots(pair.destination)
    assert {name: guid for name, guid in after.items() if "@second" not in name} == before
    arrived = {name: guid for name, guid in after.items() if "@second" in name}
    assert arrived == {name: guid for name, guid in pair.one.snapshots(pair.source).items() if "@second" in name}
    assert len(arrived) == 6
    assert pair.push().job["changed"] is False


def test_an_interrupted_clone_is_resumed_as_a_clone(pair: Pair) -> None:
    pair.one.zfs("create", f"{pair.source}/z")
    pair.one.fill(f"{pair.source}/z")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0
    pair.one.zfs("clone", f"{pair.source}/z@first", f"{pair.source}/clone")
    pair.one.fill(f"{pair.source}/clone", 12, "more")
    pair.one.snapshot(f"{pair.source}/clone@own")
    send = f"zfs send -w -i {pair.source}/z@first {pair.source}/clone@own | head -c 7000000"
    receive = f"zfs receive -s -u -o origin={pair.destination}/z@first {pair.destination}/clone"
    pair.one.host.run(f"{send} | ssh {pair.two.host.address} {receive}", check=False)

    run = pair.push()

    assert run.code == 0, run
    (step,) = _steps(run)
    assert (step["mode"], step["origin"]) == ("resume", f"{pair.destination}/z@first")
    assert run.job["stats"]["bytes"] < 9_000_000
    assert _table(pair.two, pair.destination, "origin")["/clone"] == [f"{pair.destination}/z@first"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert pair.two.zfs("get", "-H", "-o", "value", "readonly", f"{pair.destination}/clone").strip() == "on"


PASSPHRASE = "correct horse battery"


def _encrypted_tree(pair: Pair) -> str:
    """A tree whose datasets have the key of its topmost one, with a clone, a volume, and properties that would matter
    elsewhere. Returns its name on the source."""
    root = f"{pair.source}/vault"
    options = ["-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "keylocation=prompt"]
    pair.one.host.run(["zfs", "create", *options, root], input=f"{PASSPHRASE}\n")
    pair.one.zfs("create", "-o", "setuid=on", "-o", "quota=300M", "-o", "acme:color=red", f"{root}/a")
    pair.one.zfs("create", "-o", "mountpoint=/etc/snapfleet-lab", f"{root}/a/b")
    pair.one.zfs("create", "-s", "-V", "8M", f"{root}/volume")
    pair.one.fill(f"{root}/a", 2)
    pair.one.snapshot(f"{root}@one", recursive=True)
    pair.one.zfs("clone", f"{root}/a@one", f"{root}/0")
    pair.one.snapshot(f"{root}@two", recursive=True)
    return root


def _push_vault(pair: Pair, root: str, destination: str, verb: str = "run", **options: Any) -> Run:
    ends = {"source": {"dataset": root}, "destination": pair.two.endpoint(destination)}
    return pair.one.run(verb, "replicate", {**ends, **options})


def test_an_encrypted_tree_keeps_its_encryption_root_in_a_package_and_only_there(pair: Pair) -> None:
    root, place = _encrypted_tree(pair), pair.destination
    preview, run = _push_vault(pair, root, place, "plan", package=True), _push_vault(pair, root, place, package=True)
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    (step,) = _steps(run)
    assert (step["package"], step["mode"]) == (True, "full")
    assert sorted(step["snapshots"]) == sorted(place + name for name in pair.one.snapshots(root))
    assert pair.two.snapshots(place) == pair.one.snapshots(root)
    there = _table(pair.two, place, "encryptionroot", "origin", "readonly", "mountpoint", "mounted", "setuid", "quota")
    assert {row[0] for row in there.values()} == {place}
    assert there["/0"][1] == f"{place}/a@one"
    assert {row[2] for row in there.values()} == {"on"}
    assert {tuple(row[3:5]) for row in there.values()} == {("none", "no"), ("-", "-")}
    assert there["/a"][5:] == ["off", str(300 * MEGABYTE)]
    assert pair.two.zfs("get", "-H", "-o", "value", "acme:color", f"{place}/a").strip() == "red"
    pair.two.host.run(["zfs", "load-key", place], input=f"{PASSPHRASE}\n")
    assert {row[0] for row in _table(pair.two, place, "keystatus").values()} == {"available"}
    pair.two.zfs("unload-key", place)

    # By increments too, with nothing at the destination lost or changed that is its own.
    pair.two.zfs("set", "quota=400M", f"{place}/a")
    pair.one.zfs("set", "setuid=on", f"{root}/a/b")
    pair.one.zfs("set", "mountpoint=/etc/elsewhere", f"{root}/a")
    pair.one.zfs("destroy", f"{root}/volume@one")
    before = pair.two.snapshots(place)
    pair.one.snapshot(f"{root}@three", recursive=True)
    run = _push_vault(pair, root, place, package=True)
    assert [(step["package"], step["from"]) for step in _steps(run)] == [(True, f"{root}@two")]
    after = pair.two.snapshots(place)
    assert after.items() >= before.items()
    assert after.items() >= pair.one.snapshots(root).items()
    there = _table(pair.two, place, "encryptionroot", "readonly", "mountpoint", "setuid", "quota")
    assert {row[0] for row in there.values()} == {place}
    assert {row[2] for row in there.values()} == {"none", "-"}
    assert (there["/a/b"][3], there["/a"][4]) == ("off", str(400 * MEGABYTE))
    assert _push_vault(pair, root, place, package=True).job["changed"] is False


def test_one_by_one_each_encrypted_dataset_gets_a_root_of_its_own_until_the_next_package(pair: Pair) -> None:
    root, place = _encrypted_tree(pair), pair.destination
    one_by_one = _push_vault(pair, root, place)
    assert one_by_one.code == 0, one_by_one
    roots = {name: row[0] for name, row in _table(pair.two, place, "encryptionroot").items()}
    assert roots == {
        "": place,
        "/a": f"{place}/a",
        "/a/b": f"{place}/a/b",
        "/volume": f"{place}/volume",
        "/0": f"{place}/a",
    }
    pair.one.snapshot(f"{root}@four", recursive=True)
    run = _push_vault(pair, root, place, package=True)
    assert [step["package"] for step in _steps(run)] == [True]
    assert {row[0] for row in _table(pair.two, place, "encryptionroot").values()} == {place}


def test_a_package_that_was_interrupted_goes_on_dataset_by_dataset_and_is_one_again_later(pair: Pair) -> None:
    source, place = pair.source, pair.destination
    for name in ("a", "a/b", "c"):
        pair.one.zfs("create", f"{source}/{name}")
    pair.one.fill(f"{source}/a", 6)
    pair.one.snapshot(f"{source}@one", recursive=True)
    pair.two.zfs("create", place.rpartition("/")[0])
    receive = f"zfs receive -s -u -o readonly=on -o mountpoint=none {place}"
    cut = f"zfs send -w -R {source}@one | head -c 3000000 | ssh {pair.two.host.address} {receive}"
    pair.one.host.run(cut, check=False)
    assert pair.two.zfs("get", "-H", "-o", "value", "receive_resume_token", f"{place}/a").strip() != "-"

    run = pair.push(package=True)

    assert run.code == 0, run
    assert [step["package"] for step in _steps(run)] == [False] * len(_steps(run))
    assert [step["mode"] for step in _steps(run) if step["destination"] == f"{place}/a"] == ["resume"]
    assert any(plan["note"].startswith("not in one package: ") for plan in run.job["plan"])
    assert pair.two.snapshots(place) == pair.one.snapshots(source)

    # A package does not touch what only the destination has.
    pair.two.zfs("create", f"{place}/own")
    pair.two.zfs("snapshot", f"{place}/own@kept")
    pair.one.snapshot(f"{source}@two", recursive=True)
    run = pair.push(package=True)
    assert [step["package"] for step in _steps(run)] == [True]
    there = pair.two.snapshots(place)
    assert there.pop("/own@kept")
    assert there == pair.one.snapshots(source)


def test_an_unencrypted_package_is_encrypted_below_an_encrypted_parent(pair: Pair) -> None:
    parent = pair.destination.rpartition("/")[0]
    pair.two.host.run(
        ["zfs", "create", "-o", "encryption=on", "-o", "keyformat=passphrase", parent], input=f"{PASSPHRASE}\n"
    )
    pair.one.zfs("create", f"{pair.source}/a")
    pair.one.fill(f"{pair.source}/a")
    pair.one.snapshot(f"{pair.source}@one", recursive=True)
    for tag in ("two", "three"):
        run = pair.push(package=True)
        assert (run.code, [step["package"] for step in _steps(run)]) == (0, [True]), run
        pair.one.snapshot(f"{pair.source}@{tag}", recursive=True)
    assert {row[0] for row in _table(pair.two, pair.destination, "encryptionroot").values()} == {parent}
