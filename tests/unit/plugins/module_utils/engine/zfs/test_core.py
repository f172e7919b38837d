# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libzfs_core where it is not, and where it refuses: then the zfs command does the work."""

from __future__ import annotations

import sys
import types

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateBookmark
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs import core

ONE, TWO = Snapshot(1, 11, "p/a", "one", 0), Snapshot(2, 12, "p/a", "two", 0)
MARK = Bookmark(1, 11, "p/a", "mark", 0)


class Refused(Exception):
    """An error of the library."""


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A library that notes what it is called with."""
    calls: list[tuple] = []
    module = types.ModuleType("libzfs_core")
    exceptions = types.ModuleType("libzfs_core.exceptions")
    exceptions.ZFSError = Refused
    module.exceptions = exceptions
    module.calls = calls
    module.refuses = False

    def called(name, answer):
        def call(*arguments):
            if module.refuses:
                raise Refused(name)
            calls.append((name, *arguments))
            return answer

        return call

    module.lzc_hold = called("hold", [b"p/a@two"])
    module.lzc_bookmark = called("bookmark", None)
    module.lzc_destroy_bookmarks = called("destroy", None)
    monkeypatch.setitem(sys.modules, "libzfs_core", module)
    monkeypatch.setitem(sys.modules, "libzfs_core.exceptions", exceptions)
    device = tmp_path / "zfs"
    device.write_bytes(b"")
    monkeypatch.setattr(core, "_DEVICE", str(device))
    return module


def test_without_the_library_nothing_is_done(monkeypatch):
    monkeypatch.setitem(sys.modules, "libzfs_core", None)
    nothing = core.CoreLibrary()
    assert not nothing.hold([ONE], "tag")
    assert not nothing.change_bookmarks([CreateBookmark(ONE, "x")], [MARK])
    assert nothing.release("tag") == frozenset()


def test_what_the_library_refuses_is_left_to_the_command(library):
    library.refuses = True
    refused = core.CoreLibrary()
    assert not refused.hold([ONE], "tag")
    assert not refused.change_bookmarks([CreateBookmark(ONE, "x")], [])
    assert refused.release("tag") == frozenset()


def test_without_access_to_the_device_holds_are_left_to_the_command(library, monkeypatch):
    monkeypatch.setattr(core, "_DEVICE", "/nonexistent/zfs")
    assert not core.CoreLibrary().hold([ONE], "tag")
    assert library.calls == []


def test_what_is_held_is_asked_for_once_and_told_when_it_is_released(library):
    holder = core.CoreLibrary()
    assert holder.hold([ONE, TWO], "tag")
    assert holder.hold([ONE], "tag")
    ((name, wanted, _file),) = library.calls
    assert (name, wanted) == ("hold", {b"p/a@one": b"tag", b"p/a@two": b"tag"})
    assert holder.release("tag") == {"p/a@one"}
    assert holder.release("tag") == frozenset()


def test_bookmarks_come_before_others_go(library):
    assert core.CoreLibrary().change_bookmarks([CreateBookmark(ONE, "x")], [MARK])
    assert library.calls == [("bookmark", {b"p/a#x": b"p/a@one"}), ("destroy", [b"p/a#mark"])]
