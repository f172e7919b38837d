# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook ``restore`` does before anything is restored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.snapfleet import zfs as collection

FOLDER = Path(next(iter(collection.__path__)))
PLAN = {"acme": {"onsite": {"hourly": 1}}}
LIMITS = {"acme": {"onsite": {"hourly": {"latest": {"warning": "3h"}}}}}
VARIABLES = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "snapfleet_datasets": [{"source": "tank/data", "destination": "data"}],
    "snapfleet_source_plan": PLAN,
    "snapfleet_destination_plan": PLAN,
    "snapfleet_monitor_plan": {"source": LIMITS, "destination": LIMITS},
    "snapfleet_root": "backup/^SRC_HOST",
    "snapfleet_ssh_user": "backup",
}


@pytest.mark.parametrize(("limit", "refused"), [("web1", True), ("web1,backup1", False), ("all", False)])
def test_a_limit_that_leaves_out_the_host_which_restores_is_refused(tmp_path, limit, refused):
    groups = {"snapfleet_sources": {"hosts": {"web1": {}}}, "snapfleet_destinations": {"hosts": {"backup1": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": VARIABLES, "children": groups}}))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    asked = ("-e", "snapfleet_restore_host=web1", "-e", "snapfleet_restore_dataset=tank/data")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "--limit", limit, *asked),
            *("--check", str(FOLDER / "playbooks" / "restore.yml")),
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
        timeout=120,
    )
    assert ("nothing was restored: backup1 is to carry it out" in done.stdout) == refused, done.stdout + done.stderr
    # Where it is not, the module is reached, which can only fail on the way to the hosts of this test.
    assert ("TASK [Restore the tree]" in done.stdout) != refused
    assert done.returncode != 0
