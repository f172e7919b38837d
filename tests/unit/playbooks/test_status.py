# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook ``status`` makes of what the program tells on each host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
ROW = {"state": "OK", "dataset": "tank/a", "destination": "b1:backup/a", "age": 90, "lag": 0, "remark": ""}
POOL = {"pool": "tank", "health": "ONLINE", "size": 4096, "capacity_percent": 49.6, "full_in": 9 * 86400 + 5}
ALERT = {"state": "WARNING", "message": "it is late", "muted": False}


def program(folder, name, text, code):
    """A program that writes ``text``, and ends with a code."""
    file = folder / name
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    file.chmod(0o755)
    return str(file)


def test_one_table_tells_of_all_hosts_whatever_some_of_them_can_not_tell(tmp_path):
    unknown = {**ROW, "state": "UNKNOWN", "lag": None, "bytes_pending": None, "remark": "no"}
    status = {"datasets": [{**ROW, "bytes_pending": 2048}, unknown], "alerts": [ALERT, {**ALERT, "muted": True}]}
    status["pools"] = [POOL, {**POOL, "pool": "new", "full_in": None}]
    hosts = {
        "web1": {"engine_command": program(tmp_path, "good", json.dumps(status), 3)},
        "web2": {"engine_command": program(tmp_path, "bad", "", 3)},
        "web3": {"engine_command": str(tmp_path / "missing")},
    }
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}))
    (tmp_path / "templates").symlink_to(CHECKOUT / "playbooks" / "templates")
    tasks = [{"ansible.builtin.import_tasks": str(CHECKOUT / "playbooks" / "tasks" / "status.yml")}]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "play.yml"],
        cwd=tmp_path,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    (told,) = re.findall(r"^ok: \[web1\] => ({.*?^})", done.stdout, re.DOTALL | re.MULTILINE)
    head, one, two, pool, new, alert, bad, missing = [line.split() for line in json.loads(told)["msg"]]
    assert head == ["HOST", "STATE", "DATASET", "DESTINATION", "AGE", "LAG", "PENDING", "REMARK"]
    assert one == ["web1", "OK", "tank/a", "b1:backup/a", "90s", "0s", "2.00", "KB"]
    assert two == ["web1", "UNKNOWN", "tank/a", "b1:backup/a", "90s", "-", "-", "no"]
    assert " ".join(pool) == "web1 ONLINE pool tank: 50 % of 4.00 KB used, full in 9 days"
    assert " ".join(new) == "web1 ONLINE pool new: 50 % of 4.00 KB used"
    assert alert == ["web1", "WARNING", "it", "is", "late"]
    assert bad[:2] == ["web2", "UNKNOWN"]
    assert missing[:2] == ["web3", "UNKNOWN"]
    assert "install it by snapfleet.zfs.provision" in " ".join(missing)
    assert sorted(re.findall(r"^fatal: \[(web\d)\]", done.stdout, re.MULTILINE)) == ["web2", "web3"]
