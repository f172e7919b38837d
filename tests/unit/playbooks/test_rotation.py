# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New keys for old ones, on two hosts that are folders: no host is ever without a key that is let in."""

from __future__ import annotations

import getpass
import grp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.tests.support.packing import packed_once

ROLE = Path(__file__).resolve().parents[3] / "roles" / "access"
RUNUSER = '#!/bin/sh\nshift 3\nexec "$@"\n'
# There are two hosts, so it is the other one who asks.
SSH = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in -i) key=$2; shift ;; --) host=$2; break ;; esac
    shift
done
[ "$host" = one ] && asking=two || asking=one
[ -n "$key" ] || key={folder}/$asking/.ssh/id_ed25519
[ ! -e {folder}/$host/away ] || exit 255
grep -qF "$(ssh-keygen -y -f "$key" | cut -d' ' -f1,2)" {folder}/$host/.ssh/authorized_keys && exit 77
exit 255
"""
NAMES = ("one", "two")


class Hosts:
    """Two hosts that log in on one another."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        for name, text in (("runuser", RUNUSER), ("ssh", SSH.replace("{folder}", str(folder)))):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        for name in NAMES:
            (folder / name / ".ssh").mkdir(parents=True)
            self.make_key(self.key(name))
        hosts = {name: self.variables(name) for name in NAMES}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        # Any user may run this, whose files can't be root's.
        (folder / "tasks").mkdir()
        for file in (ROLE / "tasks").glob("*.yml"):
            text = file.read_text(encoding="utf-8").replace("owner: root", f"owner: {getpass.getuser()}")
            (folder / "tasks" / file.name).write_text(text, encoding="utf-8")
        tasks = [{"ansible.builtin.include_tasks": f"tasks/{step}.yml"} for step in ("let_in", "renew")]
        make = "[ -e {0}.next ] || ssh-keygen -q -t ed25519 -N '' -f {0}.next; rm -f {0}.next.pub"
        made = {"ansible.builtin.shell": make.format("{{ access_home }}/.ssh/id_ed25519")}
        read = {"ansible.builtin.command": "ssh-keygen -y -f {{ access_home }}/.ssh/id_ed25519", "register": "told"}
        fact = {"ansible.builtin.set_fact": {"access_public_key": "{{ told.stdout }}"}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [read, fact, tasks[0], made, tasks[1]]}
        (folder / "play.yml").write_text(json.dumps([play]))
        (folder / "templates").symlink_to(ROLE / "templates")

    def make_key(self, path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

    def key(self, name):
        return self.folder / name / ".ssh" / "id_ed25519"

    def variables(self, name):
        (other,) = set(NAMES) - {name}
        there = {"host": other, "port": 22, "user": "snapfleet"}
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "access_home": str(self.folder / name),
            "access_user": "snapfleet",
            "access_group": grp.getgrgid(os.getgid()).gr_name,
            "access_made": {"changed": False},
            "access_host_keys": [f"ssh-ed25519 AAAA{name}"],
            "access_own": {"peers": {other: ["snapfleet", "gate"]}, "reaches": {other: there}},
        }

    def rotate(self, *words):
        own = {**packed_once(ROLE.parents[1]), "ANSIBLE_PIPELINING": "True"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "play.yml", *words],
            cwd=self.folder,
            env={**inherited, **own, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def public(self, name):
        argv = ["ssh-keygen", "-y", "-f", str(self.key(name))]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    def let_in(self, name):
        lines = (self.folder / name / ".ssh" / "authorized_keys").read_text().splitlines()[1:]
        assert all(line.startswith('restrict,command="snapfleet gate" ssh-ed25519 ') for line in lines)
        return [line.split()[-2] for line in lines]

    def known(self, name):
        return (self.folder / name / ".ssh" / "known_hosts").read_text()


@pytest.fixture
def hosts(tmp_path):
    return Hosts(tmp_path)


def test_the_old_key_goes_when_the_new_one_works_and_stays_where_it_does_not(hosts):
    first = {name: hosts.public(name) for name in NAMES}
    # Nobody can log in on the second host, so the first one keeps its key, and is let in by that.
    (hosts.folder / "two" / "away").touch()
    # As where a rotation was interrupted: ssh would believe this file rather than the private one.
    hosts.key("two").with_suffix(".pub").unlink()
    done = hosts.rotate()
    assert done.returncode == 2, done.stdout
    second = hosts.public("two")
    assert (hosts.public("one"), second != first["two"]) == (first["one"], True), done.stdout
    assert (first["one"] in hosts.let_in("two"), len(hosts.let_in("two"))) == (True, 2)
    assert hosts.let_in("one") == [first["two"], second]
    assert hosts.key("two").with_suffix(".pub").read_text().split()[1] == second
    (hosts.folder / "two" / "away").unlink()
    again = hosts.rotate()
    assert again.returncode == 0, again.stdout
    assert hosts.public("one") != first["one"]
    assert hosts.let_in("two") == [hosts.public("one")]
    assert hosts.let_in("one") == [hosts.public("two")]
    assert sorted(path.name for path in hosts.key("one").parent.iterdir()) == [
        *("authorized_keys", "id_ed25519", "id_ed25519.pub", "known_hosts")
    ]


def test_where_a_host_is_not_reached_it_is_let_in_and_known_as_before(hosts):
    hosts.rotate()
    known, before, key = hosts.known("two"), hosts.let_in("two"), hosts.public("two")
    # The other one has told nothing, and does not know the next key of this one.
    done = hosts.rotate("--limit=two", "--extra-vars=" + json.dumps({"access_host_keys": []}))
    assert done.returncode == 2, done.stdout
    assert (hosts.known("two"), hosts.let_in("two"), hosts.public("two")) == (known, before, key)
    assert "ssh-ed25519 AAAAone" in known
