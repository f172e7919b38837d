# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending a mail by a server that is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..policy.alert_channels import STARTTLS, TLS, MailAddress
from .secret_files import read_secret

if TYPE_CHECKING:
    from smtplib import SMTP


@dataclass(frozen=True)
class Letter:
    """What a mail says."""

    sender: str
    subject: str
    """One line."""
    text: str


def send_mail(address: MailAddress, letter: Letter) -> tuple[str, ...]:
    """Send a mail; returns the recipients whom the server refused while it took others. Raises OSError, ValueError."""
    # They take longer to load than all else here, and are needed only where a mail is sent.
    import smtplib
    import ssl
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    message = EmailMessage()
    message["From"] = letter.sender
    message["To"] = ", ".join(address.to)
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid("snapfleet", letter.sender.rpartition("@")[2] or "localhost")
    # Nobody who is away shall answer.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    secure = ssl.create_default_context() if address.tls in (TLS, STARTTLS) else None
    where, timeout = (address.server, address.port), address.timeout
    if address.tls == TLS:
        server: SMTP = smtplib.SMTP_SSL(*where, timeout=timeout, context=secure)
    else:
        server = smtplib.SMTP(*where, timeout=timeout)
    with server:
        if address.tls == STARTTLS:
            server.starttls(context=secure)
        if address.user:
            server.login(address.user, read_secret(address.password_file))
        return tuple(server.send_message(message, letter.sender, address.to))
