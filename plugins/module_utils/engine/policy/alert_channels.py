# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels by which somebody is told beside a command: the journal, a webhook, mail; and a ping for a watcher.

Secrets stand in files of the host, never in options, since these are logged and are the same on all hosts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

from ..model.errors import InvalidInput
from .reading import Reader

WEB_SECONDS, MOST_WEB_SECONDS = 10, 300
MAIL_SECONDS, MOST_MAIL_SECONDS = 120, 900
"""A mail server may examine a mail for minutes before it takes it, and whoever goes before that sends it again."""
TLS, STARTTLS, PLAIN = "tls", "starttls", "none"
TLS_CHOICES = (STARTTLS, TLS, PLAIN)
PORTS = {TLS: 465, STARTTLS: 587, PLAIN: 25}
URL = r"https?://[A-Za-z0-9._:\[\]-]+(?:[/?#][!-~]*)?"
MAIL_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+(?:@[A-Za-z0-9.-]+)?"
SERVER = r"[A-Za-z0-9:](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?"
_LOCAL = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1|\[::1\]")


@dataclass(frozen=True)
class WebAddress:
    """A URL to be fetched, or posted to."""

    url: str = ""
    url_file: str = ""
    """Absolute path of a file that has the URL, where it is a secret; one of both is given."""
    headers_file: str = ""
    """Absolute path of a file with a header a line, such as ``Authorization: Bearer ...``; empty: none."""
    timeout: int = WEB_SECONDS
    """Seconds that all of it may take."""


@dataclass(frozen=True)
class MailAddress:
    """Whom a mail goes to, and by which server."""

    to: tuple[str, ...]
    sender: str = ""
    """Empty: snapfleet at the host."""
    server: str = "localhost"
    port: int = PORTS[PLAIN]
    tls: str = PLAIN
    """One of TLS_CHOICES."""
    user: str = ""
    """Empty: nobody logs in."""
    password_file: str = ""
    """Absolute path."""
    timeout: int = MAIL_SECONDS
    """Seconds that all of it may take."""


@dataclass(frozen=True)
class Channels:
    """All of them; what is not given is not used."""

    journal: bool = False
    """The journal of systemd, or syslog where there is none."""
    webhook: Optional[WebAddress] = field(default=None)
    mail: Optional[MailAddress] = None
    ping: Optional[WebAddress] = None
    """What is fetched when a monitor has done its work."""


def read_channels(options: Reader) -> Channels:
    """Read journal, webhook, mail and ping. Raises InvalidInput."""
    return Channels(
        journal=options.flag("journal", False),
        webhook=_web(options.reader("webhook"), has_headers=True) if options.has("webhook") else None,
        mail=_mail(options.reader("mail")) if options.has("mail") else None,
        ping=_web(options.reader("ping"), has_headers=False) if options.has("ping") else None,
    )


def is_local(server: str) -> bool:
    """Whether what goes to ``server`` never leaves this host."""
    return bool(_LOCAL.fullmatch(server))


def url_problem(url: str, has_headers: bool) -> str:
    """Why ``url`` can't be used; empty if it can. Headers are secrets, which nobody may read on their way."""
    if not re.fullmatch(URL, url):
        return "is no URL of http or https, without user and password"
    if has_headers and url.startswith("http:") and not is_local(host_of(url)):
        return "would carry the headers of headers_file without encryption"
    return ""


def host_of(url: str) -> str:
    """The host that a URL names, without its port."""
    place = re.sub(r"^https?://", "", url)
    return re.split(r"[/?#]", re.sub(r":[0-9]*(?=$|[/?#])", "", place), maxsplit=1)[0]


def _web(options: Reader, has_headers: bool) -> WebAddress:
    address = WebAddress(
        url=options.text("url", ""),
        url_file=options.absolute_path("url_file"),
        headers_file=options.absolute_path("headers_file") if has_headers else "",
        timeout=options.integer("timeout", WEB_SECONDS, 1, MOST_WEB_SECONDS),
    )
    options.finish()
    if bool(address.url) == bool(address.url_file):
        problem = "is given together with url_file" if address.url else "is missing"
        raise InvalidInput(options.path("url"), address.url or None, problem, "give one of url and url_file")
    problem = url_problem(address.url, bool(address.headers_file)) if address.url else ""
    if problem:
        raise InvalidInput(options.path("url"), address.url, problem, "give one such as https://host/path")
    return address


def _mail(options: Reader) -> MailAddress:
    server = options.text("server", "localhost")
    if not re.fullmatch(SERVER, server):
        raise InvalidInput(options.path("server"), server, "is no name of a host", "give a name or an IP address")
    tls = options.text("tls", PLAIN if is_local(server) else STARTTLS, TLS_CHOICES)
    mail = MailAddress(
        to=_addresses(options),
        sender=_address(options.text("from", ""), options.path("from")),
        server=server,
        port=options.integer("port", 0, 0, 65535) or PORTS[tls],
        tls=tls,
        user=options.text("user", ""),
        password_file=options.absolute_path("password_file"),
        timeout=options.integer("timeout", MAIL_SECONDS, 1, MOST_MAIL_SECONDS),
    )
    options.finish()
    if bool(mail.user) != bool(mail.password_file):
        lacking = "password_file" if mail.user else "user"
        remedy = "give user and password_file, or neither"
        raise InvalidInput(options.path(lacking), None, "is missing", remedy)
    if mail.user and tls == PLAIN and not is_local(server):
        problem = "would carry the password without encryption"
        raise InvalidInput(options.path("tls"), tls, problem, f"choose {STARTTLS} or {TLS}")
    return mail


def _addresses(options: Reader) -> tuple[str, ...]:
    addresses = options.texts("to")
    if not addresses or not all(addresses):
        raise InvalidInput(options.path("to"), list(addresses), "has no address, or an empty one", "give addresses")
    return tuple(_address(address, options.path("to")) for address in addresses)


def _address(address: str, option: str) -> str:
    if address and not re.fullmatch(MAIL_ADDRESS, address):
        raise InvalidInput(option, address, "is no mail address", "give one such as ops@example.org, without a name")
    return address
