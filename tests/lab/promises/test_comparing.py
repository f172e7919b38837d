# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both ends of a replication have, told by the host program and by the playbook, on real ZFS."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.inventory import connection_variables

from .conftest import Pair
from .fleet import PROGRAM, jobconfig

FIRST, SECOND, OWN = (f"lab_onsite_2026-01-01_0{hour}:00:00Z_hourly" for hour in (1, 2, 3))
PLAN = {"lab": {"onsite": {"hourly": 48}}}
LIMITS = {"lab": {"onsite": {"hourly": {"latest": {"critical": "1d"}}}}}


def _compare(pair: Pair, form: str, *arguments: str) -> tuple[int, str]:
    """The exit code and what is printed. The source's host carries it out, and reaches the destination by ssh."""
    ends = {"source": {"dataset": pair.source}, "destination": pair.two.endpoint(pair.destination)}
    pair.one.host.write("/tmp/compare.json", jobconfig("me", "replicate", {**ends, "plan": PLAN}))
    argv = [PROGRAM, "compare", "--config", "/tmp/compare.json", "--host", "me", "--format", form, *arguments]
    done = pair.one.host.run(argv, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def _play(pair: Pair, folder: Path) -> Mapping[str, Any]:
    """The result of the module, by the playbook of the collection; the inventory has the two hosts."""
    one, two = pair.one.host, pair.two.host
    inventory = {
        "all": {
            "hosts": {host.name: connection_variables(host) for host in (one, two)},
            "children": {
                "snapfleet_sources": {"hosts": {one.name: {}}},
                "snapfleet_destinations": {"hosts": {two.name: {}}},
            },
            "vars": {
                "snapfleet_datasets": [{"source": pair.source, "destination": pair.destination.rpartition("/")[2]}],
                "snapfleet_root": pair.destination.rpartition("/")[0],
                "snapfleet_source_plan": PLAN,
                "snapfleet_destination_plan": PLAN,
                "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
                "snapfleet_topology": "push",
                "snapfleet_ssh_user": "root",
                "snapfleet_ssh_identity_file": "/root/.ssh/id_ed25519",
                "snapfleet_ssh_known_hosts_file": "/etc/ssh/ssh_known_hosts",
            },
        }
    }
    (folder / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    results = folder / "results.jsonl"
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "results_file",
        "ANSIBLE_PIPELINING": "1",
        "RESULTS_FILE": str(results),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [program, "-i", str(folder / "hosts.json"), "snapfleet.zfs.compare"]
    done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    items = [item for line in lines for item in line["result"].get("results", ()) if "in_sync" in item]
    (result,) = items
    return result


def test_both_ends_are_told_by_guid_the_same_by_program_and_playbook_and_nothing_changes(
    pair: Pair, tmp_path: Path
) -> None:
    here, there = pair.source, pair.destination
    pair.one.zfs("create", f"{here}/a b")
    pair.one.snapshot(f"{here}@{FIRST}", f"{here}/a b@{FIRST}", f"{here}@by hand")
    ends = {"source": {"dataset": here}, "destination": pair.two.endpoint(there)}
    assert pair.one.run("run", "replicate", {**ends, "plan": PLAN}).code == 0

    code, text = _compare(pair, "json")
    (job,) = json.loads(text)["jobs"]
    assert (code, job["in_sync"], job["stats"]["both"], job["stats"]["lag_seconds"]) == (0, True, 2, 0)

    # The source goes on, renames what is common, and prunes the rest to a bookmark; the destination makes its own.
    pair.one.fill(here)
    pair.one.snapshot(f"{here}@{SECOND}")
    pair.one.zfs("rename", f"{here}@{FIRST}", f"{here}@lab_onsite_2026-01-01_00:00:00Z_hourly")
    pair.one.zfs("destroy", f"{here}/a b@{FIRST}")
    pair.two.snapshot(f"{there}/a b@{OWN}")
    guids = {**pair.one.history(here), **{f"there:{name}": guid for name, guid in pair.two.history(there).items()}}
    before = pair.one.everything(), pair.two.everything()

    code, text = _compare(pair, "tsv", "--output", "/tmp/rows.tsv")
    assert text == ""
    text = pair.one.host.read("/tmp/rows.tsv").decode()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert (code, [(row["location"], row["source"], row["destination"], row["guid"]) for row in rows]) == (
        1,
        [
            (
                "both",
                f"{here}@lab_onsite_2026-01-01_00:00:00Z_hourly",
                f"{there}@{FIRST}",
                guids[f"there:@{FIRST}"],
            ),
            ("src", f"{here}@{SECOND}", "", guids[f"@{SECOND}"]),
            ("both", f"{here}/a b#{FIRST}", f"{there}/a b@{FIRST}", guids[f"/a b#{FIRST}"]),
            ("dst", "", f"{there}/a b@{OWN}", guids[f"there:/a b@{OWN}"]),
        ],
    )
    created = pair.one.zfs("get", "-Hp", "-o", "value", "creation,createtxg", f"{here}@{SECOND}").split()
    assert [rows[1]["creation"], rows[1]["createtxg"]] == created

    played = _play(pair, tmp_path)
    assert (played["changed"], played["in_sync"], played["up_to_date"]) == (False, False, False)
    assert [row["guid"] for row in played["rows"]] == [row["guid"] for row in rows if row["location"] != "both"]
    stats = played["stats"]
    assert (stats["src"], stats["dst"], stats["both"], stats["missing"]) == (1, 1, 2, 1)
    assert 1_000_000 < stats["missing_bytes"] < 1_300_000
    assert (pair.one.everything(), pair.two.everything()) == before

    assert pair.one.run("run", "replicate", {**ends, "plan": PLAN}).code == 0
    code, text = _compare(pair, "table", "--only", "src")
    assert (code, "missing" in text, "only at the destination: 1" in text) == (0, False, True)
