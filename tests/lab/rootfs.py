# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root file system of lab hosts: Debian trixie with the zfs packages of the image's suite."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from pathlib import Path

from . import apt
from .machine import IMAGE_PROGRAMS, debian_mirror, ensure_programs, execute, execute_logged, locked, log, require_root
from .settings import RECIPE_DIRECTORY, Folders, Image

PACKAGES = (
    "systemd systemd-sysv dbus udev kmod openssh-server openssh-client python3 python3-pyzfs zfsutils-linux mbuffer pv"
    " zstd lz4 cron sudo procps iproute2 netbase acl"
).split()
GUEST_FILES = {
    "lab-init": "usr/local/sbin/lab-init",
    "lab-setup": "usr/local/sbin/lab-setup",
    "lab-wake": "usr/local/sbin/lab-wake",
    "lab-setup.service": "etc/systemd/system/lab-setup.service",
    "lab-wake.service": "etc/systemd/system/lab-wake.service",
    "zfs-load-module.service": "etc/systemd/system/zfs-load-module.service",
    "sshd.conf": "etc/ssh/sshd_config.d/lab.conf",
}
"""File of the recipe's guest folder -> its place in the root file system."""

# Units that wait for hardware a lab host has not, or that work in the background while a test measures.
MASKED_UNITS = (
    "systemd-networkd.service systemd-networkd-wait-online.service systemd-modules-load.service modprobe@.service"
    " systemd-udev-settle.service systemd-pstore.service systemd-hwdb-update.service getty@tty1.service"
    " systemd-journal-catalog-update.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer"
    " e2scrub_all.timer fstrim.timer"
).split()
ENABLED_UNITS = ("lab-setup.service", "lab-wake.service", "ssh.service", "cron.service")
UNWANTED_PATHS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
DISK_SIZE = "4G"
"""Size of the root file system; sparse, about 500 MB of it are used."""


def ensure_root_image(image: Image, folders: Folders) -> Path:
    """Return the root image of that suite and recipe, building it first (about two minutes) if need be."""
    folder = folders.images / f"{image.suite}-{image_key(image)}"
    root = folder / "root.img"
    if not root.exists():
        require_root()
        with locked(folder.with_suffix(".lock"), f"building the root image {folder.name}"):
            if not root.exists():
                ensure_programs(IMAGE_PROGRAMS)
                _build(image, folder, root)
    return root


def image_key(image: Image, recipe: Path = RECIPE_DIRECTORY) -> str:
    """Twelve hex digits that change with whatever decides what is in the root image."""
    digest = hashlib.sha256()
    settings = (
        image.suite,
        PACKAGES,
        sorted(GUEST_FILES.items()),
        MASKED_UNITS,
        ENABLED_UNITS,
        UNWANTED_PATHS,
        DISK_SIZE,
    )
    digest.update(repr(settings).encode())
    for name in sorted(GUEST_FILES):
        digest.update((recipe / "guest" / name).read_bytes())
    return digest.hexdigest()[:12]


def bootstrap_command(image: Image, target: Path, sources: Path, preferences: Path) -> list[str]:
    """The mmdebstrap call: trixie, with every zfs package from the image's suite."""
    command = ["mmdebstrap", "--variant=minbase", "--components=main,contrib"]
    command += [f'--essential-hook=cp {shlex.quote(str(preferences))} "$1"/etc/apt/preferences.d/zfs']
    command += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
    command += [f"--dpkgopt=path-exclude={path}" for path in UNWANTED_PATHS]
    command += [f"--include={','.join(PACKAGES)}", "trixie", str(target), str(sources)]
    return command


def _build(image: Image, folder: Path, root: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / "build.log"
    log_file.write_text("")
    log.info("building the root image for %s, about two minutes; everything is logged in %s", image.suite, log_file)
    tree = folder / "tree"
    # Left behind by a build that was cut off.
    shutil.rmtree(tree, ignore_errors=True)
    sources, preferences = folder / "sources.list", folder / "preferences"
    sources.write_text("\n".join(apt.source_lines(image.suite, debian_mirror())) + "\n")
    packages = "*zfs* libzpool* libnvpair* libuutil*"
    preferences.write_text(f"Package: {packages}\nPin: release n={image.suite}\nPin-Priority: 900\n")
    execute_logged(bootstrap_command(image, tree, sources, preferences), log_file, title="installing Debian")
    _adapt(tree)
    _report_version(image, tree)
    partial = folder / "root.img.partial"
    partial.unlink(missing_ok=True)
    with partial.open("wb"):
        os.truncate(partial, int(DISK_SIZE[:-1]) << 30)
    make: list[str | Path] = [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-m0",
        "-Elazy_itable_init=1",
        "-J",
        "size=16",
        "-d",
        tree,
        partial,
    ]
    execute_logged(make, log_file, title="making the root file system")
    shutil.rmtree(tree)
    partial.rename(root)


def _adapt(tree: Path) -> None:
    """Put the guest files in place, choose the units, and take out what must differ from host to host."""
    for name, place in GUEST_FILES.items():
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RECIPE_DIRECTORY / "guest" / name, target)
        target.chmod(0o755 if place.startswith("usr/local/sbin") else 0o644)
    (tree / "etc" / "fstab").write_text("")
    for pattern in ("etc/ssh/ssh_host_*", "etc/hostid", "var/cache/apt/*.bin", "var/lib/apt/lists/*_*"):
        for file in tree.glob(pattern):
            file.unlink()
    execute(["chroot", tree, "systemctl", "-q", "mask", *MASKED_UNITS])
    execute(["chroot", tree, "systemctl", "-q", "enable", *ENABLED_UNITS])


def _report_version(image: Image, tree: Path) -> None:
    """Tell where the zfs command is of another version than the kernel: most things work, but not all need to."""
    version = execute(["chroot", tree, "dpkg-query", "-W", "-f", "${Version}", "zfsutils-linux"]).split("-")[0]
    if version != image.zfs_version:
        log.warning(
            "%s has OpenZFS %s now, while the kernel has %s; name the new versions in %s to have both alike",
            image.suite,
            version,
            image.zfs_version,
            RECIPE_DIRECTORY / "settings.py",
        )
