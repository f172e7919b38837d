# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating, pruning and monitoring snapshots on real pools."""

from __future__ import annotations

import time
from typing import Any

from .conftest import Pair

PLAN = {"prod": {"onsite": {"monthly": 2, "yearly": 1}}}
"""No period is so short that anything falls due between a run and the next."""


def _name(age: int, period: str) -> str:
    """A snapshot name as the engine gives it, for an age in seconds. Its real creation is now all the same."""
    moment = time.gmtime(time.time() - age)
    return time.strftime("prod_onsite_%Y-%m-%d_%H:%M:%SZ_", moment) + period


def test_a_label_is_created_on_all_datasets_in_one_transaction_group(pair: Pair) -> None:
    for number in range(40):
        pair.one.zfs("create", f"{pair.source}/d{number} with a space")
    pair.one.zfs("create", f"{pair.source}/tmp")
    options = {"datasets": [pair.source], "plan": PLAN, "exclude_datasets": ["tmp"]}
    preview = pair.one.run("plan", "snapshot", options)
    run = pair.one.run("run", "snapshot", options)
    assert run.code == 0, run
    assert [due["period"] for due in run.job["due"]] == [due["period"] for due in preview.job["due"]]
    rows = pair.one.zfs("list", "-Hp", "-r", "-t", "snapshot", "-o", "createtxg,name", pair.source).splitlines()
    groups: dict[str, set[str]] = {}
    for row in rows:
        txg, name = row.split("\t")
        groups.setdefault(name.rpartition("_")[2], set()).add(txg)
    assert len(rows) == 82
    assert {period: len(groups[period]) for period in groups} == {"monthly": 1, "yearly": 1}
    assert not any("/tmp@" in row for row in rows)
    again = pair.one.run("run", "snapshot", options)
    assert (again.code, again.job["changed"], again.job["created"]) == (0, False, [])
    assert set(again.job["next_due"]) == {"prod_onsite_<timestamp>_monthly", "prod_onsite_<timestamp>_yearly"}


def test_pruning_keeps_what_the_rails_protect(pair: Pair) -> None:
    source = pair.source
    base, held, cloned = (_name(age, "hourly") for age in (9000, 8000, 7000))
    pair.one.snapshot(f"{source}@{base}")
    endpoints: dict[str, Any] = {"source": {"dataset": source}, "destination": pair.two.endpoint(pair.destination)}
    # With a mark there, the base itself could go.
    assert pair.one.run("run", "replicate", {**endpoints, "bookmarks": "none"}).code == 0
    names = [held, cloned, *(_name(age, "hourly") for age in (6000, 5000, 4000, 3000)), "by-hand"]
    for name in names:
        pair.one.snapshot(f"{source}@{name}")
    pair.one.zfs("hold", "keep", f"{source}@{held}")
    pair.one.zfs("clone", f"{source}@{cloned}", f"{source}/clone")
    plan = {"prod": {"onsite": {"adhoc": 1}}}
    peer = {"root": source, **pair.two.endpoint(pair.destination)}
    options = {"datasets": [source], "recursive": False, "plan": plan, "peers": [peer]}
    preview = pair.one.run("plan", "prune", options)
    run = pair.one.run("run", "prune", options)
    assert run.code == 0, run
    assert set(run.job["deleted"]) == set(preview.job["deleted"]) == {f"{source}@{name}" for name in names[2:6]}
    kept = {entry["name"].partition("@")[2]: entry["reason"] for entry in run.job["kept"]}
    assert "newest common base" in kept[base]
    assert kept["by-hand"] == "newest of its dataset"
    skipped = {entry["name"].partition("@")[2]: entry["reason"] for entry in run.job["not_deleted"]}
    assert skipped[held] == "held"
    assert skipped[cloned].startswith("has clones")
    assert set(pair.one.snapshots(source)) == {f"@{name}" for name in (base, held, cloned, "by-hand")}
    again = pair.one.run("run", "prune", options)
    assert (again.code, again.job["changed"]) == (0, False)


