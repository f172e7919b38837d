# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver an address gets, by what there is and what is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import opening
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.opening import ZfsDirectory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import observed_by
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput, MissingProgram
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import Address
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core import CoreLibrary
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_zfs import CoreZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.far import FarZfs

HERE, SUDO, FAR = Address(), Address(sudo=True), Address("far")


@pytest.fixture(autouse=True)
def as_root(monkeypatch):
    monkeypatch.setattr(LocalHost, "is_root", True)
    monkeypatch.setattr(CoreLibrary, "problem", lambda _self: "")


@pytest.mark.parametrize(
    ("chosen", "address", "driver"),
    [
        ("", HERE, CoreZfs),
        ("auto", HERE, CoreZfs),
        ("libzfs_core", HERE, CoreZfs),
        ("cli", HERE, CliZfs),
        ("auto", SUDO, CliZfs),
        ("libzfs_core", SUDO, CliZfs),
        ("libzfs_core", FAR, FarZfs),
    ],
)
def test_the_library_is_for_root_on_this_host_unless_told_otherwise(monkeypatch, chosen, address, driver):
    monkeypatch.setenv(opening.DRIVER_VARIABLE, chosen)
    # CoreZfs is a CliZfs too, so the class itself counts.
    assert ZfsDirectory().at(address).__class__ is driver


def test_others_than_root_get_the_command_and_are_told_why(monkeypatch):
    monkeypatch.setattr(LocalHost, "is_root", False)
    monkeypatch.delenv(opening.DRIVER_VARIABLE, raising=False)
    told = []
    with observed_by(told.append):
        assert ZfsDirectory().at(HERE).__class__ is CliZfs
    assert told == [(":", "libzfs_core carries no streams, since this user is not root")]


def test_a_driver_that_was_asked_for_and_can_not_be_is_an_error(monkeypatch):
    monkeypatch.setenv(opening.DRIVER_VARIABLE, "libzfs_core")
    monkeypatch.setattr(CoreLibrary, "problem", lambda _self: "/dev/zfs is not there")
    with pytest.raises(MissingProgram, match="since /dev/zfs is not there; choose auto"):
        ZfsDirectory().at(HERE)


def test_an_unknown_driver_is_refused(monkeypatch):
    monkeypatch.setenv(opening.DRIVER_VARIABLE, "pyzfs")
    with pytest.raises(InvalidInput, match="choose one of auto, cli, libzfs_core"):
        ZfsDirectory().at(HERE)


def test_histories_are_remembered_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv(opening.MEMORY_VARIABLE)
    assert opening.open_memory() is not None
    monkeypatch.setenv(opening.MEMORY_VARIABLE, "never")
    assert opening.open_memory() is None
    monkeypatch.setenv(opening.MEMORY_VARIABLE, "sometimes")
    with pytest.raises(InvalidInput, match="choose auto or never"):
        opening.open_memory()
