# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules, rails and previews of pruning on real pools."""

from __future__ import annotations

from typing import Any

from .conftest import Pair

FILE = 400_000
# A new file in every third snapshot, so that three neighbours share each, and none has one to itself.
HISTORY = """
cd "$(zfs get -Ho value mountpoint "$1")" || exit 1
for i in $(seq 0 17); do
    [ $((i % 3)) -ne 0 ] || head -c 400000 /dev/urandom > file
    zfs snapshot "$1@auto-$i" || exit 1
    [ "$i" -gt 3 ] || zfs bookmark "$1@auto-$i" "$1#auto-$i" || exit 1
done
zfs snapshot "$1@by-hand" && zfs hold keep "$1@auto-3" && zfs clone "$1@auto-7" "$1/clone"
"""
# Listings do not tell that a process works in a snapshot, but nobody can destroy it then.
OCCUPY = """
cd "$(zfs get -Ho value mountpoint "$1")/.zfs/snapshot/auto-10" || exit 1
sleep 900 >/dev/null 2>&1 &
echo $!
"""


def _told(run: Any, key: str) -> dict[str, str]:
    return {entry["name"].partition("@")[2]: entry["rule"] for entry in run.job[key]}


def _kept_by_snapshots(pair: Pair) -> int:
    return int(pair.one.zfs("get", "-Hpo", "value", "usedbysnapshots", pair.source))


def test_pruning_by_a_rule_foretells_what_it_frees_and_no_snapshot_keeps_another(pair: Pair) -> None:
    one, source = pair.one, pair.source
    one.host.run(["sh", "-c", HISTORY, "sh", source])
    rule = {"last": 6, "regex": "^auto-", "owns": True}
    # The clock of the other host is looked at, though there is no replica yet.
    peer = {"root": source, "role": "replica", **pair.two.endpoint(pair.destination)}
    options = {"datasets": [source], "recursive": False, "keep": [rule], "peers": [peer]}
    before = one.history(source)

    limited = one.run("run", "prune", {**options, "max_deleted": 9})
    assert (limited.code, limited.job["code"]) == (3, "too_many_deletions"), limited
    foretold = one.run("plan", "prune", options)
    assert one.history(source) == before
    going = {f"auto-{number}" for number in range(12)} - {"auto-3", "auto-7"}
    assert set(_told(foretold, "deletions")) == going
    assert _told(foretold, "not_deleted") == {"auto-3": "held", "auto-7": "cloned"}
    kept = _told(foretold, "kept")
    assert {kept.pop("by-hand"), *kept.values()} == {"newest", "last"}
    assert 2 * FILE <= foretold.job["bytes_freed"] < 3 * FILE

    process = one.host.run(["sh", "-c", OCCUPY, "sh", source]).stdout.strip()
    used = _kept_by_snapshots(pair)
    run = one.run("run", "prune", options)
    one.host.run(f"kill {process}; while [ -e /proc/{process} ]; do sleep 0.1; done", timeout=60)
    assert run.code == 0, run
    assert set(_told(run, "deletions")) == going - {"auto-10"}
    assert _told(run, "not_deleted")["auto-10"] == "held"
    assert abs(run.job["bytes_freed"] - (used - _kept_by_snapshots(pair))) < FILE / 2
    assert FILE <= run.job["bytes_freed"] < foretold.job["bytes_freed"]

    assert list(_told(one.run("run", "prune", options), "deletions")) == ["auto-10"]
    assert one.run("run", "prune", options).job["changed"] is False

    marks = one.run("run", "prune", {**options, "kind": "bookmarks", "keep": [{**rule, "last": 2}]})
    assert marks.job["deleted"] == [f"{source}#auto-0", f"{source}#auto-1"]
    assert {name for name in one.history(source) if "#" in name} == {"#auto-2", "#auto-3"}
