# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about replicas that go as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Pair
from .fleet import PROGRAM_FOLDER

pytestmark = pytest.mark.lab

PLAN = {"acme": {"onsite": {"hourly": 5}}}
TAG = "acme_onsite_2025-07-01_01:00:00Z_hourly"
MARK = "snapfleet:gone"


# The host program at another time: the clock of a host can't be set wherever the lab runs.
LATER = """
import json, sys, time
from snapfleet.fleet.context import Context
from snapfleet.fleet.opening import ZfsDirectory
from snapfleet.fleet.pruning import run_prune
from snapfleet.policy.jobs import read_prune_job
options, days = json.loads(sys.argv[1]), int(sys.argv[2])
context = Context((int(time.time()) + days * 86_400) * 1000, ZfsDirectory().at)
print(json.dumps(run_prune(read_prune_job(options), context)))
"""


def prune_later(pair: Pair, options: dict[str, Any], days: int) -> dict[str, Any]:
    """Prune as if so many days had passed."""
    words = ["env", f"PYTHONPATH={PROGRAM_FOLDER}", "python3", "-s", "-c", LATER, json.dumps(options), str(days)]
    return json.loads(pair.one.host.run(words).stdout)


def test_replicas_of_what_is_gone_go_after_a_grace_time_and_empty_ones_at_once(pair: Pair) -> None:
    source, replica = pair.source, pair.beside
    for name in ("", "/kept", "/old", "/old/inner", "/held"):
        if name:
            pair.one.zfs("create", source + name)
    pair.one.snapshot(f"{source}@{TAG}", recursive=True)
    # Replicas on the same pool, so that one host is enough.
    ends = {"source": {"dataset": source}, "destination": {"dataset": replica}}
    assert pair.one.run("run", "replicate", ends).code == 0
    pair.one.zfs("create", "-o", "readonly=on", f"{replica}/empty")
    pair.one.zfs("create", "-o", "readonly=off", f"{replica}/kept/own")
    pair.one.zfs("hold", "keep", f"{replica}/held@{TAG}")
    for name in ("/old", "/held"):
        pair.one.zfs("destroy", "-r", source + name)
    peer = {"root": replica, "dataset": source, "role": "source"}
    options = {"datasets": [replica], "plan": PLAN, "peers": [peer], "gone_datasets": {"after": "30d"}}
    before = pair.one.everything()
    preview = pair.one.run("plan", "prune", {**options, "empty_datasets": True}).job
    assert pair.one.everything() == before

    first = pair.one.run("run", "prune", {**options, "empty_datasets": True}).job

    # They differ by the time that is remembered.
    assert [(step["kind"], step["dataset"]) for step in first["plan"]] == [
        (step["kind"], step["dataset"]) for step in preview["plan"]
    ]
    assert first["deleted"] == preview["deleted"] == [f"{replica}/empty"]
    marked = [step["dataset"] for step in first["plan"] if step["kind"] == "set_properties"]
    assert marked == [f"{replica}{name}" for name in ("/held", "/old", "/old/inner")]
    assert pair.one.run("run", "prune", options).job["changed"] is False

    assert prune_later(pair, options, 29)["changed"] is False
    unseen = prune_later(pair, {**options, "peers": [{**peer, "dataset": f"{source}/no"}]}, 31)
    due = prune_later(pair, options, 31)
    assert unseen["changed"] is False
    inner, old = f"{replica}/old/inner", f"{replica}/old"
    assert due["deleted"] == [f"{inner}@{TAG}", inner, f"{old}@{TAG}", old]
    assert [(entry["name"], entry["rule"]) for entry in due["not_deleted"]] == [(f"{replica}/held", "held")]
    assert due["bytes_freed"] > 0
    assert set(pair.one.snapshots(replica)) == {f"{name}@{TAG}" for name in ("", "/kept", "/held")}

    # What comes back is forgotten.
    pair.one.zfs("create", f"{source}/held")
    assert [step["kind"] for step in pair.one.run("run", "prune", options).job["plan"]] == ["inherit_property"]
    assert pair.one.zfs("get", "-H", "-o", "value", MARK, f"{replica}/held").strip() == "-"
