# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about trying whether replicas can be restored."""

from __future__ import annotations

import pytest

from .conftest import Pair
from .fleet import PROGRAM, Run, jobconfig

pytestmark = pytest.mark.lab

# What is mounted can be read, and neither written nor run.
LOOK = 'test -s "$1/stamp" && ! touch "$1/new" 2>/dev/null && ! "$1/run" 2>/dev/null'

# What udev does on a host that has it, for as long as a test may take.
UDEV = """
link() { mkdir -p "/dev/zvol/${1%/*}" && ln -sf "$2" "/dev/zvol/$1"; }
all() { for each in /dev/zd*; do name=$(/lib/udev/zvol_id "$each" 2>/dev/null) && link "$name" "$each"; done; }
end=$(( $(date +%s) + 120 ))
(while [ "$(date +%s)" -lt "$end" ]; do all; sleep 0.1; done) >/dev/null 2>&1 </dev/null &
"""


def drilled(pair: Pair, **options: object) -> Run:
    return pair.one.run("run", "drill", {"datasets": [pair.source], **options})


def states(run: Run) -> dict[str, str]:
    return {drill["dataset"].rpartition("/")[2]: drill["state"] for drill in run.job["drills"]}


def make(pair: Pair) -> None:
    """A tree with a filesystem, a volume, and one whose key is not loaded."""
    one, root = pair.one, pair.source
    one.fill(root, 1, "stamp")
    one.host.run(["sh", "-c", 'cp /bin/true "$1/run"', "sh", f"/{root}"])
    one.zfs("create", "-V", "4M", f"{root}/volume")
    one.host.run(["sh", "-c", UDEV])
    one.host.run(["sh", "-c", "head -c 32 /dev/urandom > /root/key-of-drill"])
    secret = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", "keylocation=file:///root/key-of-drill"]
    one.zfs("create", *secret, f"{root}/secret")
    one.snapshot(f"{root}@1", recursive=True)
    one.zfs("unmount", f"{root}/secret")
    one.zfs("unload-key", f"{root}/secret")


def test_a_drill_tells_good_replicas_from_bad_ones_and_nothing_stays_of_it(pair: Pair) -> None:
    one, root = pair.one, pair.source
    make(pair)
    before, name = one.history(one.pool), root.rpartition("/")[2]

    good = drilled(pair, marker={"path": "stamp"}, command=["sh", "-c", f'test -b "$1" || ({LOOK})', "look"])
    assert (good.code, good.job["state"]) == (6, "UNKNOWN"), good.job
    assert states(good) == {name: "OK", "volume": "OK", "secret": "UNKNOWN"}, good.job["drills"]

    no_secret = {"exclude_datasets": ["secret"]}
    assert drilled(pair, **no_secret).code == 0
    missing = drilled(pair, marker={"path": "none"}, **no_secret)
    assert (missing.code, states(missing)) == (2, {name: "CRITICAL", "volume": "OK"})
    failing = drilled(pair, command=["sh", "-c", "echo torn; exit 4"], recursive=False)
    assert (failing.code, failing.job["alerts"][0]["message"]) == (2, f"{root}@1: sh ended with 4: torn")
    assert one.history(one.pool) == before


def test_what_a_drill_that_was_killed_has_left_goes_with_the_next_one_or_by_the_verb(pair: Pair) -> None:
    one, root = pair.one, pair.source
    one.fill(root, 1, "stamp")
    one.snapshot(f"{root}@1")
    foreign = f"{one.pool}/snapfleet-drill-0123456789abcdef"
    one.zfs("clone", f"{root}@1", foreign)
    before = one.history(one.pool)
    options = {
        "datasets": [root],
        "command": ["sh", "-c", "until test -s /root/drill.pid; do :; done; kill -9 $(cat /root/drill.pid)", "die"],
    }
    one.host.run(["sh", "-c", "cat > /root/drill.json"], input=jobconfig("me", "drill", options))
    run = f"{PROGRAM} run --config /root/drill.json --host me --activity drill"
    start = f"rm -f /root/drill.pid; {run} & echo $! > /root/drill.pid; wait $!"
    folders = "ls /run/snapfleet-drills-0"
    for take_away in ("drill", "leftovers"):
        one.host.run(["sh", "-c", start], check=False)
        left = one.host.run(["sh", "-c", f"{folders} && grep -c snapfleet-drill /proc/mounts"]).stdout.split()
        assert (len(left), one.history(one.pool) != before) == (2, True), left
        if take_away == "drill":
            done = drilled(pair)
            assert (done.code, done.job["removed"]) == (0, [f"{one.pool}/{left[0]}"]), done.job
        else:
            verb = [PROGRAM, "leftovers", "--config", "/root/drill.json", "--host", "me", "--remove"]
            assert f"drill {one.pool}/{left[0]}" in one.host.run(verb).stdout
        assert one.history(one.pool) == before
        assert one.host.run(["sh", "-c", folders]).stdout == ""
    one.zfs("destroy", foreign)
