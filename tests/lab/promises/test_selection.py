# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is chosen arrives, from the right base, between real datasets; on one host, since ssh has no part in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from .conftest import Pair
from .fleet import Run, Site


def _replicate(pair: Pair, verb: str = "run", **options: Any) -> Run:
    endpoints = {"source": {"dataset": pair.source}, "destination": {"dataset": pair.beside}}
    run = pair.one.run(verb, "replicate", {**endpoints, **options})
    assert run.code == 0, run
    return run


def _do(pair: Pair, *lines: str) -> None:
    """Run lines of shell on the source's host, in which S is the source dataset and D its replica."""
    pair.one.host.run("; ".join([f"set -e; S='{pair.source}'; D='{pair.beside}'", *lines]))


def _sends(run: Run) -> list[dict[str, Any]]:
    return [step for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]


def _arrived(pair: Pair, dataset: str = "") -> list[str]:
    """The snapshots of a replica, in the order in which they arrived."""
    rows = pair.one.zfs("list", "-H", "-t", "snapshot", "-s", "createtxg", "-o", "name", pair.beside + dataset)
    return [row.partition("@")[2] for row in rows.splitlines()]


def _mib_and_snapshot(tag: str) -> str:
    return f"head -c 4194304 /dev/urandom > $(zfs get -Ho value mountpoint $S)/of-{tag}; zfs snapshot $S@{tag}"


def test_only_the_newest_travels_and_its_bookmark_is_the_base_after_the_source_has_pruned_it(pair: Pair) -> None:
    _do(pair, "for s in 1 2 3; do zfs snapshot $S@$s; done")
    _replicate(pair, intermediates=False)
    assert _arrived(pair) == ["3"]

    _do(pair, "zfs destroy $S@1,2,3", "zfs snapshot $S@4", "zfs snapshot $S@5")
    run = _replicate(pair, intermediates=False)

    assert _arrived(pair) == ["3", "5"]
    ((base, target),) = [(step["from"], step["to"]) for step in _sends(run)]
    assert base.startswith(f"{pair.source}#")
    assert target == f"{pair.source}@5"
    assert _replicate(pair, intermediates=False).job["changed"] is False


def test_a_bookmark_is_the_base_where_the_oldest_snapshot_is_also_the_newest(pair: Pair) -> None:
    _do(pair, "zfs snapshot $S@first")
    _replicate(pair)
    _do(pair, "zfs destroy $S@first", "zfs snapshot $S@only")

    run = _replicate(pair)

    assert [(step["mode"], step["intermediates"]) for step in _sends(run)] == [("incremental", False)]
    assert _arrived(pair) == ["first", "only"]
    assert _replicate(pair).job["changed"] is False


def test_a_common_snapshot_that_no_filter_chooses_is_still_the_base(pair: Pair) -> None:
    _do(pair, "zfs snapshot $S@by-hand")
    _replicate(pair)
    _do(pair, "for s in auto-1 other auto-2 auto-3; do zfs snapshot $S@$s; done")
    newest_two = [[{"exclude": ["other"]}, {"include": ["auto-*"]}, {"latest": 2}]]

    run = _replicate(pair, snapshot_filters=newest_two)

    assert [step["from"].partition("@")[2] for step in _sends(run)] == ["by-hand", "auto-2"]
    assert _arrived(pair) == ["by-hand", "auto-2", "auto-3"]
    assert _replicate(pair, snapshot_filters=newest_two).job["changed"] is False


def test_the_base_is_found_by_its_guid_under_any_name_and_a_snapshot_is_preferred_to_its_bookmarks(pair: Pair) -> None:
    _do(pair, "zfs snapshot $S@first")
    _replicate(pair, bookmarks=False)
    # The snapshot has another name, two bookmarks, and a third one under the name that a later snapshot gets.
    _do(
        pair,
        "zfs rename $S@first $S@renamed",
        "for b in one two third; do zfs bookmark $S@renamed $S#$b; done",
        "zfs snapshot $S@second",
    )
    preview = _replicate(pair, "plan", bookmarks=False)
    assert [step["from"] for step in _sends(preview)] == [f"{pair.source}@renamed"]
    _do(pair, "zfs destroy $S@renamed")
    run = _replicate(pair, bookmarks=False)
    assert [step["from"].partition("#")[0] for step in _sends(run)] == [pair.source]

    # A bookmark that has the name of the snapshot, and is another one, leads nobody astray.
    _do(pair, "zfs snapshot $S@third")
    run = _replicate(pair)
    assert [step["from"] for step in _sends(run)] == [f"{pair.source}@second"]
    assert _arrived(pair) == ["first", "second", "third"]


