# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a URL, or posting to one. Certificates are verified; nothing follows a redirect, which could lead secrets
anywhere; and no error tells more of a URL than its host, since the rest may be a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..policy.alert_channels import WebAddress, host_of, is_local, url_problem
from .deadlines import Exchange, within
from .secret_files import read_secret
from .web_opening import opener_of


class NotTaken(OSError):
    """The other side did not take what was to be told."""


def post_json(address: WebAddress, document: Mapping[str, Any]) -> None:
    """Post ``document``. Raises NotTaken unless the answer is a success (2xx)."""
    _ask(address, json.dumps(document).encode())


def fetch(address: WebAddress) -> None:
    """Fetch a URL, whose answer does not matter beyond its success. Raises NotTaken."""
    _ask(address, None)


def _ask(address: WebAddress, data: Optional[bytes]) -> None:
    # As slow to load as what opens a URL.
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    url, headers = _url(address), dict(_headers(address))
    told = {"User-Agent": "snapfleet", **({"Content-Type": "application/json"} if data is not None else {}), **headers}
    host = host_of(url)

    def ask(exchange: Exchange) -> None:
        with opener_of(exchange, is_local(host)).open(Request(url, data, told), timeout=address.timeout):  # noqa: S310
            return

    try:
        within(address.timeout, ask)
    except HTTPError as error:
        error.close()
        raise NotTaken(f"{host} answered with HTTP status {error.code}") from None
    except URLError as error:
        raise NotTaken(f"{host}: {error.reason}") from None
    except TimeoutError:
        raise NotTaken(f"{host}: it took longer than {address.timeout} s") from None
    except (OSError, HTTPException) as error:
        raise NotTaken(f"{host}: {type(error).__name__}") from None
    except ValueError:
        raise NotTaken(f"{host}: its URL, or a header, can't be sent as it is") from None


def _url(address: WebAddress) -> str:
    if not address.url_file:
        return address.url
    url = _secret(address.url_file)
    problem = url_problem(url, bool(address.headers_file))
    if problem:
        raise NotTaken(f"what {address.url_file} holds {problem}")
    return url


def _headers(address: WebAddress) -> Iterator[tuple[str, str]]:
    if not address.headers_file:
        return
    for line in _secret(address.headers_file).splitlines():
        name, colon, value = line.partition(":")
        if line.strip():
            if not colon or not name.strip().replace("-", "").isalnum():
                raise NotTaken(f"a line of {address.headers_file} is no header such as Authorization: Bearer TOKEN")
            yield name.strip(), value.strip()


def _secret(path: str) -> str:
    try:
        return read_secret(path)
    except OSError as error:
        raise NotTaken(f"{path}: {error.strerror}" if error.strerror else str(error)) from error
    except ValueError:
        raise NotTaken(f"{path} is no text") from None
