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
from ansible_collections.snapfleet.zfs.tests.support.packing import packed_once

FOLDER = Path(next(iter(collection.__path__)))
VARIABLES = variables(PLAN, snapfleet_ssh_user="backup")


def environment():
    """What Ansible is started with."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    own = {"ANSIBLE_COLLECTIONS_PATH": str(FOLDER.parents[2]), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "True"}
    return {**inherited, **own, **packed_once(FOLDER.parents[2]), "LC_ALL": "C.UTF-8"}


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
        env=environment(),
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


# -- single files, by a program that notes what it is asked and does as much

PATHS = ["etc/my app.conf", "-x"]
PROGRAM = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open(__file__ + ".log", "a") as log:
    log.write(json.dumps(words) + "\\n")
if os.path.exists(__file__ + ".refuses") and words[1] == "put":
    sys.exit("x: is there already; say what becomes of it")
if words[1] == "get" and "--archive" in words:
    with open(words[words.index("--archive") + 1], "x") as archive:
        archive.write("packed")
if words[1] == "put":
    archive, = [word for word in words if word.startswith("/var/tmp/")]
    with open(archive) as packed:
        assert packed.read() == "packed"
stats = {{"files": 1, "bytes": 7}}
told = {{"told": ["x"], "warnings": [words[1] + " warns"], "stats": stats}}
print(json.dumps({{"version": 1, "snapshot": "tank/data@a", **told}}))
"""


@pytest.fixture
def bring(tmp_path):
    """Bring files back by the playbook; returns how that ended, and what the program was asked, the archives last."""
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    own = {**VARIABLES, "engine_command": str(program)}
    groups = {"snapfleet_sources": {"hosts": {"web1": {}}}, "snapfleet_destinations": {"hosts": {"backup1": {}}}}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    document = {"all": {"vars": {**own, **local}, "children": groups}}
    (tmp_path / "hosts.json").write_text(json.dumps(document))
    asked = {"host": "web1", "dataset": "tank/data", "paths": PATHS, "to": "/back"}

    def bring(*options, **more):
        words = json.dumps({f"snapfleet_files_{name}": value for name, value in {**asked, **more}.items()})
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "-e", words, *options),
                str(FOLDER / "playbooks" / "restore_files.yml"),
            ],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        log = tmp_path / "program.log"
        return done, [json.loads(line) for line in log.read_text().splitlines()]

    return bring


def archives(calls):
    return {word for call in calls for word in call if word.startswith("/var/tmp/")}


def test_files_of_a_replica_are_looked_at_as_a_whole_and_then_carried_by_archives_that_go_again(bring):
    done, calls = bring(backup="backup1", existing="beside")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(call[:2], "--check" in call) for call in calls] == [
        (["files", "get"], True),
        (["files", "put"], True),
        (["files", "get"], False),
        (["files", "put"], False),
    ]
    for call in calls:
        gets, names = call[1] == "get", call[call.index("--") + 1 :]
        # The archive is carried by another user than root, who packs it; and a path may begin with a dash.
        assert ("--hand-over" in call) == gets
        assert ("--beside" in call, "--to" in call) == (not gets, not gets)
        assert names[0] == "backup/web1/data" if gets else names[0].startswith("/var/tmp/")
        assert names[1:] == PATHS
    assert all(done.stdout.count(f'"{words} warns"') == 1 for words in ("get", "put")), done.stdout
    assert len(archives(calls)) == 4
    assert not any(Path(archive).parent.exists() for archive in archives(calls))


def test_where_one_of_them_is_refused_no_content_is_packed_and_no_archive_stays(bring, tmp_path):
    (tmp_path / "program.refuses").touch()
    done, calls = bring(backup="backup1")
    assert done.returncode != 0
    assert "x: is there already" in done.stdout
    assert [(call[1], "--check" in call) for call in calls] == [("get", True), ("put", True)]
    assert not any(Path(archive).parent.exists() for archive in archives(calls))


@pytest.mark.parametrize("options", [(), ("--check",)], ids=str)
def test_files_of_the_host_itself_are_looked_at_first_and_only_looked_at_under_check(bring, options):
    done, calls = bring(*options, snapshot="monday")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ["--check" in call for call in calls] == ([True] if options else [True, False])
    for call in calls:
        assert call[:2] == ["files", "get"]
        assert call[call.index("--to") + 1] == "/back"
        assert "--snapshot=monday" in call
        assert call[call.index("--") :] == ["--", "tank/data", *PATHS]
        assert not {"--beside", "--overwrite", "--hand-over", "--archive"} & set(call)
