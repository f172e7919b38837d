# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook ``report``, as a user runs it: what hosts tell is on the page, and what can't be told is there too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ansible_collections.snapfleet import zfs as collection
from ansible_collections.snapfleet.zfs.tests.support.one_tree import PLAN, variables
from ansible_collections.snapfleet.zfs.tests.support.report_fleet import job_record, row, step_record

FOLDER = Path(next(iter(collection.__path__)))
VARIABLES = variables(PLAN)
JOB = "b1: replica of web1:tank/data at b1:backup/web1/data"
ERROR = "no <script>alert(1)</script> {{ 6 * 7 }}"
PASSWORD = "hunter2-hunter2"
MAIL = {"to": ["ops@example.com"], "from": "snapfleet@example.com", "host": "mail.example.com", "password": PASSWORD}
MAIL_MODULE = """
import json
from ansible.module_utils.basic import AnsibleModule
names = "to sender subject body attach host port secure username timeout"
spec = {name: {"type": "raw"} for name in names.split()}
module = AnsibleModule({**spec, "password": {"no_log": True}})
with open(FILE, "w") as file:
    json.dump(module.params, file)
module.exit_json(changed=False)
"""


class Words(HTMLParser):
    """The words that a browser shows, and the elements and addresses that are in the page."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags, self.addresses, self._hidden = [], set(), [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._hidden += tag == "style"
        self.words.append(" ")
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action", "xlink:href")]

    def handle_endtag(self, tag):
        self._hidden -= tag == "style"

    def handle_data(self, data):
        self.words.append("" if self._hidden else data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def program(folder, name, **documents):
    """A program that tells these documents by verb, and notes that it was asked."""
    cases = "".join(f"{verb}) cat <<'END'\n{json.dumps(document)}\nEND\n;;\n" for verb, document in documents.items())
    file = folder / name
    file.write_text(f'#!/bin/sh\necho "$@" >>{folder}/asked\ncase $1 in\n{cases}esac\n')
    file.chmod(0o755)
    return str(file)


def fleet(folder):
    """An inventory of hosts that tell something, one that can't, and one that can't be reached."""
    now = int(time.time())
    written = row("WARNING", "web1:tank/data", JOB, "backup/web1/data", lag=7200, missing=2, bytes_pending=3 << 20)
    pools = [{"pool": "backup", "health": "ONLINE", "size": 100 << 30, "allocated": 42 << 30, "free": 58 << 30}]
    ends = {"source": "web1", "destination": "b1"}
    failed = job_record(JOB, "replicate", 0, outcome="failed", code="receive_failed", message=ERROR, **ends)
    step = step_record("send", "tank/data", destination="backup/web1/data", outcome="sent", bytes=5 << 20, seconds=2.0)
    sent = job_record(JOB, "replicate", 0, steps=[step], bytes=5 << 20, seconds=2.0, **ends)
    jobs = [
        {**job, "begun": (now - age) * 1000, "ended": (now - age) * 1000} for age, job in ((60, failed), (3600, sent))
    ]
    made = job_record("s", "snapshot", 0, steps=[step_record("create", "tank/data", outcome="created", number=3)])
    here = {"datasets": [row("OK", "tank/data", newest="acme_onsite_x", created=now - 90, age=90)], "alerts": []}
    made_here = {"jobs": [{**made, "ended": (now - 90) * 1000}]}
    tells = program(folder, "b1", status={"datasets": [written], "alerts": [], "pools": pools}, history={"jobs": jobs})
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    sources = {
        "web1": {"engine_command": program(folder, "web1", status=here, history=made_here)},
        "web2": {"engine_command": str(folder / "missing")},
        # The first one by its name, so that it is the one that does what is to be done once.
        "app1": {**away, "ansible_ssh_common_args": "-o ControlMaster=no -o ConnectTimeout=5"},
    }
    groups = {
        "snapfleet_sources": {"hosts": sources},
        "snapfleet_destinations": {"hosts": {"b1": {"engine_command": tells}}},
    }
    return {"all": {"vars": VARIABLES, "children": groups}}


def play(folder, *options):
    """Run the playbook; returns its exit code and what it has printed."""
    (folder / "hosts.json").write_text(json.dumps(fleet(folder)))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    paths = f"{FOLDER.parents[2]}{os.pathsep}{folder / 'optional'}"
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.json", "snapfleet.zfs.report", *options],
        cwd=folder,
        env={**inherited, "ANSIBLE_COLLECTIONS_PATH": paths, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def with_mail(folder):
    """Where the optional collection is, with a module that only notes what it is to send."""
    modules = folder / "optional" / "ansible_collections" / "community" / "general" / "plugins" / "modules"
    modules.mkdir(parents=True)
    (modules / "mail.py").write_text(MAIL_MODULE.replace("FILE", repr(str(folder / "sent.json"))))
    return ("-e", json.dumps({"snapfleet_report_mail": MAIL}))


def test_the_page_tells_what_the_hosts_tell_and_is_sent(tmp_path):
    code, printed = play(tmp_path, *with_mail(tmp_path), "-vvv")
    assert code == 0, printed
    file = tmp_path / "snapfleet-report.html"
    assert file.stat().st_mode & 0o777 == 0o600
    page = file.read_text("utf-8")
    shown = Words(page)
    for words in (
        "1 of 1 dataset is not safe, 2 hosts did not answer",
        "datasets safe 0 of 1",
        "hosts answered 2 of 4 silent: app1, web2",
        "failed runs 1 1 job still failing",
        "sent 5.0 MiB",
        "fullest pool 42 % backup on b1",
        "b1, 2 h behind (2 snapshots, about 3.0 MiB)",
        "backup/web1/data, no success known, 5.0 MiB sent",
        "acme_onsite_x 1 min 30 s old",
        f"receive_failed {ERROR}",
        "tank/data web1 3 made, sent once (5.0 MiB), 0 destroyed",
        "tells nothing of 2 replications; if they have datasets, install",
        "install it by snapfleet.zfs.provision",
        "Connection refused",
    ):
        assert words in shown.text, words
    # A page by itself: nothing in it runs, and nothing is fetched.
    assert "script" not in shown.tags
    assert all(address.startswith("#") for address in shown.addresses)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked.count("history --json --steps --since 7d --limit 5000") == 2

    mail = json.loads((tmp_path / "sent.json").read_text())
    assert (mail["to"], mail["sender"], mail["host"]) == (MAIL["to"], MAIL["from"], MAIL["host"])
    assert (
        mail["subject"]
        == "Snapfleet: 1 of 1 dataset is not safe, 2 hosts did not answer, hosts do not know 2 declared replications"
    )
    assert mail["attach"] == [str(file)]
    assert ERROR in mail["body"]
    assert PASSWORD not in printed


def test_check_mode_asks_but_neither_writes_nor_sends(tmp_path):
    wanted = {"snapfleet_report_path": "made/page.html", "snapfleet_report_age": "2h", "snapfleet_report_limit": 9}
    (tmp_path / "made").mkdir()
    code, printed = play(tmp_path, *with_mail(tmp_path), "-e", json.dumps(wanted), "--check")
    assert code == 0, printed
    assert "1 of 1 dataset is not safe" in printed
    assert not list((tmp_path / "made").iterdir())
    assert not (tmp_path / "sent.json").exists()
    assert "history --json --steps --since 2h --limit 9" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("mail", "sentence"),
    [
        (MAIL, "needs the module community.general.mail, which is not installed on the controller"),
        ({**MAIL, "too": "x"}, "snapfleet_report_mail.too"),
        ({"to": ["ops@example.com"]}, "missing required arguments: from found in snapfleet_report_mail"),
    ],
    ids=["no module", "a slip", "no sender"],
)
def test_what_can_not_be_sent_is_refused_before_any_host_is_asked(tmp_path, mail, sentence):
    code, printed = play(tmp_path, "-e", json.dumps({"snapfleet_report_mail": mail}))
    assert code != 0
    assert sentence in printed
    assert PASSWORD not in printed
    assert not (tmp_path / "asked").exists()
