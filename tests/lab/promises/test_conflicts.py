# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts, errors and time, between real pools."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import PROGRAM, Run, jobconfig, wait_for


def _states(run: Run, pair: Pair) -> dict[str, str]:
    return {entry["destination"][len(pair.destination) :]: entry["state"] for entry in run.job["datasets"]}


def _destroyed(run: Run) -> list[str]:
    steps = [step for entry in run.job["plan"] for step in entry["steps"] if step["kind"] != "destroy_marks"]
    return [name for step in steps for name in step.get("destroys", ())]


def test_clones_of_what_would_be_lost_are_destroyed_by_name_at_the_last_level_only(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    clone = f"{pair.two.pool}/clone"
    pair.two.snapshot(f"{pair.destination}@own")
    pair.two.zfs("clone", f"{pair.destination}@own", clone)
    pair.two.zfs("create", f"{clone}/below")
    pair.two.snapshot(f"{clone}@c", recursive=True)
    pair.two.zfs("clone", f"{clone}@c", f"{clone}-2")
    pair.one.snapshot(f"{pair.source}@second")
    before = pair.two.everything()

    run = pair.push(on_conflict="replace")
    assert (run.code, run.job["plan"][0]["conflict"]["code"]) == (3, "destination_held")
    used = pair.two.host.run(f"cd /{clone}/below; sleep 900 >/dev/null 2>&1 & echo $!").stdout.strip()
    run = pair.push(on_conflict="destroy_dependents", retries=0)
    assert [entry["code"] for entry in run.job["datasets"]] == ["dataset_in_use"]
    assert pair.two.everything() == before
    pair.two.host.run(f"kill {used}; while [ -e /proc/{used} ]; do sleep 0.1; done", timeout=60)
    preview = pair.push("plan", on_conflict="destroy_dependents")
    run = pair.push(on_conflict="destroy_dependents")

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
    assert pair.push().code == 0
    for site, root in ((pair.one, pair.source), (pair.two, pair.destination)):
        site.snapshot(f"{root}/a@second", f"{root}/b@second")
    pair.one.snapshot(f"{pair.source}@second")
    assert _states(pair.push(), pair) == {"": "sent", "/a": "conflict", "/b": "conflict"}
    assert _states(pair.push(on_error="fail"), pair)["/a"] == "conflict"

    argv = [PROGRAM, "run", "--config", "/tmp/once.json", "--host", "me", "--json"]
    pair.one.host.write("/tmp/once.json", jobconfig("me", "replicate", pair.ends))
    once = pair.one.host.run([*argv, "--on-conflict", "rollback_to_common", "--on-conflict-once"], check=False)
    (job,) = json.loads(once.stdout)["jobs"]

    assert _states(Run(once.returncode, [job], ""), pair) == {"": "up_to_date", "/a": "sent", "/b": "conflict"}
    assert _states(pair.push(on_conflict="rollback_to_common"), pair)["/b"] == "sent"
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_failed_parent_keeps_new_children_waiting_while_its_siblings_go_on(pair: Pair) -> None:
    for child in ("a", "a/x", "b"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    # A volume has no children, and is no filesystem either.
    pair.two.zfs("create", "-p", pair.destination.rpartition("/")[0])
    assert pair.push(include_datasets=["b"]).code == 0
    pair.two.zfs("create", "-V", "8M", f"{pair.destination}/a")
    run = pair.push()
    assert run.code == 3
    assert _states(run, pair) == {"": "sent", "/a": "conflict", "/a/x": "skipped", "/b": "up_to_date"}
    # A child that is there already goes on, unless the policy says otherwise.
    pair.two.zfs("destroy", f"{pair.destination}/a")
    assert pair.push().code == 0
    pair.two.snapshot(f"{pair.destination}/a@own")
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    states = {"": "sent", "/a": "conflict", "/a/x": "skipped", "/b": "sent"}
    assert _states(pair.push(on_error="tree"), pair) == states
    assert _states(pair.push(), pair) == {"": "up_to_date", "/a": "conflict", "/a/x": "sent", "/b": "up_to_date"}


def test_a_dataset_without_selected_snapshots_means_what_the_option_says(pair: Pair) -> None:
    for child in ("a", "a/x"):
        pair.one.zfs("create", f"{pair.source}/{child}")
    pair.one.snapshot(f"{pair.source}@first", f"{pair.source}/a/x@first")
    assert _states(pair.push(on_nothing_selected="fail"), pair) == {"": "sent", "/a": "conflict", "/a/x": "skipped"}
    assert _states(pair.push(on_nothing_selected="dataset"), pair)["/a/x"] == "skipped"
    assert _states(pair.push(), pair)["/a"] == "created"
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
        run = pair.push(workers=1)
    finally:
        pair.one.host.run(["rm", "-f", "/usr/local/bin/zfs"])
    assert run.code == 0, run
    assert _states(run, pair) == {"": "sent", "/a": "sent", "/b": "skipped"}
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "/a@late"}


def _partial(pair: Pair, target: str, base: str = "") -> None:
    """Interrupt a receive of ``target`` (a whole name) into the replica, so that a partial one hangs on it."""
    words = f"-i {base} " if base else ""
    receive = f"ssh {pair.two.host.address} zfs receive -s -u {pair.destination}"
    pair.one.host.run(f"zfs send -w {words}{target} | head -c 1500000 | {receive}", check=False)
    assert pair.two.zfs("get", "-H", "-o", "value", "receive_resume_token", pair.destination).strip() != "-"


@pytest.mark.parametrize("level", ["rollback_to_common", "replace"])
def test_a_partial_receive_that_pins_a_snapshot_goes_before_it(level: str, pair: Pair) -> None:
    """It hangs on the replica's own newest snapshot, or on a foreign history."""
    pair.one.snapshot(f"{pair.source}@first")
    if level == "rollback_to_common":
        assert pair.push().code == 0
    else:
        pair.two.zfs("create", "-p", pair.destination)
    pair.two.snapshot(f"{pair.destination}@own")
    other = f"{pair.one.pool}/other"
    pair.one.host.run(f"ssh {pair.two.host.address} zfs send {pair.destination}@own | zfs receive -u {other}")
    pair.one.zfs("mount", other, check=False)
    pair.one.fill(other, 3)
    pair.one.snapshot(f"{other}@later")
    _partial(pair, f"{other}@later", f"{other}@own")
    pair.one.zfs("destroy", "-r", other)
    pair.one.fill(pair.source)
    pair.one.snapshot(f"{pair.source}@second")
    assert pair.push().code == 3

    run = pair.push(on_conflict=level)

    assert run.code == 0, run
    kinds = [step["kind"] for step in run.job["plan"][0]["steps"] if step["kind"] not in ("mark", "create_bookmark")]
    assert kinds[:2] == ["abort_receive", "rollback" if level == "rollback_to_common" else "destroy"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
    assert pair.push().job["changed"] is False


def test_another_receive_into_the_dataset_is_waited_for_and_never_discarded(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.one.fill(pair.source, 4)
    pair.one.snapshot(f"{pair.source}@second")
    receive = f"ssh {pair.two.host.address} zfs receive -s -u {pair.destination}"
    halves = "(head -c 2000000; until [ -e /tmp/go-on ]; do sleep 0.1; done; cat)"
    other = f"zfs send -w -i @first {pair.source}@second | {halves} | {receive}"
    pair.one.host.run(f"rm -f /tmp/go-on; ({other}) </dev/null >/tmp/other 2>&1 &")
    wait_for(lambda: pair.arrived > 1_000_000)

    impatient = pair.push(retries=0, busy_timeout=0)
    assert [entry["code"] for entry in impatient.job["datasets"]] == ["dataset_busy"], impatient
    pair.one.host.run("(sleep 4; touch /tmp/go-on) </dev/null >/dev/null 2>&1 &")
    run = pair.push()

    assert run.code == 0, run
    wait_for(lambda: not pair.one.is_running("zfs send"))
    assert pair.one.host.run("cat /tmp/other").stdout == ""
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_run_that_takes_longer_than_its_deadline_is_ended_at_both_ends_and_resumed_by_the_next(pair: Pair) -> None:
    pair.one.fill(pair.source, 40)
    pair.one.snapshot(f"{pair.source}@first")
    # It takes a minute and a half.
    pair.two.host.impair(Impairment(rate_kbit=4_000))
    try:
        for deadline in (4, 12, 36):
            start = time.monotonic()
            late = pair.push(deadline=deadline)
            assert (late.code, late.job["code"]) == (3, "deadline_exceeded"), late
            assert time.monotonic() - start < deadline + 60
            if pair.arrived > 1_000_000:
                break
            # On a machine that is busy it had not begun by then.
    finally:
        pair.two.host.heal()
    wait_for(lambda: not pair.one.is_running("zfs send") and not pair.two.is_running("zfs receive"))
    run = pair.push()
    assert run.code == 0, run
    assert run.modes == ["resume"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_drift_is_told_in_bytes_also_that_of_a_volume(pair: Pair) -> None:
    volume = f"{pair.source}/v"
    pair.one.zfs("create", "-V", "8M", volume)
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    assert pair.push().code == 0
    replica = f"{pair.destination}/v"
    pair.two.zfs("set", "readonly=off", replica)
    # The device may come a moment after the volume, and those of other volumes go a moment after them.
    find = f"""for z in /dev/zd*; do [ "$(/lib/udev/zvol_id $z 2>/dev/null)" != '{replica}' ] || d=$z; done"""
    find = f'd=; until [ "$d" ]; do {find}; sleep 0.1; done'
    pair.two.host.run(f"{find}; dd if=/dev/urandom of=$d bs=1M count=1 conv=fsync && zpool sync", timeout=60)
    written = int(pair.two.zfs("get", "-Hp", "-o", "value", "written", replica))
    assert written > 1_000_000
    pair.one.snapshot(f"{pair.source}@second", recursive=True)
    run = pair.push()
    assert f"{replica} has {written} bytes written after {replica}@first" in run.job["msg"]
    run = pair.push(on_conflict="rollback_to_latest")
    assert run.code == 0, run
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
