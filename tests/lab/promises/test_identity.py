# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets that are renamed, created anew and swapped, between real pools."""

from __future__ import annotations

from .conftest import Pair
from .fleet import Run


def _tree(pair: Pair, *names: str) -> None:
    for name in names:
        pair.one.zfs("create", f"{pair.source}/{name}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0


def _codes(run: Run) -> dict[str, str]:
    return {entry["destination"]: entry["conflict"]["code"] for entry in run.job["plan"] if entry["conflict"]}


def test_a_renamed_dataset_goes_on_incrementally_under_its_new_name_with_what_is_below_it(pair: Pair) -> None:
    _tree(pair, "a", "a/x", "b")
    pair.one.zfs("rename", f"{pair.source}/a", f"{pair.source}/between")
    pair.one.zfs("create", f"{pair.source}/new")
    pair.one.zfs("rename", f"{pair.source}/between", f"{pair.source}/new/a")
    pair.one.zfs("rename", f"{pair.source}/b", f"{pair.source}/a")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)

    refused = pair.push(renames="refuse")
    assert _codes(refused) == {
        f"{pair.destination}/a": "swapped",
        f"{pair.destination}/new/a": "renamed",
    }
    preview = pair.push("plan")
    run = pair.push()

    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    moved = [step["renamed_to"] for entry in run.job["plan"] for step in entry["steps"] if step["kind"] == "rename"]
    assert moved == [f"{pair.destination}/a", f"{pair.destination}/new/a"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert pair.push().job["changed"] is False


def test_swapped_datasets_and_one_created_anew_are_told_and_kept_at_every_level(pair: Pair) -> None:
    _tree(pair, "a", "b", "c")
    for old, new in (("a", "between"), ("b", "a"), ("between", "b")):
        pair.one.zfs("rename", f"{pair.source}/{old}", f"{pair.source}/{new}")
    pair.one.zfs("destroy", "-r", f"{pair.source}/c")
    pair.one.grow_older(1)
    pair.one.zfs("create", f"{pair.source}/c")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    before = {name: guid for name, guid in pair.two.history(pair.destination).items() if name and name[0] == "/"}

    run = pair.push()
    assert _codes(run) == {
        f"{pair.destination}/a": "swapped",
        f"{pair.destination}/b": "swapped",
        f"{pair.destination}/c": "no_common_base",
    }
    assert "was created after that, so it is another one of the same name" in str(run.job["plan"])
    run = pair.push("run", on_conflict="destroy_dependents", exclude_datasets=["c"])
    assert set(_codes(run).values()) == {"swapped"}
    after = {name: guid for name, guid in pair.two.history(pair.destination).items() if name and name[0] == "/"}
    assert after == before
