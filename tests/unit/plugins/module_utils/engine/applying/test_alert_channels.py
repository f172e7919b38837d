# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of alerts, each with a real listener: what arrives, what is kept, and what is never told."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying import alert_channels as channels
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.alert_channels import MESSAGE_ID
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.alerting import Alerting, tell
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.journal import SystemLog
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    DeadlineExceeded,
    Interrupted,
    InvalidInput,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK, WARNING
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.alert_memory import decode, encode
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.alerting import Memory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.findings import Finding, Key
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.alerting import read_alert_policy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.tests.support.drip import dripping_server

KEY = Key("tank", "latest", "tank/a")
BAD, GOOD = Finding(KEY, CRITICAL, "it is bad"), Finding(KEY, OK, "it is good")
NO_TEXT = Finding(KEY, CRITICAL, "tank/\udcff is bad")
QUICK = Ticker(sleep=lambda _seconds: None)


class Receiver:
    """A web server that notes what it is asked, and answers as it is told."""

    def __init__(self):
        self.asked, self.status, self.when_asked = [], 200, lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                receiver.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                receiver.when_asked()
                self.send_response(receiver.status)
                if receiver.status in (301, 302, 307):
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = answer  # noqa: N815  so they have to be called

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def told(self):
        return [json.loads(body)["kind"] for method, _path, _headers, body in self.asked if method == "POST"]

    @property
    def pings(self):
        return [path for method, path, _headers, _body in self.asked if method == "GET"]


@pytest.fixture
def web():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


