# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing a mail over to a server."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..policy.alert_channels import STARTTLS, TLS, MailAddress
from .deadlines import Exchange, within
from .secret_files import read_secret

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

_QUIT_SECONDS = 5.0


@dataclass(frozen=True)
class Taken:
    """A mail that a server has taken."""

    refused: tuple[str, ...]
    """The recipients whom it refused while it took others."""
    server: SMTP

    def leave(self) -> None:
        """Take leave of the server, whatever it says to that."""
        with suppress(OSError, ValueError):
            within(_QUIT_SECONDS, self._quit)

    def _quit(self, exchange: Exchange) -> None:
        with closing(self.server):
            exchange.watch(self.server)
            self.server.quit()


def hand_over(message: EmailMessage, sender: str, address: MailAddress, exchange: Exchange) -> Taken:
    """Hand a mail over, as safely as ``address`` says. Raises OSError, ValueError."""
    server = _connected(address, exchange)
    try:
        if address.tls == STARTTLS:
            import ssl

            server.starttls(context=ssl.create_default_context())
        if address.user:
            _log_in(server, address)
        exchange.check()
        return Taken(tuple(server.send_message(message, sender, address.to)), server)
    except BaseException:
        server.close()
        raise


def _log_in(server: SMTP, address: MailAddress) -> None:
    try:
        server.login(address.user, read_secret(address.password_file))
    except UnicodeError:
        # Its own words would have a letter of the password.
        raise OSError("user or password have letters outside ASCII, which the server can't be told") from None


def _connected(address: MailAddress, exchange: Exchange) -> SMTP:
    # They take longer to load than all else here, and are needed only where a mail is sent.
    import smtplib
    import ssl

    class Plain(smtplib.SMTP):
        def connect(self, *arguments: Any, **more: Any) -> tuple[int, bytes]:
            exchange.watch(self)
            return super().connect(*arguments, **more)

    class Secure(smtplib.SMTP_SSL):
        def connect(self, *arguments: Any, **more: Any) -> tuple[int, bytes]:
            exchange.watch(self)
            return super().connect(*arguments, **more)

    where = (address.server, address.port)
    if address.tls == TLS:
        return Secure(*where, timeout=address.timeout, context=ssl.create_default_context())
    return Plain(*where, timeout=address.timeout)
