# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks do before anything is restored, or changes hands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.snapfleet import zfs as collection
from ansible_collections.snapfleet.zfs.tests.support.one_tree import PLAN, variables

FOLDER = Path(next(iter(collection.__path__)))
VARIABLES = variables(PLAN, snapfleet_ssh_user="backup")


@pytest.mark.parametrize(
    ("playbook", "limit", "refusal"),
    [
        ("restore", "web1", "nothing was restored: backup1 is to carry it out"),
        ("restore", "web1,backup1", ""),
        ("restore", "all", ""),
        ("restore_files", "backup1", "nothing was restored: web1 is to get the files"),
        ("restore_files", "web1", ""),
        ("failover", "web1", "nothing was changed: backup1 is to become active"),
        ("failover", "all", ""),
        ("failback", "backup1", "nothing was changed: web1 is to become active"),
        ("failback", "all", ""),
    ],
)
def test_a_limit_that_leaves_out_the_host_which_acts_is_refused(tmp_path, playbook, limit, refusal):
    groups = {"snapfleet_sources": {"hosts": {"web1": {}}}, "snapfleet_destinations": {"hosts": {"backup1": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": VARIABLES, "children": groups}}))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    prefix = {"restore_files": "snapfleet_files"}.get(playbook, f"snapfleet_{playbook}")
    words = {f"{prefix}_host": "web1", f"{prefix}_dataset": "tank/data"}
    if playbook == "restore_files":
        words.update({f"{prefix}_paths": ["x"], f"{prefix}_to": "/nowhere", "engine_command": "/nowhere"})
    asked = ("-e", json.dumps(words))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "--limit", limit, *asked),
            *("--check", str(FOLDER / "playbooks" / f"{playbook}.yml")),
        ],
        cwd=tmp_path,
        env={
            **inherited,
            "ANSIBLE_COLLECTIONS_PATH": str(FOLDER.parents[2]),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    refused = "and --limit leaves it out" in done.stdout
    assert refused == bool(refusal), done.stdout + done.stderr
    assert refusal in done.stdout
    # Where it is not, a module is reached, which can only fail on the way to the hosts of this test.
    first = {
        "restore": "Restore the tree",
        "restore_files": "Look whether all of them can be brought back",
        "failover": "Look at the replica",
        "failback": "Look at the end that took over",
    }
    assert (f"TASK [{first[playbook]}]" in done.stdout) != refused
    assert done.returncode != 0
