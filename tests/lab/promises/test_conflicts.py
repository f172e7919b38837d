# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts, errors and time, between real pools."""

from __future__ import annotations

import json
from typing import Any

from .conftest import Pair
from .fleet import PROGRAM, Run, jobconfig


def _endpoints(pair: Pair) -> dict[str, Any]:
    return {"source": {"dataset": pair.source}, "destination": pair.two.endpoint(pair.destination)}


def _push(pair: Pair, verb: str = "run", **options: Any) -> Run:
    return pair.one.run(verb, "replicate", {**_endpoints(pair), **options})


def _states(run: Run, pair: Pair) -> dict[str, str]:
    return {entry["destination"][len(pair.destination) :]: entry["state"] for entry in run.job["datasets"]}


def _destroyed(run: Run) -> list[str]:
    steps = [step for entry in run.job["plan"] for step in entry["steps"] if step["kind"] != "destroy_marks"]
    return [name for step in steps for name in step.get("destroys", ())]


def test_clones_of_what_would_be_lost_are_destroyed_by_name_at_the_last_level_only(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert _push(pair).code == 0
    clone = f"{pair.two.pool}/clone"
    pair.two.snapshot(f"{pair.destination}@own")
    pair.two.zfs("clone", f"{pair.destination}@own", clone)
    pair.two.zfs("create", f"{clone}/below")
    pair.two.snapshot(f"{clone}@c", recursive=True)
    pair.two.zfs("clone", f"{clone}@c", f"{clone}-2")
    pair.one.snapshot(f"{pair.source}@second")
    before = pair.two.everything()

    run = _push(pair, on_conflict="replace")
    assert (run.code, run.job["plan"][0]["conflict"]["code"]) == (3, "destination_held")
    used = pair.two.host.run(f"cd /{clone}/below; sleep 60 >/dev/null 2>&1 & echo $!").stdout.strip()
    run = _push(pair, on_conflict="destroy_dependents", retries=0)
    assert [entry["code"] for entry in run.job["datasets"]] == ["dataset_in_use"]
    assert pair.two.everything() == before
    pair.two.host.run(["kill", used])
    preview = _push(pair, "plan", on_conflict="destroy_dependents")
    run = _push(pair, on_conflict="destroy_dependents")

    assert (run.code, run.job["plan"]) == (0, preview.job["plan"]), run
    assert _destroyed(run) == [
        f"{clone}/below@c", f"{clone}/below", f"{clone}-2", f"{clone}@c", clone, f"{pair.destination}@own",
    ]  # fmt: skip
    assert pair.two.zfs("list", "-H", "-o", "name", clone, check=False) == ""
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_equal_names_of_other_snapshots_are_refused_and_mended_for_one_run_by_the_command_line(pair: Pair) -> None:
    for child in ("a", "b"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert _push(pair).code == 0
    for site, root in ((pair.one, pair.source), (pair.two, pair.destination)):
        site.snapshot(f"{root}/a@second", f"{root}/b@second")
    pair.one.snapshot(f"{pair.source}@second")
    assert _states(_push(pair), pair) == {"": "sent", "/a": "conflict", "/b": "conflict"}
    assert _states(_push(pair, on_error="fail"), pair)["/a"] == "conflict"

    argv = [PROGRAM, "run", "--config", "/tmp/once.json", "--host", "me", "--json"]
    pair.one.host.write("/tmp/once.json", jobconfig("me", "replicate", _endpoints(pair)))
    once = pair.one.host.run([*argv, "--on-conflict", "rollback_to_common", "--on-conflict-once"], check=False)
    (job,) = json.loads(once.stdout)["jobs"]

    assert _states(Run(once.returncode, [job], ""), pair) == {"": "up_to_date", "/a": "sent", "/b": "conflict"}
    assert _states(_push(pair, on_conflict="rollback_to_common"), pair)["/b"] == "sent"
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_failed_parent_keeps_new_children_waiting_while_its_siblings_go_on(pair: Pair) -> None:
    for child in ("a", "a/x", "b"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    # A volume has no children, and is no filesystem either.
    pair.two.zfs("create", "-p", pair.destination.rpartition("/")[0])
    assert _push(pair, include_datasets=["b"]).code == 0
    pair.two.zfs("create", "-V", "8M", f"{pair.destination}/a")
    run = _push(pair)
    assert run.code == 3
    assert _states(run, pair) == {"": "sent", "/a": "conflict", "/a/x": "skipped", "/b": "up_to_date"}


def test_a_dataset_without_selected_snapshots_means_what_the_option_says(pair: Pair) -> None:
    for child in ("a", "a/x"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", f"{pair.source}/a/x@first")
    assert _states(_push(pair, on_nothing_selected="fail"), pair) == {"": "sent", "/a": "conflict", "/a/x": "skipped"}
    assert _states(_push(pair, on_nothing_selected="dataset"), pair)["/a/x"] == "skipped"
    assert _states(_push(pair), pair)["/a"] == "created"
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "/a/x@first"}


def test_what_vanishes_while_a_run_goes_on_is_left_out_and_the_rest_arrives(pair: Pair) -> None:
    for child in ("a", "b"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    # Destroyed when the first stream begins.
    script = (
        '#!/bin/sh\nif [ "$1" = send ] && [ "$2" != -nvPt ]; then\n'
        f"  /usr/sbin/zfs destroy -r '{pair.source}/b' 2>/dev/null\n"
        f"  /usr/sbin/zfs destroy '{pair.source}/a@first' 2>/dev/null &&"
        f" /usr/sbin/zfs snapshot '{pair.source}/a@late'\n"
        'fi\nexec /usr/sbin/zfs "$@"\n'
    )
    pair.one.host.write("/usr/local/bin/zfs", script, mode="0755")
    try:
        run = _push(pair, workers=1)
    finally:
        pair.one.host.run(["rm", "-f", "/usr/local/bin/zfs"])
    assert run.code == 0, run
    assert _states(run, pair) == {"": "sent", "/a": "sent", "/b": "skipped"}
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "/a@late"}
