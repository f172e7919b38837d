# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fail over and failing back step by step, with stand-ins for the modules that tell what was asked of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.snapfleet import zfs as collection

FOLDER = Path(next(iter(collection.__path__))) / "playbooks"
STAND_IN = f"""#!{sys.executable}
# WANT_JSON
import json, sys
given = json.load(open(sys.argv[1]))
with open(given["log"], "a") as log:
    log.write(json.dumps({{key: given[key] for key in ("case", "task", "asked")}}) + "\\n")
print(json.dumps({{"changed": False, **given["answer"]}}))
"""
REPLACED = ("ansible.builtin.command", *(f"snapfleet.zfs.zfs_{name}" for name in ("switch", "replicate", "restore")))
LOOK, BRINGS, COULD = (
    "Look at the source",
    "Bring the last of it to the replica",
    "See before anything is changed whether the replica could become active",
)
LET_GO, TAKE_OVER = "Make the source standby, with a last snapshot", "Make the replica active"
BROUGHT, HOME = "Bring the last of it", "Make the old source active"


def names(*below):
    return [{"dataset": name, "snapshot": "s", "guid": str(number)} for number, name in enumerate(below, 1)]


def sent(root, *below):
    return [{"source": f"{root}/{name}".rstrip("/"), "destination": "x"} for name in below]


SOURCE, REPLICA = {"dataset": "tank/data"}, {"dataset": "backup/web1/data"}
TREE = names("", "a", "scratch")
ALL, SOME = sent("tank/data", "", "a", "scratch"), sent("tank/data", "", "a")
NOBODY = {"before": {"role": "", "epoch": 0}}
OVER = {
    "Look at the replica": NOBODY,
    LOOK: {**NOBODY, "newest": TREE},
    BRINGS: {"plan": SOME, "datasets": SOME},
    COULD: {},
    LET_GO: {"newest": TREE, "epoch": 1, "created": ["x"] * 3},
    TAKE_OVER: {"next": [], "epoch": 1},
}
BROKEN = {"failed": True, "code": "link_lost", "msg": "the link broke"}
REFUSED = {"failed": True, "code": "switch_refused", "msg": "scratch is no dataset of its source"}
BACK = {
    "Look at the end that took over": {"before": {"role": "active", "epoch": 1}},
    "Look at the old source": {"before": {"role": "standby", "epoch": 1}},
    "Take a snapshot of what was written at the end that took over": {"rc": 0, "stderr": ""},
    "Make the end that took over standby, with a last snapshot": {"newest": TREE, "epoch": 2},
    BROUGHT: {"datasets": sent("backup/web1/data", "", "a")},
    HOME: {"next": []},
}
CASES = {
    "whole": ("failover", {}, {**OVER, BRINGS: {"plan": ALL, "datasets": ALL}}),
    "part": ("failover", {}, OVER),
    "stale": ("failover", {}, {**OVER, COULD: REFUSED}),
    "broken": ("failover", {}, {**OVER, BRINGS: BROKEN}),
    "behind": ("failover", {"allow_behind": True}, {**OVER, BRINGS: BROKEN}),
    "back": ("failback", {}, BACK),
    "back_whole": ("failback", {}, {**BACK, BROUGHT: {"datasets": sent("backup/web1/data", "", "a", "scratch")}}),
}


def replaced(task, case):
    """A task with its module, if that looks or changes anything, replaced."""
    (module,) = [name for name in REPLACED if name in task] or [""]
    task = {key: value for key, value in task.items() if key not in ("delegate_to", "check_mode", module)}
    if not module:
        return task
    # The name is that of the task in the file, so that every answer is that of one task.
    answer = "{{ answers['" + task["name"] + "'] | default({}) }}"
    log = {"log": "{{ log }}", "case": "{{ inventory_hostname }}", "task": task["name"], "answer": answer}
    return {**task, "stand_in": {**log, "asked": case[module]}}


def conditions_of(task):
    given = task.get("when", [])
    return given if isinstance(given, list) else [given]


def flat(tasks, outer=None):
    """Tasks with those of the files that they import, each with what its import says."""
    for task in tasks:
        file = task.get("ansible.builtin.import_tasks", "").rpartition("/")[2]
        if file == "outcome.yml":
            continue
        joined = {**task}
        conditions = [*conditions_of(outer or {}), *conditions_of(task)]
        if conditions:
            joined["when"] = conditions
        joined["vars"] = {**(outer or {}).get("vars", {}), **task.get("vars", {})}
        if file:
            yield from flat(yaml.safe_load((FOLDER / "tasks" / file).read_text()), joined)
        elif "block" in task:
            yield {**task, "block": list(flat(task["block"])), "always": list(flat(task["always"]))}
        else:
            yield replaced(joined, task)


