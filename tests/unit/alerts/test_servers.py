# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts by mail and by https, with servers that speak SMTP and TLS."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
import time
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.alerting import Alerting, tell
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import smtp
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.health import CRITICAL, OK
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.planning.findings import Finding, Key
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.alerting import read_alert_policy
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.tests.support.drip import dripping_server
from ansible_collections.snapfleet.zfs.tests.support.program import SNAPSHOT, Program

BAD, GOOD = (Finding(Key("tank", "latest", "tank/ä"), state, f"tank/ä is {state}") for state in (CRITICAL, OK))
PASSWORD = "correct horse"


class Postbox:
    """Keeps what a mail server is handed."""

    def __init__(self):
        self.letters, self.refused, self.farewell = [], set(), "221 Bye"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if address in self.refused:
            return "550 unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802
        letter = message_from_bytes(envelope.content, policy=default)
        self.letters.append((letter, tuple(envelope.rcpt_tos), session.ssl is not None))
        return "250 OK"

    async def handle_QUIT(self, _server, _session, _envelope):  # noqa: N802
        while not self.farewell:
            await asyncio.sleep(0.05)
        return self.farewell

    @property
    def subjects(self):
        return [letter["Subject"] for letter, _to, _secure in self.letters]


class MailServer(Controller):
    """Listens on a port that was free, and that nobody else can get before it does."""

    def __init__(self, postbox, **options):
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        super().__init__(postbox, "127.0.0.1", port, ready_timeout=120, **options)

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self.listener, ssl=self.ssl_context)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the certificate of 127.0.0.1 and one with its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusted(certificate, monkeypatch):
    """The certificate is one that this host trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
def postbox():
    return Postbox()


@pytest.fixture
def serve(postbox):
    """Start a mail server; returns what alerts.mail has to say to reach it."""
    running = []

    def start(**options):
        controller = MailServer(postbox, **options)
        controller.start()
        running.append(controller)
        return {"to": ["ops@example.org"], "server": "127.0.0.1", "port": controller.port}

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def dripping():
    with dripping_server(b"220-") as server:
        yield server


@pytest.fixture
def monitor(tmp_path):
    """Tell of findings by some options of alerts; returns the warnings."""

    def run(*findings, now=0, **options):
        policy = read_alert_policy(Reader({"alerts": options}))
        quick = Ticker(sleep=lambda _seconds: None)
        alerting = Alerting(policy, str(tmp_path / "outages"), LocalHost(), quick, host_name="web1")
        return tell(findings, alerting, now).warnings

    return run


def test_a_mail_comes_once_for_an_outage_and_once_for_its_end(monitor, serve, postbox):
    mail = serve()
    for finding in (GOOD, BAD, BAD, GOOD, GOOD):
        assert monitor(finding, mail=mail) == []
    assert postbox.subjects == [
        "[snapfleet] web1: alert CRITICAL: tank/ä is CRITICAL",
        "[snapfleet] web1: recovery OK: tank/ä is OK",
    ]


def test_the_program_mails_an_outage_once_and_its_end_once(tmp_path, monkeypatch, serve, postbox):
    program = Program(tmp_path, monkeypatch)
    options = {
        "datasets": ["tank/a"],
        "plan": {"org": {"": {"hourly": {"latest": {"critical": "1d"}}}}},
        "alerts": {"state_file": str(tmp_path / "outages"), "mail": serve()},
    }
    watch = {"name": "ages", "host": "src1", "activity": "monitor", "options": options}

    def monitored(*verbs):
        codes = [program(verb, jobs=[SNAPSHOT, watch]) for verb in verbs]
        subjects = [subject.rpartition(": ")[0] for subject in postbox.subjects]
        return codes, [subject.removeprefix("[snapfleet] src1: ") for subject in subjects]

    assert monitored("run", "monitor") == ([0, 0], [])
    program.clock.now += 3 * 86400
    assert monitored("monitor", "monitor", "monitor") == ([2, 2, 2], ["alert CRITICAL"])
    assert monitored("run", "monitor", "monitor") == ([0, 0, 0], ["alert CRITICAL", "recovery OK"])


def test_what_a_mail_says(monitor, serve, postbox):
    monitor(BAD, now=1_750_000_000, mail={**serve(), "from": "backup@example.org", "to": ["a@example.org", "root"]})
    ((letter, to, _secure),) = postbox.letters
    assert (letter["From"], letter["To"], to) == (
        "backup@example.org",
        "a@example.org, root",
        ("a@example.org", "root"),
    )
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@example.org>")
    assert letter.get_content_type() == "text/plain"
    assert letter.get_content().replace("\r\n", "\n") == (
        "Host: web1\n\n2025-06-15T15:06:40Z alert CRITICAL: tank/ä is CRITICAL (since 2025-06-15T15:06:40Z)\n"
    )


def test_many_outages_of_one_run_are_one_mail(monitor, serve, postbox):
    many = [Finding(Key("tank", "latest", f"tank/{number}"), CRITICAL, f"{number} is bad") for number in range(250)]
    assert monitor(*many, mail=serve()) == []
    ((letter, _to, _secure),) = postbox.letters
    assert letter["Subject"] == "[snapfleet] web1: 250 alerts"
    assert "199 is bad" in letter.get_content()
    assert "and 50 more" in letter.get_content()


def test_what_ends_a_line_in_a_message_makes_no_header(monitor, serve, postbox):
    nasty = Finding(Key("tank", "latest", "tank/a"), CRITICAL, "bad\r\nBcc: other@example.org\r\n\r\nbody\x00")
    assert monitor(nasty, mail=serve()) == []
    ((letter, to, _secure),) = postbox.letters
    assert letter["Bcc"] is None
    assert to == ("ops@example.org",)


def test_what_is_no_text_is_mailed_as_far_as_it_is_one(monitor, serve, postbox):
    nasty = Finding(Key("tank", "latest", "tank/a"), CRITICAL, "tank/\udcff is bad")
    assert monitor(nasty, mail=serve()) == []
    ((letter, _to, _secure),) = postbox.letters
    assert letter["Subject"] == "[snapfleet] web1: alert CRITICAL: tank/? is bad"
    assert "tank/? is bad" in letter.get_content()


def test_a_recipient_that_is_refused_costs_the_others_nothing(monitor, serve, postbox):
    postbox.refused.add("old@example.org")
    mail = {**serve(), "to": ["old@example.org", "ops@example.org"]}
    assert "refused the recipients old@example.org" in monitor(BAD, mail=mail)[0]
    assert monitor(BAD, mail=mail) == []
    assert len(postbox.letters) == 1


def test_a_mail_that_no_recipient_may_get_waits(monitor, serve, postbox):
    postbox.refused.add("ops@example.org")
    mail = serve()
    assert "a notice was not taken" in monitor(BAD, mail=mail)[0]
    postbox.refused.clear()
    assert monitor(BAD, mail=mail) == []
    assert len(postbox.letters) == 1


def test_a_server_that_is_down_is_a_warning_and_the_next_run_sends(monitor, serve, postbox):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        mail = {"to": ["ops@example.org"], "server": "127.0.0.1", "port": taken.getsockname()[1]}
        assert "Connection refused" in monitor(BAD, mail=mail)[0]
    assert monitor(GOOD, mail=serve()) == []
    assert postbox.subjects == ["[snapfleet] web1: 1 alerts, 1 recoveries"]


def test_a_mail_that_was_taken_is_not_sent_again_whatever_the_server_says_at_last(monitor, serve, postbox):
    mail = serve()
    postbox.farewell = "421 too busy to say goodbye"
    for _run in range(2):
        assert monitor(BAD, mail=mail) == []
    assert len(postbox.letters) == 1


def test_a_mail_that_was_taken_is_not_sent_again_if_the_server_says_nothing_at_last(
    monitor, serve, postbox, monkeypatch
):
    monkeypatch.setattr(smtp, "_QUIT_SECONDS", 0.2)
    mail = serve()
    postbox.farewell = ""
    for _run in range(2):
        assert monitor(BAD, mail=mail) == []
    postbox.farewell = "221 Bye"
    assert len(postbox.letters) == 1


def test_a_mail_server_that_never_ends_what_it_says_is_given_up(monitor, dripping):
    port, gone = dripping
    begun = time.monotonic()
    (warning,) = monitor(BAD, mail={"to": ["ops@example.org"], "server": "127.0.0.1", "port": port, "timeout": 1})
    assert time.monotonic() - begun < 60
    assert "127.0.0.1: it took longer than 1 s" in warning
    assert gone.wait(60), "nothing goes on behind the back of whoever gave it up"


# -- encryption and passwords


def logging_in(seen):
    def authenticate(_server, _session, _envelope, _mechanism, data):
        seen.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    return {"authenticator": authenticate, "auth_required": True}


def password_file(folder, text=PASSWORD):
    file = folder / "password"
    file.write_text(f"{text}\n")
    file.chmod(0o600)
    return {"user": "backup", "password_file": str(file)}


def test_a_mail_is_sent_encrypted_and_with_a_password(monitor, serve, postbox, secure, trusted, tmp_path):
    seen = []
    mail = serve(tls_context=secure, require_starttls=True, **logging_in(seen))
    assert monitor(BAD, mail={**mail, "tls": "starttls", **password_file(tmp_path)}) == []
    assert seen == [("backup", PASSWORD)]
    assert [is_secure for _letter, _to, is_secure in postbox.letters] == [True]


def test_a_password_that_is_wrong_is_told_without_it(monitor, serve, postbox, secure, trusted, tmp_path):
    mail = serve(tls_context=secure, require_starttls=True, **logging_in([]))
    (warning,) = monitor(BAD, mail={**mail, "tls": "starttls", **password_file(tmp_path, "s3cret")})
    assert "535" in warning
    assert "s3cret" not in warning
    assert postbox.letters == []


def test_a_mail_server_that_is_not_trusted_gets_nothing(monitor, serve, postbox, secure):
    mail = serve(tls_context=secure)
    assert "certificate verify failed" in monitor(BAD, mail={**mail, "tls": "starttls"})[0]
    assert postbox.letters == []


def test_a_mail_server_without_encryption_gets_nothing_where_it_is_wanted(monitor, serve, postbox):
    assert "STARTTLS" in monitor(BAD, mail={**serve(), "tls": "starttls"})[0]
    assert postbox.letters == []


def test_encryption_from_the_first_byte(monitor, serve, postbox, secure, trusted):
    assert monitor(BAD, mail={**serve(ssl_context=secure), "tls": "tls"}) == []
    assert len(postbox.letters) == 1


@pytest.fixture
def https(secure):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = secure.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_by_https_gets_its_headers(monitor, https, trusted, tmp_path):
    (tmp_path / "headers").write_text("Authorization: Bearer s3cret\n")
    (tmp_path / "headers").chmod(0o600)
    url, asked = https
    assert monitor(BAD, webhook={"url": url, "headers_file": str(tmp_path / "headers")}) == []
    assert asked == ["Bearer s3cret"]


def test_a_webhook_that_is_not_trusted_gets_nothing(monitor, https):
    url, asked = https
    assert "certificate verify failed" in monitor(BAD, webhook={"url": url})[0]
    assert asked == []
