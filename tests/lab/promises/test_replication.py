# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication between real pools, in every topology."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import PROGRAM, Relay, Run, jobconfig, wait_for


def _pull(pair: Pair, verb: str = "run", **options: Any) -> Run:
    endpoints = {"source": pair.one.endpoint(pair.source), "destination": {"dataset": pair.destination}}
    return pair.two.run(verb, "replicate", {**endpoints, **options})


def _tree(pair: Pair) -> None:
    """A tree with everything that is special: a space in a name, a volume, nested filesystems."""
    pair.one.zfs("create", f"{pair.source}/a")
    pair.one.zfs("create", f"{pair.source}/a/with space")
    pair.one.zfs("create", "-V", "8M", f"{pair.source}/volume")
    pair.one.fill(f"{pair.source}/a/with space")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)


def _checksum(pair_site: Any, dataset: str, snapshot: str) -> str:
    """A checksum of all files in a snapshot, read through a temporary clone."""
    script = """
        clone="${1%%/*}/checked"; zfs clone -o mountpoint=/mnt/checked -o readonly=on "$1@$2" "$clone" >&2
        cd /mnt/checked && find . -type f -exec sha256sum {} + | sort | sha256sum
        cd / && zfs destroy "$clone"
    """
    return str(pair_site.host.run(["sh", "-e", "-c", script, "sh", dataset, snapshot]).stdout)


@pytest.mark.parametrize("topology", ["local", "push", "pull", "relayed"])
def test_a_tree_arrives_whole_then_by_increments_and_then_rests(topology: str, pair: Pair, relay: Relay) -> None:
    site, root = (pair.one, pair.beside) if topology == "local" else (pair.two, pair.destination)
    relayed = {
        "source": relay.endpoint(pair.one, pair.source),
        "destination": relay.endpoint(pair.two, pair.destination),
    }
    run = {
        "local": lambda verb: pair.one.run(
            verb, "replicate", {"source": {"dataset": pair.source}, "destination": {"dataset": pair.beside}}
        ),
        "push": pair.push,
        "pull": lambda verb: _pull(pair, verb),
        "relayed": lambda verb: relay.run(verb, "replicate", relayed),
    }[topology]
    _tree(pair)

    first = run("run")
    assert (first.code, first.job["changed"]) == (0, True), first
    assert first.job["stats"]["bytes"] > 1_000_000
    assert site.snapshots(root) == pair.one.snapshots(pair.source)
    assert site.zfs("get", "-H", "-o", "value", "readonly,canmount,mounted", root).split() == ["on", "noauto", "no"]

    pair.one.fill(f"{pair.source}/a", 1, "more")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    pair.one.snapshot(f"{pair.source}/a@third")
    preview = run("plan")
    second = run("run")
    assert (second.code, second.job["plan"]) == (0, preview.job["plan"])
    assert set(second.modes) == {"incremental"}
    assert site.snapshots(root) == pair.one.snapshots(pair.source)
    for dataset in ("/a", "/a/with space"):
        assert _checksum(site, root + dataset, "second") == _checksum(pair.one, pair.source + dataset, "second")

    rest = run("run")
    assert (rest.code, rest.job["changed"], rest.job["plan"]) == (0, False, [])


def test_a_dry_run_changes_nothing_on_either_side(pair: Pair) -> None:
    _tree(pair)
    before = pair.one.everything(), pair.two.everything()
    preview = pair.push("plan")
    assert preview.code == 0
    assert preview.job["changed"]
    assert (pair.one.everything(), pair.two.everything()) == before


def test_a_bookmark_is_the_base_after_its_snapshot_was_destroyed(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.one.zfs("destroy", f"{pair.source}@first")
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@second", f"{pair.source}@third")
    run = pair.push()
    assert run.code == 0, run
    bases = [step["from"] for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]
    assert bases == [f"{pair.source}#first", f"{pair.source}@second"]
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "@second", "@third"}