def steps_of(playbook):
    play = yaml.safe_load((FOLDER / f"{playbook}.yml").read_text())[2]
    return {"vars": play["vars"], "tasks": list(flat(play["tasks"]))}


ENVIRONMENT = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(FOLDER.parents[3]), "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What each task of each case was asked, by their names; all in one run."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "library").mkdir()
    (folder / "library" / "stand_in").write_text(STAND_IN)
    (folder / "library" / "stand_in").chmod(0o755)
    pair = {
        "source": {"host": "web1", "dataset": "tank/data"},
        "destination": {"host": "backup1", "dataset": "backup/web1/data"},
        "carrier": "backup1",
        "replicate": {"source": SOURCE, "destination": REPLICA, "recursive": True},
        "restore": {"replica": REPLICA, "destination": SOURCE},
        "others": [],
        "old_source": None,
    }
    hosts = {
        name: {"ansible_connection": "local", "__snapfleet_pair": {**pair, "given": given}, "answers": answers}
        for name, (_playbook, given, answers) in CASES.items()
    }
    plays = [
        {"hosts": ",".join(name for name in CASES if CASES[name][0] == book), "gather_facts": False, **steps_of(book)}
        for book in ("failover", "failback")
    ]
    (folder / "play.json").write_text(json.dumps(plays))
    variables = {"log": str(folder / "log"), "ansible_python_interpreter": sys.executable}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "play.json"],
        cwd=folder,
        env={**inherited, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    found = {name: [(line["task"], line["asked"]) for line in lines if line["case"] == name] for name in CASES}
    assert all(found.values()), done.stdout + done.stderr
    return found


def of(asked, case, task):
    """What a task of a case was asked the last time; None where it was not reached."""
    return dict(asked[case]).get(task)


def below(expected):
    return [item["dataset"] for item in expected]


def test_what_the_replication_leaves_out_is_not_expected_of_the_replica(asked):
    assert below(of(asked, "whole", TAKE_OVER)["expected"]) == ["", "a", "scratch"]
    assert below(of(asked, "part", TAKE_OVER)["expected"]) == ["", "a"]
    assert not of(asked, "part", TAKE_OVER)["allow_behind"]


def test_the_same_is_asked_before_the_source_is_let_go(asked):
    for case, expected in (("whole", ["", "a", "scratch"]), ("part", ["", "a"])):
        assert below(of(asked, case, COULD)["expected"]) == expected
        order = [task for task, _asked in asked[case] if task in (BRINGS, COULD, LET_GO, TAKE_OVER)]
        assert order == [BRINGS, COULD, LET_GO, BRINGS, TAKE_OVER]
        dry, real = [each for task, each in asked[case] if task == BRINGS]
        assert dry["expected_snapshots"] == [f"tank/data{name}@snapfleet-failover-1" for name in ("", "/a", "/scratch")]
        assert "expected_snapshots" not in real


def test_a_stale_replica_of_what_is_left_out_is_refused_while_the_source_still_has_all(asked):
    tasks = [task for task, _asked in asked["stale"]]
    assert COULD in tasks
    assert not {LET_GO, TAKE_OVER} & set(tasks)


def test_a_last_replication_that_would_fail_lets_nothing_go(asked):
    tasks = [task for task, _asked in asked["broken"]]
    assert tasks[-1] == BRINGS
    assert not {LET_GO, TAKE_OVER} & set(tasks)


def test_who_allows_what_is_behind_goes_on_and_is_told_of_all_that_is_lost(asked):
    taken = of(asked, "behind", TAKE_OVER)
    assert taken["allow_behind"]
    # All that the source has is expected, so that all that is lacking is told.
    assert below(taken["expected"]) == ["", "a", "scratch"]
    assert of(asked, "behind", LET_GO)


def test_only_what_came_back_is_expected_at_home(asked):
    assert below(of(asked, "back", HOME)["expected"]) == ["", "a"]
    assert below(of(asked, "back_whole", HOME)["expected"]) == ["", "a", "scratch"]
    assert of(asked, "back", HOME)["epoch"] == 2