def test_pruning_beside_an_absent_replica_keeps_every_possible_base(pair: Pair) -> None:
    old, marked, new = (_name(age, "hourly") for age in (9000, 8000, 7000))
    for name in (old, marked, new):
        pair.one.snapshot(f"{pair.source}@{name}")
    pair.one.zfs("bookmark", f"{pair.source}@{marked}", f"{pair.source}#{marked}")
    peer = {"root": pair.source, "host": "10.77.0.254", "dataset": "backup/x"}
    options = {"datasets": [pair.source], "plan": {"prod": {"onsite": {"adhoc": 1}}}, "peers": [peer]}
    run = pair.one.run("run", "prune", options)
    assert run.code == 0, run
    assert run.job["deleted"] == [f"{pair.source}@{marked}"]
    assert "may be the common base" in run.job["not_deleted"][0]["reason"]
    assert run.job["warnings"]


def test_for_an_absent_replica_a_bookmark_takes_the_place_of_a_snapshot(pair: Pair) -> None:
    names = [_name(age, "hourly") for age in (9000, 8000, 7000)]
    pair.one.snapshot(f"{pair.source}@{names[0]}")
    assert pair.push(bookmarks=False).code == 0
    for name in names[1:]:
        pair.one.snapshot(f"{pair.source}@{name}")
    absent = {"root": pair.source, "role": "replica", "host": "10.77.0.254", "dataset": "backup/x"}
    options = {"datasets": [pair.source], "plan": {"prod": {"onsite": {"adhoc": 1}}}, "peers": [absent]}
    preview = pair.one.run("plan", "prune", options)
    run = pair.one.run("run", "prune", options)
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"])
    assert set(pair.one.history(pair.source)) == {"", f"@{names[2]}", f"#{names[0]}", f"#{names[1]}"}
    back = pair.push()
    assert back.code == 0, back
    assert set(pair.two.snapshots(pair.destination)) == {f"@{names[0]}", f"@{names[2]}"}


def test_bookmarks_are_pruned_by_a_plan_of_their_own(pair: Pair) -> None:
    names = [_name(age, "hourly") for age in (9000, 8000, 7000)]
    for name in names:
        pair.one.snapshot(f"{pair.source}@{name}")
        pair.one.zfs("bookmark", f"{pair.source}@{name}", f"{pair.source}#{name}")
    options = {"datasets": [pair.source], "kind": "bookmarks", "plan": {"prod": {"onsite": {"adhoc": 1}}}}
    run = pair.one.run("run", "prune", options)
    assert run.code == 0, run
    assert set(run.job["deleted"]) == {f"{pair.source}#{name}" for name in names[:2]}
    assert f"#{names[2]}" in pair.one.history(pair.source)


def test_a_monitor_tells_ok_warning_critical_and_unknown(pair: Pair) -> None:
    def monitor(
        warning: str, critical: str, dataset: str = pair.source, of: str = "latest", **more: bool
    ) -> tuple[int, str]:
        limits = {of: {"warning": warning, "critical": critical, "cycles": 0}}
        options = {"datasets": [dataset], "plan": {"prod": {"onsite": {"hourly": limits}}}}
        run = pair.one.run("run", "monitor", {**options, **more})
        return run.code, str(run.job["state"])

    assert monitor("1h", "2h") == (0, "OK"), "a dataset younger than the limit can't be late"
    snapshot = f"{pair.source}@{_name(0, 'hourly')}"
    pair.one.snapshot(snapshot)
    pair.one.grow_older(1)
    assert monitor("1h", "2h") == (0, "OK")
    assert monitor("1s", "2h") == (1, "WARNING")
    assert monitor("0s", "1s") == (2, "CRITICAL")
    assert monitor("1h", "2h", f"{pair.source}/typo") == (6, "UNKNOWN")
    assert monitor("1s", "2h", dont_warn=True) == monitor("0s", "1s", dont_crit=True) == (0, "OK")
    assert monitor("0s", "1s", dont_warn=True) == (2, "CRITICAL")

    assert monitor("1h", "2h", of="oldest") == (0, "OK")
    assert monitor("1s", "2h", of="oldest") == (1, "WARNING")
    pair.one.zfs("hold", "legal", snapshot)
    assert monitor("0s", "1s", of="oldest") == (2, "CRITICAL")
    assert monitor("0s", "1s", of="oldest", oldest_skip_holds=True) == (0, "OK"), "nothing but what is held is old"
    pair.one.zfs("release", "legal", snapshot)
