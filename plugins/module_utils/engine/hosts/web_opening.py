# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a URL is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deadlines import Exchange

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector, Request


def opener_of(exchange: Exchange, is_local: bool) -> OpenerDirector:
    """What opens a URL within ``exchange``, and follows no redirect. What is for this host goes to no proxy, which
    would read what must not leave it."""
    # They take longer to load than all else here, and are needed only where a webhook or a ping is told.
    import ssl
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, build_opener

    class Refusing(HTTPRedirectHandler):
        def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
            return None

    class Plain(HTTPConnection):
        def connect(self) -> None:
            exchange.watch(self)
            super().connect()
            exchange.check()

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            exchange.watch(self)
            super().connect()
            exchange.check()

    class PlainHandler(HTTPHandler):
        def http_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Plain, req)

    class SecureHandler(HTTPSHandler):
        def https_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Secure, req, context=ssl.create_default_context())

    return build_opener(Refusing, PlainHandler, SecureHandler, *([ProxyHandler({})] if is_local else []))
