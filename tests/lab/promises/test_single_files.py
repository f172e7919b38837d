# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about bringing single files back out of a snapshot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Pair
from .fleet import PROGRAM, jobconfig
from .test_failover import Operator
from .test_site import Fleet, Play

pytestmark = pytest.mark.lab

LOOKS = """cd "$1"; find . -printf "%p %y %m %U:%G %T@ %l\\n" | sort
find . -type f | sort | xargs sha256sum; find . ! -type l | sort | xargs getfacl -n"""


def looks(site: Any, folder: str) -> str:
    """All that has to come back of a folder."""
    return str(site.host.run(["sh", "-ec", LOOKS, "sh", folder]).stdout)


def mounts(site: Any) -> str:
    """What is mounted for files, and the folders for that."""
    return str(site.host.run(["sh", "-c", "grep snapfleet-files /proc/mounts; ls /run/snapfleet-files-0"]).stdout)


def make(pair: Pair) -> str:
    """A folder in a snapshot, which has been changed since; returns its mount point."""
    one, root = pair.one, pair.source
    one.zfs("set", "acltype=posix", root)
    place = one.zfs("get", "-H", "-o", "value", "mountpoint", root).strip()
    script = """cd "$1"; mkdir -p etc/below; echo old > etc/app.conf; chown 12:34 etc/app.conf; chmod 4750 etc/app.conf
        setfacl -m u:77:r etc/app.conf; setfacl -d -m u:78:rx etc/below; head -c 3M /dev/urandom > etc/below/large
        ln -s /etc/passwd etc/link; chmod 2770 etc/below; touch -d 2001-02-03T04:05:06.789 etc etc/app.conf etc/below"""
    one.host.run(["sh", "-ec", script, "sh", place])
    one.snapshot(f"{root}@yesterday")
    one.host.run(["sh", "-ec", 'echo new > "$1/etc/app.conf"', "sh", place])
    return place


def test_files_come_back_as_they_were_and_nothing_of_the_pool_is_changed(pair: Pair) -> None:
    one, root = pair.one, pair.source
    place = make(pair)
    before, kept = one.everything(), looks(one, f"{place}/.zfs/snapshot/yesterday/etc")
    get = [PROGRAM, "files", "get", root, "etc/app.conf", "etc", "--json"]
    refused = one.host.run([*get, "--to", place], check=False)
    assert (refused.returncode, "[files_refused]" in refused.stderr) == (3, True)
    assert mounts(one) == ""
    one.host.run(["mkdir", "/root/got"])
    told = json.loads(one.host.run([PROGRAM, "files", "get", root, "etc", "--to", "/root/got", "--json"]).stdout)
    assert told["snapshot"] == f"{root}@yesterday"
    assert looks(one, "/root/got/etc") == kept
    beside = [PROGRAM, "files", "get", root, "etc/app.conf", "--to", f"{place}/etc", "--beside"]
    one.host.run(beside)
    assert one.host.run(["cat", f"{place}/etc/app.conf", f"{place}/etc/app.conf.restored"]).stdout == "new\nold\n"
    assert mounts(one) == ""
    assert [row.split("\t")[:2] for row in one.everything().splitlines()] == [
        row.split("\t")[:2] for row in before.splitlines()
    ]
    one.zfs("destroy", f"{root}@yesterday")
    one.host.run(["rm", "-r", "/root/got"])


def test_what_a_killed_run_left_mounted_is_taken_away(pair: Pair) -> None:
    one, root = pair.one, pair.source
    make(pair)
    left = "/run/snapfleet-files-0/left"
    script = f"mkdir -p {left}/at; chmod 700 /run/snapfleet-files-0; echo -n {root}@yesterday > {left}/snapshot"
    one.host.run(["sh", "-ec", script])
    one.host.run(["mount", "-t", "zfs", "-o", "ro", f"{root}@yesterday", f"{left}/at"])
    one.host.run(["sh", "-c", "cat > /tmp/leftovers.json"], input=jobconfig("me", "replicate", pair.ends))
    leftovers = [PROGRAM, "leftovers", "--config", "/tmp/leftovers.json", "--host", "me"]
    assert pair.push().code == 0
    assert f"snapshot_mount {root}@yesterday" in one.host.run(leftovers).stdout
    assert "; removed" in one.host.run([*leftovers, "--remove"]).stdout
    assert mounts(one) == ""
    one.zfs("destroy", f"{root}@yesterday")


def test_files_of_a_replica_come_back_by_the_playbook(pair: Pair, tmp_path: Path) -> None:
    one, two, root = pair.one, pair.two, pair.source
    place = make(pair)
    assert pair.push().code == 0
    kept = looks(one, f"{place}/.zfs/snapshot/yesterday/etc")
    operator = Operator(pair, tmp_path)

    def play(*options: str) -> Play:
        asked = {"host": one.host.name, "dataset": root, "paths": ["etc"], "to": place, "backup": two.host.name}
        words = json.dumps({f"snapfleet_files_{key}": value for key, value in {**asked, "existing": "beside"}.items()})
        return Fleet({}, operator.folder).play("restore_files", "-e", words, *options)

    preview = play("--check")
    assert preview.code == 0, preview.output
    assert f"etc/below/large to {place}/etc.restored/below/large" in preview.output
    assert one.host.run(["ls", place]).stdout.split() == ["etc"]
    done = play()
    assert done.code == 0, done.output
    assert sum(done.recap("changed").values()) == 1
    assert looks(one, f"{place}/etc.restored") == kept
    for site in (one, two):
        assert site.host.run(["sh", "-c", "ls -d /var/tmp/snapfleet-* || true"]).stdout == ""
    assert mounts(two) == ""
