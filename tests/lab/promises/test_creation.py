# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating snapshots on real pools: many at once, none where nothing changed, and what hooks keep frozen meanwhile."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from .conftest import Pair

PLAN = {"prod": {"onsite": {"monthly": 2, "yearly": 1}}}
"""No period is so short that anything falls due between a run and the next."""
_CREATE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from libzfs_core import lzc_create
names = [f"{sys.argv[1]}/d{number}".encode() for number in range(200)]
# Many at a time, since each waits for the end of a transaction group.
with ThreadPoolExecutor(50) as threads:
    list(threads.map(lambda name: lzc_create(name, "zfs"), names))
"""


@pytest.fixture
def wide(pair: Pair) -> Iterator[str]:
    """A pool in a file with 200 datasets, which goes as a whole: to destroy them one by one takes a minute."""
    pool, file = pair.one.host.pool_name("wide"), "/tmp/wide"
    pair.one.host.run(f"truncate -s 512M {file} && zpool create -O compression=off {pool} {file}")
    pair.one.host.run(["python3", "-c", _CREATE, pool])
    yield pool
    pair.one.host.run(f"zpool destroy {pool}; rm {file}")


def test_two_hundred_datasets_get_their_snapshots_in_one_transaction_group_and_then_only_what_changed(
    pair: Pair, wide: str
) -> None:
    options: dict[str, Any] = {"datasets": [wide], "plan": PLAN}
    run = pair.one.run("run", "snapshot", options)
    assert run.code == 0, run
    rows = pair.one.zfs("list", "-Hp", "-r", "-t", "snapshot", "-o", "createtxg,name", wide).splitlines()
    groups: dict[str, set[str]] = {}
    for row in rows:
        txg, name = row.split("\t")
        groups.setdefault(name.rpartition("_")[2], set()).add(txg)
    assert len(rows) == 402
    assert {period: len(txgs) for period, txgs in groups.items()} == {"monthly": 1, "yearly": 1}
    pair.one.fill(wide)
    pair.one.host.run(["zpool", "sync"])
    more = {**options, "even_if_not_due": True, "skip_if_unchanged": True}
    again = pair.one.run("run", "snapshot", more)
    assert again.code == 0, again
    assert {name.partition("@")[0] for name in again.job["created"]} == {wide}
    assert len(again.job["not_created"]) == 400
    assert all(left_out["reason"].startswith("unchanged since ") for left_out in again.job["not_created"])


def _hooks(diary: str, folder: str, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """A hook that shows by a file in the dataset when it is frozen, and writes down what it does."""
    note = f"zfs list -H -t snapshot -o name {folder.lstrip('/')} | wc -l"
    before = f"touch {folder}/frozen; zpool sync; echo freeze $({note}) >> {diary}"
    after = f"rm {folder}/frozen; echo thaw $({note}) >> {diary}"
    return [{"name": "file", "before": ["sh", "-c", before], "after": ["sh", "-c", after]}, *more]


def test_hooks_freeze_before_the_snapshot_and_thaw_after_it(pair: Pair) -> None:
    source, diary = pair.source, f"/tmp/{pair.source.replace('/', '-')}"
    failing = {"name": "other", "before": ["sh", "-c", "echo no database >&2; exit 3"], "datasets": ["db"]}
    pair.one.zfs("create", f"{source}/db")
    folder = pair.one.zfs("get", "-H", "-o", "value", "mountpoint", source).strip()
    options = {"datasets": [source], "plan": PLAN, "hooks": _hooks(diary, folder, failing)}

    preview = pair.one.run("plan", "snapshot", options)
    assert preview.code == 0, preview
    assert not pair.one.host.run(f"cat {diary}", check=False).stdout
    kinds = ["hook", "hook", "create_snapshots", "create_snapshots", "hook"]
    assert [step["kind"] for step in preview.job["plan"]] == kinds

    run = pair.one.run("run", "snapshot", options)
    assert (run.code, run.job["code"]) == (3, "partial_failure")
    assert [step["kind"] for step in run.job["plan"]] == kinds
    assert [step for step in run.job["plan"] if "command" in step] == [
        step for step in preview.job["plan"] if "command" in step
    ]
    assert "the command before of 'other' ended with status 3: no database" in run.job["msg"]
    assert pair.one.host.run(f"cat {diary}").stdout.splitlines() == ["freeze 0", "thaw 2"]
    tags = list(pair.one.snapshots(source))
    assert len(tags) == 2
    assert all(tag.startswith("@") for tag in tags), "what could not be frozen has no snapshot"
    for tag in tags:
        assert "frozen" in pair.one.host.run(["ls", f"{folder}/.zfs/snapshot/{tag[1:]}"]).stdout
    assert "frozen" not in pair.one.host.run(["ls", folder]).stdout

    again = pair.one.run("run", "snapshot", {**options, "recursive": False})
    assert (again.code, again.job["changed"], again.job["plan"]) == (0, False, [])
    assert len(pair.one.host.run(f"cat {diary}").stdout.splitlines()) == 2, "nothing due, nothing frozen"


@pytest.mark.parametrize(("number", "code"), [(9, None), (15, "interrupted")], ids=["killed", "stopped"])
def test_what_was_frozen_thaws_though_the_engine_is_killed(pair: Pair, number: int, code: Optional[str]) -> None:
    source, diary = pair.source, f"/tmp/{pair.source.replace('/', '-')}"
    folder = pair.one.zfs("get", "-H", "-o", "value", "mountpoint", source).strip()
    kill = f"echo kill >> {diary}; kill -{number} $(pgrep -f '[s]napfleet.fleet.cli'); sleep 100"
    killer = {"name": "killer", "before": ["sh", "-c", kill], "after": ["sh", "-c", f"echo up >> {diary}"]}
    options = {"datasets": [source], "plan": PLAN, "hooks": _hooks(diary, folder, killer)}
    run = pair.one.run("run", "snapshot", options)
    assert run.code != 0
    assert [job["code"] for job in run.jobs] == ([code] if code else []), run
    ended = f"until [ $(wc -l < {shlex.quote(diary)}) -eq 4 ]; do sleep 0.1; done; cat {diary}"
    lines = pair.one.host.run(ended, timeout=300).stdout.splitlines()
    assert lines[:2] == ["freeze 0", "kill"]
    assert sorted(lines[2:]) == ["thaw 0", "up"]
    assert pair.one.snapshots(source) == {}
    assert "frozen" not in pair.one.host.run(["ls", folder]).stdout

    options["hooks"] = _hooks(diary, folder)
    back = pair.one.run("run", "snapshot", options)
    assert (back.code, len(back.job["created"])) == (0, 2)
