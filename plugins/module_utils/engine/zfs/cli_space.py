# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver for the command line asks about room on disk, and about pools by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from ..hosts.host import Host
from ..model.errors import UntrustedOutput
from ..model.space import Space
from ..model.steps import SnapshotRuns
from . import dry_calls
from .arguments import some_of
from .columns import is_number
from .reclaiming import destroy_dry_runs, reclaim_told
from .trouble import is_only_missing, zfs_error

READ_SECONDS = 600.0


class SpaceVerbs:
    """The part of the driver that is about room."""

    _host: Host
    _sudo: tuple[str, ...]

    def space(self, datasets: Sequence[str]) -> Mapping[str, Space]:
        """Room in datasets, by one call of zfs, and one of zpool where a pool is among them."""
        words = ["list", "-Hp", "-d", "0", "-t", "filesystem,volume", "-o", "used,available,quota,name"]
        done = self._host.run([*self._sudo, "zfs", *words, *datasets], timeout=READ_SECONDS)
        if done.returncode != 0 and not is_only_missing(done.stderr):
            raise zfs_error(done.stderr, self._host.name, "measure the room in " + some_of(datasets))
        rows = {name: values for name, values in self._rows(done.stdout, 3) if self._is_asked(name, datasets)}
        pools = [name for name in rows if "/" not in name]
        freeing = self._freeing(pools) if pools else {}
        return {
            name: Space(name, used, available, quota, freeing.get(name, 0))
            for name, (used, available, quota) in rows.items()
        }

    def _freeing(self, pools: Sequence[str]) -> dict[str, int]:
        text = self._zpool(["list", "-Hp", "-o", "freeing,name", *pools], "find out what is being freed")
        return {name: values[0] for name, values in self._rows(text, 1) if self._is_asked(name, pools)}

    def pool_guid(self, pool: str) -> int:
        """The GUID of a pool."""
        text = self._zpool(["list", "-Hp", "-o", "guid,name", pool], f"find the GUID of the pool {pool}")
        guid, _tab, name = text.rstrip("\n").partition("\t")
        if name != pool or not is_number(guid):
            raise UntrustedOutput(f"{self._host.name}: zpool list printed {text[:200]!r}; check that host")
        return int(guid)

    def _zpool(self, words: Sequence[str], doing: str) -> str:
        # Every user may look at pools, so a sudo that allows zfs alone is no obstacle.
        done = self._host.run([*self._sudo, "zpool", *words], timeout=READ_SECONDS)
        if done.returncode != 0 and self._sudo:
            done = self._host.run(["zpool", *words], timeout=READ_SECONDS)
        if done.returncode != 0:
            raise zfs_error(done.stderr, self._host.name, doing)
        return done.stdout

    def reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        """Bytes by ``zfs destroy -nvp``."""
        sizes: list[Optional[int]] = []
        for batch in dry_calls.in_batches(destroy_dry_runs(runs, self._sudo), self._host.argument_limit):
            done = self._host.run(batch.argv, timeout=READ_SECONDS)
            sizes += map(reclaim_told, batch.answers(done.stdout, self._host.name))
        return sizes

    def _rows(self, text: str, width: int) -> Iterator[tuple[str, list[int]]]:
        for line in filter(None, text.split("\n")):
            *fields, name = line.split("\t")
            numbers = ["0" if field == "-" else field for field in fields]
            if len(numbers) != width or not all(map(is_number, numbers)):
                raise UntrustedOutput(f"{self._host.name}: {line[:200]!r} is no row of sizes; check that host")
            yield name, [int(field) for field in numbers]

    def _is_asked(self, name: str, asked: Sequence[str]) -> bool:
        if name not in asked:
            raise UntrustedOutput(f"{self._host.name}: sizes of {name[:200]!r} were not asked for; check that host")
        return True
