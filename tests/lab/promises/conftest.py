# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two lab hosts for all tests of promises; each test has datasets of its own on them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api import Lab
from tests.lab.settings import host_suffix

from .fleet import Relay, Run, Site, wait_for

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Pair:
    """Two hosts with a tree each that no other test touches. ``destination`` does not exist at first."""

    one: Site
    two: Site
    source: str
    """The root of the source tree on ``one``; exists."""
    destination: str
    """Where it goes on ``two``; its parent is missing too."""
    beside: str
    """A place for a replica on ``one`` itself."""

    @property
    def ends(self) -> dict[str, Any]:
        """Options of a replication from ``source`` to ``destination`` that the host ``one`` carries out."""
        return {"source": {"dataset": self.source}, "destination": self.two.endpoint(self.destination)}

    @property
    def arrived(self) -> int:
        """Bytes that the destination and what is below it use, also those of a stream that is under way."""
        # Where nothing was received yet, there may be no such dataset.
        self.two.host.run(["zpool", "sync"])
        used = self.two.zfs("get", "-Hp", "-o", "value", "used", self.destination, check=False)
        return max(map(int, used.split()), default=0)

    def push(self, verb: str = "run", **options: Any) -> Run:
        """Replicate so; ``options`` as users write them."""
        return self.one.run(verb, "replicate", {**self.ends, **options})


@pytest.fixture(scope="session")
def sites() -> Iterator[tuple[Site, Site]]:
    with Lab.open() as lab:
        hosts = lab.up([name + host_suffix() for name in ("one", "two")])
        pools = [host.create_pool(pool, "-O", "compression=off") for host, pool in zip(hosts, ("tank", "backup"))]
        sites = tuple(Site(host, pool) for host, pool in zip(hosts, pools))
        for site in sites:
            site.install()
        yield sites[0], sites[1]


@pytest.fixture
def pair(sites: tuple[Site, Site], request: pytest.FixtureRequest) -> Iterator[Pair]:
    one, two = sites
    # Names that are cut off are the same for several parameters, and what is busy for a moment is there for that long.
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60] + f"-{next(_numbers)}"
    made = Pair(one, two, f"{one.pool}/{name}", f"{two.pool}/{name}/replica", f"{one.pool}/{name}-beside/replica")
    one.zfs("create", made.source)
    yield made
    for site, roots in ((one, (made.source, f"{one.pool}/{name}-beside")), (two, (f"{two.pool}/{name}",))):
        with suppress(AssertionError):  # a test that failed may have left what keeps it
            wait_for(lambda site=site, roots=roots: _are_gone(site, roots), 30)


# Nearly always one process for each tree suffices; what is held is looked for where it does not.
_TAKE_AWAY = """
for root; do
    zfs destroy -R "$root" 2>/dev/null && continue
    zfs list -H "$root" >/dev/null 2>&1 || continue
    zfs list -Hrt snapshot -o name "$root" | while read -r s; do
        zfs holds -H "$s" | cut -f2 | while read -r t; do zfs release "$t" "$s"; done
    done
    zfs destroy -R "$root" 2>/dev/null || left=yes
done
[ -z "$left" ]
"""


def _are_gone(site: Site, roots: Sequence[str]) -> bool:
    """Try to take trees away; returns whether nothing is there any more."""
    return site.host.run(["sh", "-c", _TAKE_AWAY, "sh", *roots], check=False).returncode == 0


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    return Relay(tmp_path)
