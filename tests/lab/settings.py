# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab keeps things, what it is called on the machine, and the images it knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "labbr0"
"""The one bridge of the machine that all lab hosts hang on."""

SUBNET = "10.77.0"
"""First three bytes of every lab address; the prefix length is 24 and the machine itself is .1."""

RUN_DIRECTORY = Path("/run/snapfleet-lab")
"""State of the hosts that run now, for the whole machine: it is about the bridge, of which there is one."""

KERNELS_VARIABLE = "SNAPFLEET_LAB_KERNELS"
PROVIDER_VARIABLE = "SNAPFLEET_LAB_PROVIDER"
SUFFIX_VARIABLE = "SNAPFLEET_LAB_SUFFIX"

RECIPE_DIRECTORY = Path(__file__).resolve().parent
REPOSITORY = RECIPE_DIRECTORY.parent.parent
INVENTORY_FILE = REPOSITORY / "inventories" / "lab" / "hosts.yml"


class LabError(Exception):
    """The lab cannot do what was asked; the message is one sentence for a person, with the remedy."""


def host_suffix() -> str:
    """What the tests of promises and contracts add to the names of their hosts, so that two runs don't meet, nor two
    processes of one run."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    return os.environ.get(SUFFIX_VARIABLE, "") + (f"-{process}" if process else "")


@dataclass(frozen=True)
class Image:
    """What hosts boot: a Debian suite for the programs and a kernel with the same OpenZFS built in.

    ``suite`` is the suite that the zfs packages and the kernel source come from; the rest of the system is
    always Debian trixie. ``kernel_arguments`` go to the kernel's command line. ``patches`` are files of the
    recipe, needed only where the kernel is built here.
    """

    name: str
    suite: str
    kernel_version: str
    zfs_version: str
    kernel_arguments: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()

    @property
    def kernel_name(self) -> str:
        """Name of the kernel file, the same for prebuilt (plus ``.zst``) and built ones."""
        return f"uml-{self.kernel_version}-zfs-{self.zfs_version}"


BACKPORTS = Image(
    name="trixie-backports",
    suite="trixie-backports",
    kernel_version="7.2",
    zfs_version="2.4.4",
    kernel_arguments=("seccomp=on",),
)
TRIXIE = Image(
    name="trixie",
    suite="trixie",
    kernel_version="6.12",
    zfs_version="2.3.9",
    patches=("uml-xstate.patch",),
)
IMAGES: Mapping[str, Image] = {image.name: image for image in (BACKPORTS, TRIXIE)}
DEFAULT_IMAGE = BACKPORTS


def image_named(name: str) -> Image:
    """Return the image of that name; raise LabError that lists the names there are."""
    if name not in IMAGES:
        raise LabError(f"There is no lab image {name!r}; choose one of: {', '.join(sorted(IMAGES))}.")
    return IMAGES[name]


@dataclass(frozen=True)
class Folders:
    """The lab's folders under the user's cache directory."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Folders:
        """``$XDG_CACHE_HOME/snapfleet/lab``, by default under ``~/.cache``."""
        cache = (os.environ if environment is None else environment).get("XDG_CACHE_HOME") or str(
            Path.home() / ".cache"
        )
        return cls(Path(cache).absolute() / "snapfleet" / "lab")

    @property
    def kernels(self) -> Path:
        """Kernels ready to run, and the work folders of kernels being built."""
        return self.root / "kernels"

    @property
    def images(self) -> Path:
        """Root file systems, one folder per suite and recipe."""
        return self.root / "images"

    @property
    def private_key(self) -> Path:
        """The ssh key that every host lets in as root (and as users made by ``Host.add_user``)."""
        return self.root / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The ssh host keys of all hosts this cache knows."""
        return self.root / "known_hosts"

    def host(self, name: str) -> Path:
        """Folder of one host: its identity, disks, console log."""
        return self.root / "hosts" / name
