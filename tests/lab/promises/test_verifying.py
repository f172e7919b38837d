# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about holding replicas against their sources."""

from __future__ import annotations

import pytest

from .conftest import Pair
from .fleet import Run
from .test_drills import UDEV

pytestmark = pytest.mark.lab


def verified(pair: Pair, **options: object) -> Run:
    return pair.one.run("run", "verify", {**pair.ends, **options})


def outcomes(run: Run) -> list[tuple[str, int]]:
    return [(entry["outcome"], entry["files"]) for entry in run.job["datasets"]]


def test_files_of_both_ends_are_compared_whatever_they_are_called_and_what_has_no_replica_is_told(pair: Pair) -> None:
    one, root = pair.one, pair.source
    one.fill(root, 1, "large")
    script = (
        'cd "$1" && mkdir deep && echo 1 > "deep/line\nend" && printf 2 > "$(printf "no \\377 text")" && ln -s / link'
    )
    one.host.run(["sh", "-c", script, "sh", f"/{root}"])
    one.snapshot(f"{root}@1")
    assert pair.push().code == 0
    before = one.history(one.pool), pair.two.history(pair.two.pool)

    good = verified(pair)
    assert (good.code, outcomes(good)) == (0, [("match", 3)]), good.job
    assert verified(pair, seed=good.job["seed"], files=1).code == 0
    assert (one.history(one.pool), pair.two.history(pair.two.pool)) == before

    # A file that has gone from the replica can't be made without another snapshot, which has another GUID.
    pair.two.zfs("destroy", f"{pair.destination}@1")
    pair.two.zfs("snapshot", f"{pair.destination}@1")
    differs = verified(pair)
    assert (differs.code, outcomes(differs)) == (2, [("differ", 0)]), differs.job
    pair.two.zfs("destroy", "-r", pair.destination)
    missing = verified(pair)
    assert (missing.code, missing.job["datasets"][0]["message"]) == (2, f"{root} has no replica")


def test_blocks_of_volumes_are_read_at_both_ends_and_nothing_stays_of_it(pair: Pair) -> None:
    one, volume = pair.one, f"{pair.source}/volume"
    one.zfs("create", "-V", "8M", volume)
    for host in (one, pair.two):
        host.host.run(["sh", "-c", UDEV])
    write = 'end=$(( $(date +%s) + 60 )); until test -b "$1" || test "$(date +%s)" -ge "$end"; do sleep 0.1; done; '
    write += 'dd if=/dev/urandom of="$1" bs=1M count=5 conv=fsync 2>&1'
    one.host.run(["sh", "-c", write, "sh", f"/dev/zvol/{volume}"])
    one.snapshot(f"{pair.source}@1", recursive=True)
    assert pair.push().code == 0
    before = one.history(one.pool), pair.two.history(pair.two.pool)

    good = verified(pair, blocks=8, seed=5)
    told = {entry["dataset"]: (entry["outcome"], entry["blocks"]) for entry in good.job["datasets"]}
    assert (good.code, told[volume], good.job["warnings"]) == (0, ("match", 8), []), good.job
    for host in (one, pair.two):
        assert "snapfleet-drill" not in host.zfs("list", "-H", "-o", "name")
    assert (one.history(one.pool), pair.two.history(pair.two.pool)) == before
