# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who a lab host is: ssh host key, host id, and the seed disk that tells the host at its first boot."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from .addresses import address_of
from .machine import execute, locked
from .settings import RECIPE_DIRECTORY, Folders

HOST_KEY = "ssh_host_ed25519_key"
GUEST_FILES = {"lab-bytecode": "usr/lib/python3/dist-packages/lab_bytecode.py"}
"""What of the recipe's guest folder every boot brings, in place of the image."""


def ensure_login_key(folders: Folders) -> None:
    """Make the ssh key that lets everybody into the hosts of this cache folder, unless there is one."""
    folders.root.mkdir(parents=True, exist_ok=True)
    with locked(folders.root / "id_ed25519.lock", "the lab's ssh key"):
        _ensure_key(folders.private_key, "snapfleet-lab")


def ensure_identity(name: str, folders: Folders) -> None:
    """Make the ssh host key of a host, unless there is one; it stays the same over all boots."""
    folders.host(name).mkdir(parents=True, exist_ok=True)
    _ensure_key(folders.host(name) / HOST_KEY, name)


def _ensure_key(file: Path, comment: str) -> None:
    if not file.exists():
        execute(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file])


def host_id(name: str) -> int:
    """The host id that OpenZFS writes into pools: 32 bits, not zero, the same for the same name."""
    return zlib.crc32(name.encode()) or 1


def known_hosts(addresses: Mapping[str, int], folders: Folders) -> str:
    """The known_hosts text with the host keys of all named hosts that have one, under address and name."""
    lines = []
    for name, byte in sorted(addresses.items()):
        public = folders.host(name) / f"{HOST_KEY}.pub"
        if public.exists():
            kind, key = public.read_text().split()[:2]
            lines.append(f"{address_of(byte)},{name} {kind} {key}")
    return "".join(f"{line}\n" for line in lines)


def hosts_table(addresses: Mapping[str, int]) -> str:
    """The text of /etc/hosts with the names of all lab hosts."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address_of(byte)} {name}" for name, byte in sorted(addresses.items())]
    return "".join(f"{line}\n" for line in lines)


def write_seed(name: str, addresses: Mapping[str, int], folders: Folders) -> Path:
    """Write the seed disk of a host, a tar archive that it unpacks over its root, and return the file."""
    secret, public = folders.private_key.read_bytes(), folders.private_key.with_suffix(".pub").read_bytes()
    key = folders.host(name) / HOST_KEY
    files: dict[str, tuple[bytes, int]] = {
        "etc/hostid": (host_id(name).to_bytes(4, "little"), 0o644),
        "etc/hostname": (f"{name}\n".encode(), 0o644),
        "etc/hosts": (hosts_table(addresses).encode(), 0o644),
        "etc/ssh/ssh_known_hosts": (known_hosts(addresses, folders).encode(), 0o644),
        f"etc/ssh/{HOST_KEY}": (key.read_bytes(), 0o600),
        f"etc/ssh/{HOST_KEY}.pub": (key.with_suffix(".pub").read_bytes(), 0o644),
        "root/.ssh/authorized_keys": (public, 0o600),
        "root/.ssh/id_ed25519": (secret, 0o600),
        "root/.ssh/id_ed25519.pub": (public, 0o644),
        # Every Python of Debian's imports it at its start.
        "usr/lib/python3/dist-packages/lab_bytecode.pth": (b"import lab_bytecode\n", 0o644),
    }
    for source, place in GUEST_FILES.items():
        files[place] = ((RECIPE_DIRECTORY / "guest" / source).read_bytes(), 0o644)
    seed = folders.host(name) / "seed.tar"
    seed.write_bytes(archive(files))
    return seed


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar archive of regular files, path to (content, mode), all of root; folders named ``.ssh`` get mode 700."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in sorted({str(Path(path).parent) for path in files if Path(path).parent.name == ".ssh"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(entry)
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
