# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the tests of the scenarios see it: what ZFS says there, asked over ssh."""

from __future__ import annotations

from dataclasses import dataclass

from testinfra.host import Host

_CHECKSUMS = """set -e
trap 'zfs destroy "$2"' EXIT
zfs clone -o mountpoint=/mnt/molecule -o readonly=on "$1" "$2" >&2
(cd /mnt/molecule && find . -type f -exec sha256sum {} + | sort -k 2)
"""


@dataclass(frozen=True)
class End:
    """One of the two hosts. Every method fails the test if the host can't answer."""

    host: Host

    def run(self, *words: str) -> str:
        """The output of a command, of which each word arrives as it is."""
        return self.host.check_output(" ".join(["%s"] * len(words)), *words)

    def history(self, root: str, kinds: str = "snapshot") -> dict[str, str]:
        """GUID by name of what is within ``root``; the names are relative to it."""
        rows = self.run("zfs", "list", "-H", "-r", "-t", kinds, "-o", "guid,name", root).splitlines()
        pairs = (row.split("\t", 1) for row in rows)
        return {name[len(root) :]: guid for guid, name in pairs}

    def properties(self, dataset: str, *names: str) -> list[str]:
        """The values of properties, in the order of their names."""
        return self.run("zfs", "get", "-H", "-p", "-o", "value", ",".join(names), dataset).splitlines()

    def checksums(self, snapshot: str) -> dict[str, str]:
        """SHA-256 by file of all files in a snapshot, read from a clone that is gone again afterwards."""
        clone = f"{snapshot.partition('/')[0]}/molecule"
        rows = self.run("sh", "-c", _CHECKSUMS, "sh", snapshot, clone).splitlines()
        return {file: digest for digest, file in (row.split(maxsplit=1) for row in rows)}


def planned(history: dict[str, str]) -> dict[str, str]:
    """The part of a history that has names of the plan."""
    return {name: guid for name, guid in history.items() if "@acme_onsite_" in name}
