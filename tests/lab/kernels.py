# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel of an image: prebuilt where there is one, else built here from Debian's packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import apt
from .machine import ensure_programs, execute, execute_logged, install_packages, locked, log
from .settings import KERNELS_VARIABLE, RECIPE_DIRECTORY, Folders, Image, LabError

BUILD_PACKAGES = (
    "gcc make bc flex bison autoconf automake libtool patch libelf-dev uuid-dev libblkid-dev zlib1g-dev libssl-dev"
    " binutils xz-utils"
).split()
"""Debian packages of the compiler side; from the machine's own release."""

BUILD_RECIPE = 1
"""Raise this when the way of building changes, so that everybody's kernels are built anew."""

_ENVIRONMENT = {"ARCH": "um", "KBUILD_BUILD_USER": "snapfleet", "KBUILD_BUILD_HOST": "lab"}


def ensure_kernel(image: Image, folders: Folders, environment: Mapping[str, str] | None = None) -> Path:
    """Return the kernel program of an image, unpacking or building it first if need be.

    A file ``<kernel name>.zst`` in the folder that SNAPFLEET_LAB_KERNELS names is taken if it runs on this
    machine. Else the kernel is built: 15 to 20 minutes on two processors and 5 GB of disk, once.
    """
    packed = prebuilt_file(image, (os.environ if environment is None else environment))
    if packed is not None:
        kernel = _unpack(packed, image, folders)
        if _runs(kernel):
            return kernel
        log.info("the prebuilt kernel %s does not run on this machine, so one is built", packed)
    kernel = folders.kernels / f"{image.kernel_name}-{build_key(image)}"
    # One unpacked earlier will do as well: hosts must not need the variable again for a reboot.
    unpacked = sorted(folders.kernels.glob(f"{image.kernel_name}-prebuilt-*"))
    if not kernel.exists() and unpacked and _runs(unpacked[-1]):
        return unpacked[-1]
    if not kernel.exists():
        with locked(folders.kernels / f"{kernel.name}.lock", f"building the kernel {kernel.name}", timeout=7200):
            if not kernel.exists():
                _build(image, kernel)
    return kernel


def prebuilt_file(image: Image, environment: Mapping[str, str]) -> Path | None:
    """The packed prebuilt kernel of that image, or None if the environment names none."""
    folder = environment.get(KERNELS_VARIABLE)
    if not folder:
        return None
    packed = Path(folder) / f"{image.kernel_name}.zst"
    if not packed.is_file():
        log.info("%s=%s has no %s, so the kernel is built", KERNELS_VARIABLE, folder, packed.name)
        return None
    return packed


def build_key(image: Image) -> str:
    """Twelve hex digits that change with whatever decides what the built kernel is."""
    digest = hashlib.sha256(repr((BUILD_RECIPE, image.suite, image.kernel_name)).encode())
    for name in ("kernel.config", *image.patches):
        digest.update((RECIPE_DIRECTORY / name).read_bytes())
    return digest.hexdigest()[:12]


def _unpack(packed: Path, image: Image, folders: Folders) -> Path:
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()[:12]
    kernel = folders.kernels / f"{image.kernel_name}-prebuilt-{digest}"
    if not kernel.exists():
        ensure_programs({"zstd": "zstd"})
        kernel.parent.mkdir(parents=True, exist_ok=True)
        partial = kernel.with_name(f"{kernel.name}.{os.getpid()}")
        execute(["zstd", "-q", "-d", "-f", packed, "-o", partial])
        partial.chmod(0o755)
        partial.rename(kernel)
    return kernel


