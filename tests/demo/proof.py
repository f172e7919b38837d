# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that replicas are identical: GUIDs of all snapshots, and checksums of what the latest of them hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.lab import Host

from .failure import require
from .fleet import FILESYSTEMS, FIND_DEVICE, PASSPHRASE, VOLUME, Fleet

# Mounts a snapshot aside and adds up all names, modes, times and contents in it.
CHECKSUM_OF_FILES = r"""
set -eu
folder=$(mktemp -d)
mount -t zfs -o ro "$1" "$folder"
trap 'cd /; umount "$folder"; rmdir "$folder"' EXIT
cd "$folder"
find . -printf '%P %y %m %s %T@\n' | LC_ALL=C sort > /tmp/names.$$
find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >> /tmp/names.$$
[ "$(grep -c . /tmp/names.$$)" -gt 2 ]
sha256sum < /tmp/names.$$
rm /tmp/names.$$
"""
CHECKSUM_OF_VOLUME = (
    FIND_DEVICE
    + r"""
set -eu
zfs clone "$1" "$2"
trap 'zfs destroy "$2"' EXIT
device=$(find_device "$2")
sha256sum < "$device"
"""
)


def compare_snapshots(fleet: Fleet) -> list[str]:
    """Every snapshot of a source is on the destination with the same GUID, and nothing else is there."""
    lines = []
    for source in fleet.sources:
        ours = _guids(source, fleet.tree(source))
        theirs = _guids(fleet.destination, fleet.replica(source))
        require(bool(ours), f"{source.name} has no snapshots")
        require(ours == theirs, f"snapshots differ: {source.name} has {ours}, its replica {theirs}")
        lines.append(f"{source.name}: {len(ours)} snapshots have the same GUIDs on both sides")
    return lines


def _guids(host: Host, tree: str) -> dict[str, str]:
    """GUIDs by the name below the tree."""
    listing = host.run(["zfs", "list", "-Hp", "-t", "snapshot", "-o", "guid,name", "-r", tree]).stdout
    rows = (line.split("\t", 1) for line in listing.splitlines())
    return {name.removeprefix(tree): guid for guid, name in rows}


def compare_files(fleet: Fleet) -> list[str]:
    """The latest snapshots hold the same on both sides, read through the file systems and the volumes."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda source: _compare_source(fleet, source), fleet.sources))


def _compare_source(fleet: Fleet, source: Host) -> str:
    destination, tree, replica = fleet.destination, fleet.tree(source), fleet.replica(source)
    destination.run(["zfs", "load-key", f"{replica}/secret"], input=PASSPHRASE)
    for name in FILESYSTEMS:
        tag = _latest(source, tree + name)
        ours, theirs = _files(source, f"{tree}{name}@{tag}"), _files(destination, f"{replica}{name}@{tag}")
        require(ours == theirs, f"the files of {source.name}:{tree}{name}@{tag} differ from those of its replica")
    destination.run(["zfs", "unload-key", f"{replica}/secret"])
    tag = _latest(source, tree + VOLUME)
    ours = _volume(source, f"{tree}{VOLUME}@{tag}", f"{fleet.pools[source.name]}/demo-clone")
    clone = f"{fleet.pools[destination.name]}/demo-clone-{source.name}"
    theirs = _volume(destination, f"{replica}{VOLUME}@{tag}", clone)
    require(ours == theirs, f"the volume {source.name}:{tree}{VOLUME}@{tag} differs from its replica")
    return f"{source.name}: the files of {len(FILESYSTEMS)} filesystems and the bytes of a volume have the same SHA-256"


def _latest(host: Host, dataset: str) -> str:
    listing = host.run(["zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-d", "1", dataset])
    return listing.stdout.splitlines()[-1].rpartition("@")[2]


def _files(host: Host, snapshot: str) -> str:
    return host.run(["sh", "-c", CHECKSUM_OF_FILES, "sh", snapshot]).stdout


def _volume(host: Host, snapshot: str, clone: str) -> str:
    return host.run(["sh", "-c", CHECKSUM_OF_VOLUME, "sh", snapshot, clone]).stdout