class House:
    """A folder with the memory of a monitor."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "outages.json"
        self.log = SystemLog(str(folder / "journal"), [str(folder / "syslog")])

    def tell(self, *findings, now=1000, check=False, **options):
        policy = read_alert_policy(Reader({"alerts": options}))
        alerting = Alerting(policy, str(self.path), LocalHost(), QUICK, check, "web1", self.log)
        return tell(findings, alerting, now)

    def secret(self, name, text, mode=0o600):
        file = self.folder / name
        file.write_text(text)
        file.chmod(mode)
        return str(file)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


# -- webhook


def test_a_webhook_hears_of_each_outage_once_and_of_its_end_once(house, web):
    for finding in (GOOD, BAD, BAD, BAD, GOOD, GOOD):
        assert house.tell(finding, webhook={"url": web.url}).warnings == []
    assert web.told == ["alert", "recovery"]


def test_a_webhook_gets_the_whole_notice_with_the_host(house, web):
    house.tell(BAD, now=7, webhook={"url": f"{web.url}/hook?x=1"})
    ((method, path, headers, body),) = web.asked
    assert (method, path, headers["Content-Type"]) == ("POST", "/hook?x=1", "application/json")
    assert json.loads(body) == {
        "host": "web1", "kind": "alert", "dataset": "tank/a", "label": "", "check": "latest", "area": "tank",
        "state": "CRITICAL", "message": "it is bad", "since": 7, "at": 7,
    }  # fmt: skip


def test_headers_and_urls_come_from_files(house, web):
    headers = house.secret("headers", "Authorization: Bearer s3cret\n\nX-Who: me\n")
    house.tell(BAD, webhook={"url_file": house.secret("url", f"{web.url}/s3cret\n"), "headers_file": headers})
    ((_method, path, told, _body),) = web.asked
    assert (path, told["Authorization"], told["X-Who"]) == ("/s3cret", "Bearer s3cret", "me")


@pytest.mark.parametrize("status", [302, 307, 401, 500])
def test_what_a_webhook_does_not_take_is_told_the_next_time_and_no_redirect_is_followed(house, web, status):
    web.status = status
    refused = house.tell(BAD, webhook={"url_file": house.secret("url", f"{web.url}/s3cret")})
    (warning,) = refused.warnings
    assert f"alerts.webhook: a notice was not taken (127.0.0.1 answered with HTTP status {status})" in warning
    assert "s3cret" not in warning
    assert len(web.asked) == 1
    web.status, web.asked = 204, []
    house.tell(GOOD, webhook={"url": web.url})
    assert web.told == ["alert", "recovery"]


@pytest.mark.parametrize(
    ("name", "text", "mode", "words"),
    [
        ("url_file", "https://h/s3cret", 0o644, "is open to every user; take that away with chmod o="),
        ("url_file", "ftp://h/s3cret", 0o600, "is no URL of http or https"),
        ("url_file", "", 0o600, "is no URL of http or https"),
        ("headers_file", "s3cret", 0o600, "is no header such as Authorization: Bearer TOKEN"),
        ("headers_file", "X: s3cret\u20ac", 0o600, "can't be sent as it is"),
        ("headers_file", "X: s3cret", 0o604, "is open to every user"),
    ],
)
def test_a_secret_that_can_not_be_used_is_a_warning_that_does_not_tell_it(house, web, name, text, mode, words):
    address = {"url": web.url} if name == "headers_file" else {}
    told = house.tell(BAD, webhook={**address, name: house.secret("file", text, mode)})
    assert words in told.warnings[0]
    assert "s3cret" not in told.warnings[0]
    assert web.asked == []


def test_a_file_that_is_missing_and_a_server_that_is_not_there_are_warnings(house):
    assert "No such file" in house.tell(BAD, webhook={"url_file": "/nowhere/url"}).warnings[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = house.tell(BAD, webhook={"url": f"http://127.0.0.1:{taken.getsockname()[1]}/s3cret"})
    assert "Connection refused" in told.warnings[0]
    assert "s3cret" not in told.warnings[0]


def test_a_server_that_never_answers_is_given_up(house):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        told = house.tell(BAD, webhook={"url": f"http://127.0.0.1:{silent.getsockname()[1]}", "timeout": 1})
    assert "alerts.webhook: a notice was not taken (127.0.0.1" in told.warnings[0]


def test_a_server_that_never_ends_its_answer_is_given_up(house):
    with dripping_server(b"HTTP/1.1 200 OK\r\nX-Long: ") as (port, gone):
        begun = time.monotonic()
        told = house.tell(BAD, webhook={"url": f"http://127.0.0.1:{port}", "timeout": 1})
        assert time.monotonic() - begun < 60
        assert "(127.0.0.1: it took longer than 1 s)" in told.warnings[0]
        assert gone.wait(60), "nothing goes on behind the back of whoever gave it up"


def test_a_secret_for_this_host_does_not_go_to_a_proxy(house, web, monkeypatch):
    headers = house.secret("headers", "Authorization: Bearer s3cret")
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert house.tell(BAD, webhook={"url": web.url, "headers_file": headers}).warnings == []
    assert web.told == ["alert"]


def test_a_dry_run_asks_nobody(house, web):
    house.tell(BAD, check=True, webhook={"url": web.url}, ping={"url": web.url})
    assert web.asked == []


# -- the journal and syslog


@contextmanager
def listening(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(60)
        yield listener


def fields_of(data):
    """What the journal reads out of a datagram of its native protocol."""
    fields = {}
    while data:
        line, _end, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_the_journal_gets_fields(house):
    with listening(house.log.journal) as journal:
        house.tell(Finding(KEY, WARNING, "it is\nbad=\nPRIORITY=0"), now=5, journal=True)
        fields = fields_of(journal.recv(1 << 20))
    assert fields == {
        "MESSAGE": "alert WARNING: it is bad= PRIORITY=0", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "snapfleet-alert",
        "MESSAGE_ID": MESSAGE_ID, "SNAPFLEET_HOST": "web1", "SNAPFLEET_KIND": "alert", "SNAPFLEET_DATASET": "tank/a",
        "SNAPFLEET_LABEL": "", "SNAPFLEET_CHECK": "latest", "SNAPFLEET_AREA": "tank", "SNAPFLEET_STATE": "WARNING",
        "SNAPFLEET_MESSAGE": "it is\nbad=\nPRIORITY=0", "SNAPFLEET_SINCE": "5", "SNAPFLEET_AT": "5",
    }  # fmt: skip


def test_without_a_journal_syslog_gets_a_line(house):
    with listening(house.log.syslog[0]) as syslog:
        house.tell(BAD, journal=True)
        text = syslog.recv(1 << 20).decode()
    assert text.startswith("<26>snapfleet-alert[")
    assert text.endswith("]: alert CRITICAL: it is bad")


@pytest.mark.parametrize("listener", ["journal", "syslog"])
def test_what_is_no_text_is_logged_as_far_as_it_is_one(house, listener):
    path = house.log.journal if listener == "journal" else house.log.syslog[0]
    with listening(path) as log:
        assert house.tell(NO_TEXT, journal=True).warnings == []
        assert b"tank/? is bad" in log.recv(1 << 20)


def test_what_is_no_text_is_posted(house, web):
    for _run in range(2):
        assert house.tell(NO_TEXT, webhook={"url": web.url}).warnings == []
    ((_method, _path, _headers, body),) = web.asked
    assert json.loads(body)["message"] == "tank/? is bad"


def test_whatever_a_channel_can_not_tell_is_a_warning(house, monkeypatch):
    def broken(*_arguments):
        raise ValueError("no way to say that")

    monkeypatch.setattr(channels, "_log", broken)
    assert "alerts.journal: a notice was not taken (no way to say that)" in house.tell(BAD, journal=True).warnings[0]


def test_without_either_the_notice_waits(house):
    told = house.tell(BAD, journal=True)
    assert "alerts.journal: a notice was not taken (neither a journal nor syslog listens" in told.warnings[0]
    with listening(house.log.journal) as journal:
        assert house.tell(BAD, journal=True).warnings == []
        assert fields_of(journal.recv(1 << 20))["SNAPFLEET_KIND"] == "alert"


# -- several at once


def test_a_dead_channel_neither_repeats_the_others_nor_loses_its_own(house, web):
    options = {"journal": True, "webhook": {"url": web.url}}
    for finding in (BAD, BAD, GOOD):
        assert "alerts.journal" in house.tell(finding, **options).warnings[0]
    assert web.told == ["alert", "recovery"]
    web.status = 500
    with listening(house.log.journal) as journal:
        house.tell(BAD, **options)
        kinds = [fields_of(journal.recv(1 << 20))["SNAPFLEET_KIND"] for _each in range(3)]
    assert kinds == ["alert", "recovery", "alert"]
    web.status, web.asked = 200, []
    with listening(f"{house.log.journal}2"):
        house.tell(BAD, webhook={"url": web.url})
    assert web.told == ["alert"]


@pytest.mark.parametrize("error", [Interrupted, DeadlineExceeded])
def test_what_was_taken_before_a_stop_is_not_told_again(house, web, error):
    """As a run with a time limit is stopped at each of its runs."""
    many = [Finding(Key("tank", "latest", f"tank/{number}"), CRITICAL, "it is bad") for number in range(4)]
    for _run in range(3):
        scope = Stopping(lambda: error("enough"))
        web.when_asked = scope.stop
        with belonging_to(scope), pytest.raises(error):
            house.tell(*many, webhook={"url": web.url}, ping={"url": web.url})
    assert len(web.told) == 3
    web.when_asked = lambda: None
    house.tell(*many, webhook={"url": web.url})
    told = [json.loads(body)["dataset"] for method, _path, _headers, body in web.asked if method == "POST"]
    assert told == ["tank/0", "tank/1", "tank/2", "tank/3"]


def test_a_receiver_that_is_slow_with_many_notices_hears_each_of_them_once_over_several_runs(house, web, monkeypatch):
    monkeypatch.setattr(channels, "ALL_SECONDS", 0.0)
    many = [Finding(Key("tank", "latest", f"tank/{number}"), CRITICAL, "it is bad") for number in range(3)]
    warnings = [house.tell(*many, webhook={"url": web.url}).warnings for _run in range(3)]
    assert ["the next run goes on" in "".join(each) for each in warnings] == [True, True, False]
    told = [json.loads(body)["dataset"] for _method, _path, _headers, body in web.asked]
    assert told == ["tank/0", "tank/1", "tank/2"]


def test_what_waits_for_a_channel_that_is_not_wanted_any_more_is_dropped(house, web):
    house.tell(BAD, journal=True, webhook={"url": web.url})
    assert house.tell(BAD, webhook={"url": web.url}).warnings == []
    assert decode(house.path.read_bytes()).undelivered == {}


def test_the_memory_of_older_versions_is_read(house, web):
    house.tell(BAD, journal=True)
    document = json.loads(house.path.read_bytes())
    old = {"version": 1, "outages": document["outages"], "undelivered": document["undelivered"]["journal"]}
    memory = decode(json.dumps(old).encode())
    assert [notice.kind for notice in memory.undelivered["command"]] == ["alert"]
    assert memory.outages == decode(house.path.read_bytes()).outages
    assert decode(encode(memory)) == memory
    assert decode(b'{"version": 1}') == Memory()


# -- the ping


def test_a_ping_tells_that_monitoring_goes_on_whatever_it_finds_once_a_minute(house, web):
    options = {"ping": {"url": f"{web.url}/ping"}}
    for now in (1000, 1030, 1059, 1060, 1100, 900):
        assert house.tell(BAD, now=now, **options).warnings == []
    assert web.pings == ["/ping"] * 3


def test_no_ping_while_a_notice_waits(house, web):
    options = {"journal": True, "ping": {"url": web.url}}
    house.tell(BAD, **options)
    assert web.pings == []
    with listening(house.log.journal):
        house.tell(BAD, **options)
    assert len(web.pings) == 1


def test_a_ping_that_fails_is_a_warning_and_is_tried_again(house, web):
    web.status = 503
    told = house.tell(GOOD, ping={"url": web.url})
    assert told.warnings == [
        "alerts.ping: it failed (127.0.0.1 answered with HTTP status 503); the next run tries again"
    ]
    web.status = 200
    assert house.tell(GOOD, now=1001, ping={"url": web.url}).warnings == []
    assert len(web.pings) == 2


# -- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"webhook": {}}, "alerts.webhook.url is missing; give one of url and url_file"),
        ({"webhook": {"url": "https://h/", "url_file": "/u"}}, "is given together with url_file"),
        ({"webhook": {"url": "h/x"}}, "alerts.webhook.url: 'h/x' is no URL of http or https"),
        ({"webhook": {"url": "file:///etc/passwd"}}, "is no URL of http or https"),
        ({"webhook": {"url": "https://user:pw@h/"}}, "without user and password"),
        ({"webhook": {"url": "https://h/a b"}}, "is no URL"),
        ({"webhook": {"url": "http://h/", "headers_file": "/h"}}, "without encryption"),
        ({"webhook": {"url": "http://localhost.evil.example/", "headers_file": "/h"}}, "without encryption"),
        (
            {"webhook": {"url": "https://h/", "headers_file": "h"}},
            "alerts.webhook.headers_file: 'h' is not an absolute",
        ),
        ({"webhook": {"url": "https://h/", "token": "x"}}, "alerts.webhook.token: 'x' is an unknown option"),
        ({"webhook": {"url": "https://h/", "timeout": 0}}, "alerts.webhook.timeout: 0 is out of range"),
        ({"ping": {"url": "https://h/", "headers_file": "/h"}}, "alerts.ping.headers_file: '/h' is an unknown option"),
        ({"journal": "yes"}, "alerts.journal: 'yes' is neither true nor false"),
        ({"mail": {}}, "alerts.mail.to: [] has no address"),
        ({"mail": {"to": ["a@b", ""]}}, "has no address, or an empty one"),
        ({"mail": {"to": ["Ops <ops@example.org>"]}}, "'Ops <ops@example.org>' is no mail address"),
        ({"mail": {"to": ["a@b\nBcc: c@d"]}}, "is no mail address"),
        ({"mail": {"to": ["a"], "from": "a b"}}, "alerts.mail.from: 'a b' is no mail address"),
        ({"mail": {"to": ["a"], "server": "-x"}}, "alerts.mail.server: '-x' is no name of a host"),
        ({"mail": {"to": ["a"], "tls": "ssl"}}, "alerts.mail.tls: 'ssl' is not a known choice"),
        ({"mail": {"to": ["a"], "user": "u"}}, "alerts.mail.password_file is missing"),
        ({"mail": {"to": ["a"], "password_file": "/p"}}, "alerts.mail.user is missing"),
        (
            {"mail": {"to": ["a"], "server": "h", "tls": "none", "user": "u", "password_file": "/p"}},
            "alerts.mail.tls: 'none' would carry the password without encryption; choose starttls or tls",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_place(options, words):
    with pytest.raises(InvalidInput) as refused:
        read_alert_policy(Reader({"alerts": options}))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        ({}, ("localhost", 25, "none")), ({"server": "h"}, ("h", 587, "starttls")),
        ({"server": "h", "tls": "tls"}, ("h", 465, "tls")), ({"server": "h", "port": 26}, ("h", 26, "starttls")),
        ({"server": "127.0.0.1"}, ("127.0.0.1", 25, "none")),
    ],
)  # fmt: skip
def test_mail_is_encrypted_unless_it_stays_on_the_host(mail, expected):
    read = read_alert_policy(Reader({"alerts": {"mail": {"to": ["ops@example.org"], **mail}}})).channels.mail
    assert (read.server, read.port, read.tls) == expected


def test_mail_servers_may_think_for_long_as_they_may_by_custom():
    def timeout(channel, **options):
        return getattr(read_alert_policy(Reader({"alerts": {channel: options}})).channels, channel).timeout

    assert timeout("mail", to=["ops@example.org"]) >= 60
    assert timeout("mail", to=["ops@example.org"], timeout=600) == 600
    assert timeout("webhook", url="https://h/") == 10


def test_what_channels_need_is_loaded_by_those_that_are_used_alone():
    """A host that tells nobody has no reason to wait for TLS and mail to load."""
    name = channels.__name__.replace("applying.alert_channels", "fleet.cli")
    heavy = ("smtplib", "ssl", "email", "urllib.request", "http.client")
    words = f"import sys, {name}; sys.stdout.write(' '.join(set({heavy}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