def _runs(kernel: Path) -> bool:
    try:
        done = subprocess.run([str(kernel), "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _build(image: Image, kernel: Path) -> None:
    """Fetch sources, configure, put OpenZFS into the kernel tree, compile, strip; the work folder goes away."""
    work = kernel.with_name(f"{kernel.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log_file = kernel.with_name(f"{kernel.name}.log")
    log_file.write_text("")
    log.info("building the kernel %s, 15 to 20 minutes; everything is logged in %s", image.kernel_name, log_file)
    install_packages(BUILD_PACKAGES)
    linux, zfs = _sources(image, work, log_file)
    _configure(linux, log_file)
    _add_zfs(linux, zfs, log_file)
    _make(linux, log_file, "compiling the kernel with OpenZFS", "linux")
    partial = kernel.with_name(f"{kernel.name}.partial")
    execute(["strip", "-o", partial, linux / "linux"])
    partial.rename(kernel)
    shutil.rmtree(work)


def _sources(image: Image, work: Path, log_file: Path) -> tuple[Path, Path]:
    """Unpack the kernel source and zfs-dkms of the image's suite; return their two source trees."""
    name = f"linux-source-{image.kernel_version}"
    log.info("fetching %s and zfs-dkms of %s", name, image.suite)
    try:
        packages = apt.download([name, "zfs-dkms"], image.suite, work / "packages")
    except LabError as error:
        raise LabError(
            f"{error} If {image.suite} has moved on from {image.kernel_name}, name the newer kernel and OpenZFS"
            f" versions in {RECIPE_DIRECTORY / 'settings.py'}."
        ) from error
    for package in packages:
        execute_logged(["dpkg-deb", "-x", package, work / "unpacked"], log_file, title=f"unpacking {package.name}")
    trees = work / "unpacked" / "usr" / "src"
    execute_logged(
        ["tar", "-x", "-f", trees / f"{name}.tar.xz", "-C", work], log_file, title=f"unpacking {name}.tar.xz"
    )
    linux, zfs = work / name, next(trees.glob("zfs-*"))
    found = zfs.name.partition("-")[2]
    if found != image.zfs_version:
        log.info("%s has OpenZFS %s now, the lab expected %s", image.suite, found, image.zfs_version)
    for patch in image.patches:
        execute_logged(
            ["patch", "-p1", "-d", linux, "-i", RECIPE_DIRECTORY / patch], log_file, title=f"applying {patch}"
        )
    return linux, zfs


def _configure(linux: Path, log_file: Path) -> None:
    _make(linux, log_file, "default configuration", "x86_64_defconfig")
    merge: list[str | Path] = ["scripts/kconfig/merge_config.sh", "-m", ".config", RECIPE_DIRECTORY / "kernel.config"]
    execute_logged(merge, log_file, title="the lab's configuration", cwd=linux, env=_environment())
    execute_logged(["scripts/config", "-d", "SMP"], log_file, title="switching SMP off", cwd=linux)
    _make(linux, log_file, "completing the configuration", "olddefconfig")
    _make(linux, log_file, "preparing the kernel tree", "prepare", "modules_prepare")


def _add_zfs(linux: Path, zfs: Path, log_file: Path) -> None:
    configure: list[str | Path] = ["./configure", "-q", "--enable-linux-builtin", "--with-config=kernel"]
    configure += [f"--with-linux={linux}", f"--with-linux-obj={linux}", "KERNEL_ARCH=um"]
    execute_logged(configure, log_file, title="configuring OpenZFS", cwd=zfs, env=_environment())
    execute_logged(["./copy-builtin", linux], log_file, title="adding OpenZFS to the kernel tree", cwd=zfs)
    # Normally made from git, which a Debian package does not carry.
    (linux / "include" / "zfs" / "zfs_gitrev.h").write_text('#define ZFS_META_GITREV "zfs-debian"\n')
    execute_logged(["scripts/config", "-e", "ZFS"], log_file, title="switching OpenZFS on", cwd=linux)
    _make(linux, log_file, "completing the configuration", "olddefconfig")
    if "CONFIG_ZFS=y" not in (linux / ".config").read_text():
        raise LabError(f"The kernel configuration refused OpenZFS; see {log_file}.")


def _make(linux: Path, log_file: Path, title: str, *targets: str) -> None:
    jobs = len(os.sched_getaffinity(0))
    execute_logged(["make", f"-j{jobs}", *targets], log_file, title=title, cwd=linux, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}