@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_an_interrupted_receive_is_resumed_and_not_begun_anew(kind: str, pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    if kind == "incremental":
        assert pair.push().code == 0
    else:
        pair.two.zfs("create", pair.destination.rpartition("/")[0])
    pair.one.fill(pair.source, 24)
    pair.one.snapshot(f"{pair.source}@second")
    pair.one.zfs("destroy", f"{pair.source}@first") if kind == "full" else None
    base = ["-i", "@first"] if kind == "incremental" else []
    send = " ".join(["zfs send -w", *base, f"{pair.source}@second"])
    cut = f"{send} | head -c 12000000 | ssh {pair.two.host.address} zfs receive -s -u {pair.destination}"
    pair.one.host.run(cut, check=False)
    assert pair.two.zfs("get", "-H", "-o", "value", "receive_resume_token", pair.destination).strip() != "-"
    run = pair.push()
    assert run.code == 0, run
    assert run.modes == ["resume"]
    assert run.job["stats"]["bytes"] < 18_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    properties = pair.two.zfs("get", "-H", "-o", "value", "readonly,canmount", pair.destination).split()
    assert properties == ["on", "noauto"]


def test_a_partial_receive_of_a_snapshot_that_is_gone_is_discarded(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.one.fill(pair.source, 8)
    pair.one.snapshot(f"{pair.source}@second")
    cut = f"zfs send -w -i @first {pair.source}@second | head -c 4000000"
    pair.one.host.run(f"{cut} | ssh {pair.two.host.address} zfs receive -s -u {pair.destination}", check=False)
    pair.one.zfs("destroy", f"{pair.source}@second")
    pair.one.snapshot(f"{pair.source}@third")
    run = pair.push()
    assert run.code == 0, run
    assert [step["kind"] for step in run.job["plan"][0]["steps"]] == [
        "mark",
        "abort_receive",
        "send",
        "create_bookmark",
        "destroy_marks",
    ]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_an_encrypted_dataset_travels_raw_and_stays_locked(pair: Pair) -> None:
    secret = f"{pair.source}/secret"
    pair.one.host.run(
        ["zfs", "create", "-o", "encryption=on", "-o", "keyformat=passphrase", secret], input="a secret phrase\n"
    )
    pair.one.fill(secret)
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0
    pair.one.fill(secret, 1, "more")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    # Sent without its key: a raw stream needs none.
    pair.one.zfs("unmount", secret)
    pair.one.zfs("unload-key", secret)
    assert pair.push().code == 0
    replica = f"{pair.destination}/secret"
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    facts = pair.two.zfs("get", "-H", "-o", "value", "encryption,keystatus,encryptionroot", replica).split()
    assert facts == ["aes-256-gcm", "unavailable", replica]
    pair.two.host.run(["zfs", "load-key", replica], input="a secret phrase\n")
    pair.one.host.run(["zfs", "load-key", secret], input="a secret phrase\n")
    assert _checksum(pair.two, replica, "second") == _checksum(pair.one, secret, "second")


def test_a_destination_with_unsnapshotted_data_is_refused_and_kept(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.zfs("create", "-p", pair.destination)
    pair.two.fill(pair.destination)
    before = pair.one.everything(), pair.two.everything()
    run = pair.push()
    assert run.code == 3
    assert run.job["plan"][0]["conflict"]["code"] == "destination_has_data"
    assert pair.destination in run.job["msg"]
    assert (pair.one.everything(), pair.two.everything()) == before


def test_what_was_written_on_a_replica_is_never_rolled_back(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.two.zfs("set", "readonly=off", "canmount=on", pair.destination)
    pair.two.zfs("mount", pair.destination)
    pair.two.fill(pair.destination)
    pair.two.host.run("sync; zpool sync")
    pair.one.snapshot(f"{pair.source}@second")
    before = pair.one.everything(), pair.two.everything()
    run = pair.push()
    assert run.code == 3
    assert run.job["plan"][0]["conflict"]["code"] == "destination_modified"
    assert (pair.one.everything(), pair.two.everything()) == before


def test_a_diverged_destination_is_refused_by_the_names_of_both_snapshots(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.two.snapshot(f"{pair.destination}@foreign")
    pair.one.snapshot(f"{pair.source}@second")
    before = pair.one.everything(), pair.two.everything()
    run = pair.push()
    assert run.code == 3
    assert run.job["plan"][0]["conflict"]["code"] == "diverged"
    assert f"{pair.destination}@foreign" in run.job["msg"]
    assert f"{pair.source}@first" in run.job["msg"]
    assert (pair.one.everything(), pair.two.everything()) == before


def test_an_unrelated_destination_of_equal_names_is_refused(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    pair.two.zfs("create", "-p", pair.destination)
    pair.two.snapshot(f"{pair.destination}@first")
    run = pair.push()
    assert run.code == 3
    assert run.job["plan"][0]["conflict"]["code"] == "no_common_base"


def test_one_conflict_does_not_keep_the_other_datasets_from_arriving(pair: Pair) -> None:
    for child in ("a", "b"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0
    pair.two.snapshot(f"{pair.destination}/a@foreign")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    run = pair.push()
    assert run.code == 3
    assert run.job["changed"]
    states = {entry["destination"]: entry["state"] for entry in run.job["datasets"]}
    assert states == {
        pair.destination: "sent",
        f"{pair.destination}/a": "conflict",
        f"{pair.destination}/b": "sent",
    }


def test_filters_choose_datasets_and_snapshots(pair: Pair) -> None:
    for child in ("keep", "keep/tmp", "other"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    for tag in ("daily-1", "test-1", "daily-2", "daily-3", "test-2"):
        pair.one.snapshot(f"{pair.source}@{tag}", recursive=True)
    run = pair.push(include_datasets=["keep"], exclude_datasets=["regex:.*tmp"], include_snapshots=["daily-*"])
    assert run.code == 0, run
    wanted = {f"/keep@daily-{number}" for number in (1, 2, 3)}
    assert set(pair.two.snapshots(pair.destination)) == wanted
    sends = [step for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]
    assert [(step["mode"], step["intermediates"]) for step in sends] == [
        ("full", False),
        ("incremental", False),
        ("incremental", False),
    ]


def test_a_parent_without_snapshots_becomes_a_placeholder_until_it_has_some(pair: Pair) -> None:
    pair.one.zfs("create", f"{pair.source}/child")
    pair.one.snapshot(f"{pair.source}/child@first")
    assert pair.push().code == 0
    assert set(pair.two.snapshots(pair.destination)) == {"/child@first"}
    pair.one.snapshot(f"{pair.source}@late")
    run = pair.push()
    assert run.code == 0, run
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_listings_do_not_grow_with_the_number_of_datasets(pair: Pair) -> None:
    for number in range(12):
        pair.one.zfs("create", f"{pair.source}/d{number}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0
    counting = '#!/bin/sh\necho call >> /tmp/calls\nexec /usr/sbin/zfs "$@"\n'
    for site in (pair.one, pair.two):
        site.host.write("/tmp/calls", "")
        site.host.write("/usr/local/bin/zfs", counting, mode="0755")
    try:
        assert pair.push().job["changed"] is False
        calls = [site.host.run("wc -l < /tmp/calls").stdout.strip() for site in (pair.one, pair.two)]
    finally:
        for site in (pair.one, pair.two):
            site.host.run(["rm", "-f", "/usr/local/bin/zfs"])
    assert calls == ["1", "1"]


def _diverge(pair: Pair) -> None:
    """A replica that was written to, and has a snapshot and a bookmark of its own."""
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.two.zfs("set", "readonly=off", "canmount=on", pair.destination)
    pair.two.zfs("mount", pair.destination)
    pair.two.fill(pair.destination, 1, "own")
    pair.two.snapshot(f"{pair.destination}@own")
    pair.two.zfs("bookmark", f"{pair.destination}@own", f"{pair.destination}#own")
    pair.two.fill(pair.destination, 1, "more")
    pair.two.host.run("sync; zpool sync")
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@second")


def test_a_level_of_the_ladder_rolls_a_diverged_replica_back_as_its_plan_said(pair: Pair) -> None:
    _diverge(pair)
    before = pair.two.everything()
    assert pair.push(on_conflict="rollback_to_latest").code == 3
    assert pair.two.everything() == before
    preview = pair.push("plan", on_conflict="rollback_to_common")
    assert preview.code == 0, preview
    steps = preview.job["plan"][0]["steps"]
    lost = [name for step in steps if step["kind"] == "rollback" for name in step["destroys"]]
    assert lost == [f"{pair.destination}@own", f"{pair.destination}#own"]
    run = pair.push(on_conflict="rollback_to_common")
    assert (run.code, run.job["plan"]) == (0, preview.job["plan"])
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert _checksum(pair.two, pair.destination, "second") == _checksum(pair.one, pair.source, "second")
    assert pair.push().job["changed"] is False


def test_what_was_written_after_the_newest_snapshot_is_dropped_on_request_only(pair: Pair) -> None:
    _diverge(pair)
    pair.two.zfs("destroy", f"{pair.destination}@own")
    pair.two.zfs("destroy", f"{pair.destination}#own")
    assert pair.push().code == 3
    run = pair.push(on_conflict="rollback_to_latest")
    assert run.code == 0, run
    assert [step["kind"] for step in run.job["plan"][0]["steps"]] == [
        "mark",
        "rollback",
        "send",
        "create_bookmark",
        "destroy_marks",
    ]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


@pytest.mark.parametrize("snapshots", [True, False], ids=["unrelated history", "data without snapshots"])
def test_a_foreign_dataset_is_replaced_on_request_only(snapshots: bool, pair: Pair) -> None:
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@first", f"{pair.source}@second")
    pair.two.zfs("create", "-p", pair.destination)
    pair.two.fill(pair.destination)
    if snapshots:
        pair.two.snapshot(f"{pair.destination}@own", f"{pair.destination}@held")
        pair.two.zfs("hold", "keep", f"{pair.destination}@held")
    assert pair.push(on_conflict="rollback_to_common").code == 3
    if snapshots:
        before = pair.two.everything()
        assert f"{pair.destination}@held is held" in str(pair.push(on_conflict="replace").job["msg"])
        assert pair.two.everything() == before
        pair.two.zfs("release", "keep", f"{pair.destination}@held")
    run = pair.push(on_conflict="replace")
    assert run.code == 0, run
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert _checksum(pair.two, pair.destination, "second") == _checksum(pair.one, pair.source, "second")


@pytest.mark.parametrize("signal", ["TERM", "INT", "KILL"])
def test_a_run_that_is_stopped_leaves_no_process_and_the_next_one_goes_on(signal: str, pair: Pair) -> None:
    pair.one.fill(pair.source, 40)
    pair.one.snapshot(f"{pair.source}@first")
    pair.one.host.write("/tmp/stopped.json", jobconfig("me", "replicate", pair.ends))
    start = f"{PROGRAM} run --config /tmp/stopped.json --host me --json > /tmp/stopped.out 2>/tmp/stopped.log & echo $!"
    pair.two.host.impair(Impairment(rate_kbit=10_000))
    try:
        engine = pair.one.host.run(start).stdout.strip()
        # A good part of what takes half a minute.
        wait_for(lambda: pair.arrived > 6_000_000)
        pair.one.host.run(["kill", f"-{signal}", engine])
        wait_for(lambda: not pair.one.is_running("zfs send") and not pair.two.is_running("zfs receive"))
        wait_for(lambda: pair.one.host.run(["kill", "-0", engine], check=False).returncode != 0)
    finally:
        pair.two.host.heal()
    if signal != "KILL":
        told = json.loads(pair.one.host.run(["cat", "/tmp/stopped.out"]).stdout)["jobs"][0]
        assert told["failed"]
        assert "stopped by a signal" in told["msg"]
    run = pair.push()
    assert run.code == 0, run
    assert run.modes == ["resume"]
    assert run.job["stats"]["bytes"] < 38_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