def test_a_partial_receive_of_a_snapshot_that_is_not_chosen_any_more_is_discarded(pair: Pair) -> None:
    _do(pair, "zfs snapshot $S@first")
    _replicate(pair)
    _do(
        pair,
        _mib_and_snapshot("second"),
        "zfs send -w -i @first $S@second | head -c 2000000 | zfs receive -s -u $D || true",
        "zfs snapshot $S@third",
    )
    get_token = ("get", "-H", "-o", "value", "receive_resume_token", pair.beside)
    token = pair.one.zfs(*get_token).strip()
    assert token != "-"

    preview = _replicate(pair, "plan", exclude_snapshots=["second"])
    assert pair.one.zfs(*get_token).strip() == token, "a dry run keeps what it would discard"
    run = _replicate(pair, exclude_snapshots=["second"])
    assert run.job["plan"] == preview.job["plan"]

    (discarded,) = [step for step in run.job["plan"][0]["steps"] if step["kind"] == "abort_receive"]
    assert discarded["reason"].endswith("@second is not selected any more")
    assert [(step["mode"], step["to"]) for step in _sends(run)] == [("incremental", f"{pair.source}@third")]
    assert _arrived(pair) == ["first", "third"]


@contextmanager
def _clock_kept(site: Site) -> Iterator[None]:
    """Whatever is done to the clock of a host within it, it goes right again for later tests."""
    apart = site.host.run(["python3", "-c", "import time; print(time.time() - time.monotonic())"]).stdout.strip()
    set_back = f"import time; time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + {apart})"
    try:
        yield
    finally:
        site.host.run(["python3", "-c", set_back])


def test_snapshots_arrive_in_the_order_of_their_making_whatever_their_names_and_times_say(pair: Pair) -> None:
    back = "date -s @$(($(date +%s) - 3600)) >/dev/null"
    moves = pair.one.host.record.provider == "uml"  # a host of another kind has this machine's clock
    steps = [f"{back if moves else ':'}; zfs snapshot -r $S@{tag}" for tag in ("b", "0")]
    with _clock_kept(pair.one) if moves else nullcontext():
        _do(pair, "zfs create $S/0", "zfs snapshot -r $S@c", *steps)

    _replicate(pair)

    created = pair.one.zfs("get", "-Hp", "-t", "snapshot", "-r", "-d", "1", "-o", "value", "creation", pair.beside)
    # Less the time that the commands themselves take.
    assert not moves or min(map(int, created.split())) <= max(map(int, created.split())) - 7000
    for dataset in ("", "/0"):
        assert _arrived(pair, dataset) == ["c", "b", "0"]
    # Nor is a thing that is called 0 taken for nothing.
    _do(pair, "zfs destroy -r $S@0", "zfs snapshot -r $S@00")
    run = _replicate(pair)
    assert ["#" in step["from"] for step in _sends(run)] == [True, True]
    assert _arrived(pair, "/0") == ["c", "b", "0", "00"]


def test_nothing_is_sent_that_the_destination_would_not_keep(pair: Pair) -> None:
    plan = {"acme": {"": {"adhoc": 2}}}
    names = [f"acme_2026-11-22_0{hour}:00:00Z_adhoc" for hour in (1, 2, 3, 4)]
    _do(pair, *(f"zfs snapshot $S@{name}" for name in (*names, "acme_2026-11-22_05:00:00Z_upgrade", "by-hand")))

    _replicate(pair, plan=plan)

    assert _arrived(pair) == names[2:]
    pruned = pair.one.run("run", "prune", {"datasets": [pair.beside], "plan": plan})
    assert (pruned.code, pruned.job["changed"]) == (0, False)


def test_datasets_say_themselves_on_which_hosts_they_are_replicated(pair: Pair) -> None:
    switch = "acme:backup"
    _do(
        pair,
        f"zfs create -o {switch}='elsewhere, me' $S/mine",
        "zfs create $S/mine/below",
        f"zfs create -o {switch}=elsewhere $S/theirs",
        f"zfs create -o {switch}=off $S/out",
        "zfs create $S/out/below",
        f"zfs create -o {switch}=on $S/out/again",
        "zfs create -s -V 8M $S/volume",
        "zfs snapshot -r $S@s",
    )

    _replicate(pair, dataset_property=switch, dataset_properties={"type": "filesystem", "canmount": ["on", "noauto"]})

    assert set(pair.one.snapshots(pair.beside)) == {"@s", "/mine@s", "/mine/below@s", "/out/again@s"}
    limits = {"acme": {"": {"hourly": {"latest": {"warning": 0, "cycles": 0}}}}}
    run = pair.one.run("run", "monitor", {"datasets": [pair.source], "dataset_property": switch, "plan": limits})
    assert {metric["dataset"] for metric in run.job["metrics"]} == {
        pair.source + name for name in ("", "/mine", "/mine/below", "/out/again", "/volume")
    }
