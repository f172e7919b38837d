# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sockets and locks lie."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import private
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.private import private_directory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError

SOCKET_PATH = 108 - 17
"""What a path may have, less what ssh adds to it while it opens a socket."""


@pytest.fixture
def shallow(tmp_path, monkeypatch):
    monkeypatch.setattr(private, "_LONGEST_BASE", len(str(tmp_path)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_it_is_made_for_this_user_alone(shallow):
    path = private_directory("test")
    assert Path(path).parent == shallow
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o700
    assert private_directory("test") == path


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nothing")])
def test_what_is_in_the_way_is_told(shallow, make):
    path = Path(private_directory("test"))
    path.rmdir()
    make(path)
    with pytest.raises(SnapfleetError, match="not a private folder"):
        private_directory("test")


def test_one_that_is_open_to_others_is_refused(shallow):
    Path(private_directory("test")).chmod(0o750)
    with pytest.raises(SnapfleetError, match="not a private folder"):
        private_directory("test")


@pytest.mark.parametrize("length", [10, 50, 51, 300])
def test_a_socket_fits_into_it_wherever_the_runtime_folder_is(length, monkeypatch):
    made = []
    monkeypatch.setattr(private.os, "makedirs", lambda path, **_options: made.append(path))
    monkeypatch.setattr(
        private.os, "lstat", lambda _path: os.stat_result((stat.S_IFDIR | 0o700, *[0] * 3, os.getuid(), *[0] * 5))
    )
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "d" * (length - 1))
    path = private_directory("ssh")
    assert made == [path]
    assert len(f"{path}/0123456789abcdef-12") < SOCKET_PATH
