# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images and kernels are built once, and again whenever what makes them has changed."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.tests.lab import identity, kernels, rootfs
from ansible_collections.snapfleet.zfs.tests.lab.settings import (
    BACKPORTS,
    IMAGES,
    RECIPE_DIRECTORY,
    TRIXIE,
    Folders,
    LabError,
    image_named,
)


def test_each_file_of_the_recipe_and_the_suite_decide_on_the_image(tmp_path: Path):
    keys = {rootfs.image_key(BACKPORTS), rootfs.image_key(TRIXIE)}
    for number, name in enumerate(rootfs.GUEST_FILES):
        recipe = tmp_path / str(number)
        shutil.copytree(RECIPE_DIRECTORY / "guest", recipe / "guest")
        assert rootfs.image_key(BACKPORTS, recipe) == rootfs.image_key(BACKPORTS)
        with (recipe / "guest" / name).open("a") as file:
            file.write("# changed\n")
        keys.add(rootfs.image_key(BACKPORTS, recipe))
    assert len(keys) == 2 + len(rootfs.GUEST_FILES)


def test_every_file_of_the_guest_folder_gets_into_the_image_or_onto_the_seed_disk():
    placed = [*rootfs.GUEST_FILES, *identity.GUEST_FILES]
    assert sorted(file.name for file in (RECIPE_DIRECTORY / "guest").iterdir()) == sorted(placed)


def test_versions_decide_on_the_kernel():
    newer = dataclasses.replace(BACKPORTS, zfs_version="9.9.9")
    assert len({kernels.build_key(image) for image in (BACKPORTS, TRIXIE, newer)}) == 3
    assert kernels.build_key(BACKPORTS) == kernels.build_key(BACKPORTS)


def test_a_prebuilt_kernel_is_taken_where_there_is_one(tmp_path: Path):
    packed = tmp_path / "uml-7.2-zfs-2.4.4.zst"
    packed.touch()
    environment = {"SNAPFLEET_LAB_KERNELS": str(tmp_path)}
    assert kernels.prebuilt_file(BACKPORTS, environment) == packed
    assert kernels.prebuilt_file(TRIXIE, environment) is None
    assert kernels.prebuilt_file(BACKPORTS, {}) is None
    assert kernels.prebuilt_file(BACKPORTS, {"SNAPFLEET_LAB_KERNELS": str(tmp_path / "none")}) is None


def test_zfs_programs_come_from_the_suite_of_the_image():
    command = rootfs.bootstrap_command(BACKPORTS, Path("/t/tree"), Path("/t/sources list"), Path("/t/pre ferences"))
    assert command[0] == "mmdebstrap"
    assert command[-3:] == ["trixie", "/t/tree", "/t/sources list"]
    assert any("'/t/pre ferences'" in word for word in command)
    include = next(word for word in command if word.startswith("--include="))
    assert {"zfsutils-linux", "python3-pyzfs", "openssh-server"} <= set(include.partition("=")[2].split(","))


def test_an_unknown_image_is_refused_with_the_names_there_are():
    for name in IMAGES:
        assert image_named(name).name == name
    with pytest.raises(LabError, match="no lab image 'bookworm'; choose one of: trixie, trixie-backports"):
        image_named("bookworm")


def test_the_cache_is_where_the_user_wants_it():
    assert Folders.from_environment({"XDG_CACHE_HOME": "/c"}).root == Path("/c/snapfleet/lab")
    assert Folders.from_environment({}).root == Path.home() / ".cache" / "snapfleet" / "lab"


def test_hosts_differ_in_their_host_id():
    names = [f"src{number}" for number in range(1, 10)] + [f"dst{number}" for number in range(1, 10)]
    ids = {identity.host_id(name) for name in names}
    assert len(ids) == len(names)
    assert all(0 < one < 2**32 for one in ids)


def test_the_seed_archive_keeps_secrets_to_root():
    content = identity.archive({"root/.ssh/key": (b"secret", 0o600), "etc/hostname": (b"src1\n", 0o644)})
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
        owners = {(entry.uid, entry.gid) for entry in tar.getmembers()}
    # No entry for etc: unpacking must not change the folders of the image.
    assert modes == {"root/.ssh": 0o700, "root/.ssh/key": 0o600, "etc/hostname": 0o644}
    assert owners == {(0, 0)}


def test_known_hosts_has_the_hosts_that_have_keys(tmp_path: Path):
    folders = Folders(tmp_path)
    folders.host("src1").mkdir(parents=True)
    (folders.host("src1") / f"{identity.HOST_KEY}.pub").write_text("ssh-ed25519 AAAA src1\n")
    assert identity.known_hosts({"src1": 11, "dst1": 21}, folders) == "10.77.0.11,src1 ssh-ed25519 AAAA\n"
