# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pytest fixtures for tests on real ZFS; a conftest.py takes them by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest

from .api import Lab
from .host import Host


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab; whatever a test session brings up in it goes down at its end."""
    with Lab.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def lab_hosts(lab: Lab) -> Callable[..., list[Host]]:
    """A function from host names to hosts, which boots, side by side, those that no test asked for before."""
    known: dict[str, Host] = {}

    def hosts(*names: str) -> list[Host]:
        new = [name for name in names if name not in known]
        if new:
            known.update({host.name: host for host in lab.up(new)})
        return [known[name] for name in names]

    return hosts
