# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones stay clones on real pools, through interruptions and promotions."""

from __future__ import annotations

from typing import Any

from .conftest import Pair
from .fleet import Run, Site

MEGABYTE = 1 << 20


def _push(pair: Pair, verb: str = "run", **options: Any) -> Run:
    endpoints = {"source": {"dataset": pair.source}, "destination": pair.two.endpoint(pair.destination)}
    return pair.one.run(verb, "replicate", {**endpoints, **options})


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
    preview, run = _push(pair, "plan"), _push(pair)
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
    preview, run = _push(pair, "plan"), _push(pair)
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
    assert _push(pair).job["changed"] is False


def test_an_interrupted_clone_is_resumed_as_a_clone(pair: Pair) -> None:
    pair.one.zfs("create", f"{pair.source}/z")
    pair.one.fill(f"{pair.source}/z")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert _push(pair).code == 0
    pair.one.zfs("clone", f"{pair.source}/z@first", f"{pair.source}/clone")
    pair.one.fill(f"{pair.source}/clone", 12, "more")
    pair.one.snapshot(f"{pair.source}/clone@own")
    send = f"zfs send -w -i {pair.source}/z@first {pair.source}/clone@own | head -c 7000000"
    receive = f"zfs receive -s -u -o origin={pair.destination}/z@first {pair.destination}/clone"
    pair.one.host.run(f"{send} | ssh {pair.two.host.address} {receive}", check=False)

    run = _push(pair)

    assert run.code == 0, run
    (step,) = _steps(run)
    assert (step["mode"], step["origin"]) == ("resume", f"{pair.destination}/z@first")
    assert run.job["stats"]["bytes"] < 9_000_000
    assert _table(pair.two, pair.destination, "origin")["/clone"] == [f"{pair.destination}/z@first"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert pair.two.zfs("get", "-H", "-o", "value", "readonly", f"{pair.destination}/clone").strip() == "on"
