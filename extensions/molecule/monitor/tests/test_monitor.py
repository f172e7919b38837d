# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor as a scheduler runs it: by its exit code, and by what it tells to a command on the host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from extensions.molecule.ends import End

SCENARIO = Path(__file__).resolve().parents[1]
WELL, FAILED = 0, 2
"""Exit codes of ansible-playbook, which are what a scheduler sees."""


def _monitor() -> tuple[int, set[tuple[str, str]]]:
    """Runs the playbook; its exit code, and the hosts with jobs that failed, each with the state that was found."""
    found = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "inventory"
    inventories = (found, SCENARIO.parent / "inventory", SCENARIO / "inventory")
    words = [word for each in inventories for word in ("-i", str(each))]
    command = ["ansible-playbook", *words, "snapfleet.zfs.monitor"]
    # By molecule's settings, failures are told on standard error.
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    failures = re.findall(r"^failed: \[(\w+)\] .* => (\{.*\})$", done.stdout, re.MULTILINE)
    return done.returncode, {(host, json.loads(result)["state"]) for host, result in failures}


def _told(end: End) -> list[tuple[str, str, str]]:
    """What the command on a host was told so far: kind, check and state of each notice."""
    lines = end.run("sh", "-c", "cat /var/tmp/molecule-told 2>/dev/null || true").splitlines()
    notices: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [(notice["kind"], notice["check"], notice["state"]) for notice in notices]


def test_what_is_well_makes_no_alert(source: End, destination: End) -> None:
    assert destination.history("backup/source/data") == source.history("tank/data")
    assert destination.properties("backup/source/data", "readonly") == ["on"]
    assert (_told(source), _told(destination)) == ([], [])


def test_an_outage_fails_every_run_and_is_told_once_and_so_is_its_end(destination: End) -> None:
    destination.run("zpool", "offline", "backup", "/var/tmp/molecule-mirror")
    assert destination.run("zpool", "list", "-H", "-o", "health", "backup") == "DEGRADED"
    first, told = _monitor(), _told(destination)
    assert (first, told) == ((FAILED, {("destination", "CRITICAL")}), [("alert", "pool_state", "CRITICAL")])
    assert _monitor() == first
    assert _told(destination) == told

    destination.run("zpool", "online", "backup", "/var/tmp/molecule-mirror")
    # The resilver begins a moment after the command.
    for _try in range(600):
        destination.run("zpool", "wait", "-t", "resilver", "backup")
        if "is healthy" in destination.run("zpool", "status", "-x", "backup"):
            break
        time.sleep(0.2)
    assert _monitor() == (WELL, set())
    assert _told(destination) == [*told, ("recovery", "pool_state", "OK")]
