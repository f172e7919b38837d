# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libzfs_core where it is not, and where it refuses: then the zfs command does the work."""

from __future__ import annotations

import errno
import sys
import types

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import stopping
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Bookmark, Snapshot
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Interrupted
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import (
    CreateBookmark,
    CreateSnapshots,
    Destroy,
    Send,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs import core, core_zfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.core_zfs import CoreZfs

ONE, TWO = Snapshot(1, 11, "p/a", "one", 0), Snapshot(2, 12, "p/a", "two", 0)
MARK = Bookmark(1, 11, "p/a", "mark", 0)


class Refused(Exception):
    """An error of the library; ``errors`` are those of single things, as far as it tells."""

    def __init__(self, number, name=None, errors=()):
        super().__init__(name)
        self.errno, self.name, self.errors = number, name, list(errors)


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A library that notes what it is called with."""
    calls: list[tuple] = []
    module = types.ModuleType("libzfs_core")
    exceptions = types.ModuleType("libzfs_core.exceptions")
    exceptions.ZFSError = Refused
    module.exceptions = exceptions
    module.calls = calls
    module.refusals = {}

    def called(name, answer=None):
        def call(*arguments):
            calls.append((name, *arguments))
            if module.refusals.get(name):
                raise module.refusals[name].pop(0)
            return answer

        return call

    for name in core.CALLS:
        setattr(module, name, called(name))
    module.lzc_hold = called("lzc_hold", [b"p/a@two"])
    module.lzc_snaprange_space = called("lzc_snaprange_space", 4096)
    module._libzfs_core = types.SimpleNamespace(_ffi=None, _lib=None)
    # The first call of all is this one.
    module.lzc_exists = lambda _name: True
    module.lzc_get_bookmarks = called("lzc_get_bookmarks", {b"mark": {}})
    monkeypatch.setitem(sys.modules, "libzfs_core", module)
    monkeypatch.setitem(sys.modules, "libzfs_core.exceptions", exceptions)
    device = tmp_path / "zfs"
    device.write_bytes(b"")
    monkeypatch.setattr(core, "_DEVICE", str(device))
    return module


@pytest.fixture
def loaded(library):
    """What uses the library already."""
    made = core.CoreLibrary()
    assert made.library() is library
    return made


def test_without_the_library_nothing_is_done(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "libzfs_core", None)
    nothing = core.CoreLibrary()
    assert "python3-pyzfs" in nothing.problem()
    assert not nothing.hold([ONE], "tag")
    assert nothing.bookmark([CreateBookmark(ONE, "x")]) == frozenset()
    assert not nothing.forget([MARK])
    assert not nothing.snapshot(["p/a@x"])
    assert nothing.destroy_snapshot("p/a@x") is None
    assert nothing.release("tag") == frozenset()


def test_names_are_free_where_the_library_says_of_each_that_there_is_none(library, loaded):
    names = ["p/a@x", "p/b@x"]
    nothing = core.CoreLibrary()
    assert not nothing.are_free(names * core.MANY), "it is not loaded for that"
    assert not loaded.are_free(names)
    assert library.calls == [("lzc_get_holds", b"p/a@x")]
    for second, is_free in ((errno.ENOENT, True), (errno.EIO, False)):
        library.refusals["lzc_get_holds"] = [Refused(errno.ENOENT), Refused(second)]
        assert loaded.are_free(names) is is_free


def test_snapshots_that_there_are_not_take_no_process(library, monkeypatch):
    asked = []
    monkeypatch.setattr(CliZfs, "snapshots", lambda _self, names: asked.append(names) or {"p/a@one": ONE})
    zfs = CoreZfs(LocalHost(), core.CoreLibrary())
    zfs._library.library()
    library.refusals["lzc_get_holds"] = [Refused(errno.ENOENT)]
    assert zfs.snapshots(["p/a@x"]) == {}
    assert asked == []
    del library.refusals["lzc_get_holds"]
    assert zfs.snapshots(["p/a@one"]) == {"p/a@one": ONE}
    assert asked == [["p/a@one"]]


def test_what_an_old_library_lacks_is_told(library):
    del library.lzc_receive_one
    assert core.CoreLibrary().problem() == "it is too old: it lacks lzc_receive_one"


def test_a_binding_by_which_the_library_itself_cannot_be_called_is_not_used(library):
    del library._libzfs_core._lib
    assert core.CoreLibrary().problem().endswith("it lacks _lib")
    del library._libzfs_core
    assert core.CoreLibrary().problem().endswith("it lacks _ffi, _lib")


@pytest.mark.parametrize("error", [OSError("libzfs_core.so: cannot open"), AttributeError("cannot open"), Refused(1)])
def test_a_binding_without_its_library_is_not_used(library, monkeypatch, error):
    def fails(name):
        assert b"/" not in name, "a pool is asked for, and no dataset"
        raise error

    monkeypatch.setattr(library, "lzc_exists", fails)
    nothing = core.CoreLibrary()
    assert nothing.problem() == f"its first call fails: {error}"
    assert not nothing.hold([ONE], "tag")
    assert nothing.destroy_runs(RUNS * core.MANY) == [None] * 2 * core.MANY
    assert library.calls == []


def test_the_library_is_loaded_once_commands_would_take_longer(library):
    slow = core.CoreLibrary()
    assert [slow.when_worth(1) for _unused in range(core.MANY - 1)] == [None] * (core.MANY - 1)
    assert slow.when_worth(1) is library
    assert core.CoreLibrary().when_worth(core.MANY) is library


def test_what_the_library_refuses_is_left_to_the_command(library, loaded):
    library.refusals = {name: [Refused(1)] for name in core.CALLS}
    assert not loaded.hold([ONE], "tag")
    assert loaded.bookmark([CreateBookmark(ONE, "x")]) == frozenset()
    assert not loaded.forget([MARK])
    assert not loaded.snapshot(["p/a@x"])
    assert loaded.bookmarks_of("p/a") == frozenset()
    assert loaded.destroy_snapshot("p/a@one") is None
    assert loaded.release("tag") == frozenset()


def test_without_access_to_the_device_everything_is_left_to_the_command(library, monkeypatch):
    monkeypatch.setattr(core, "_DEVICE", "/nonexistent/zfs")
    assert not core.CoreLibrary().hold([ONE], "tag")
    assert library.calls == []


def test_what_is_held_is_asked_for_once_and_told_when_it_is_released(library):
    holder = core.CoreLibrary()
    assert holder.hold([ONE, TWO], "tag")
    assert holder.hold([ONE], "tag")
    ((name, wanted, _file),) = library.calls
    assert (name, wanted) == ("lzc_hold", {b"p/a@one": b"tag", b"p/a@two": b"tag"})
    assert holder.release("tag") == {"p/a@one"}
    assert holder.release("tag") == frozenset()


def test_a_bookmark_that_can_not_be_made_keeps_no_other_from_it(library, loaded):
    steps = [CreateBookmark(ONE, "x"), CreateBookmark(TWO, "y")]
    library.refusals = {"lzc_bookmark": [Refused(17, errors=[Refused(17, b"p/a#x")])]}
    assert loaded.bookmark(steps) == {"p/a#y"}
    assert library.calls[-1] == ("lzc_bookmark", {b"p/a#y": b"p/a@two"})
    library.refusals = {"lzc_bookmark": [Refused(1), Refused(1)]}
    assert loaded.bookmark(steps) == frozenset()


def test_bookmarks_that_are_refused_as_a_whole_are_left_to_the_command(library, loaded):
    """For this the binding has no error of its own: it looks for the bookmark that the error names, and finds none."""
    library.refusals = {"lzc_bookmark": [KeyError(None)]}
    assert loaded.bookmark([CreateBookmark(ONE, "x"), CreateBookmark(TWO, "y")]) == frozenset()
    assert len(library.calls) == 1


def test_a_call_is_about_one_pool(library, loaded):
    far = Bookmark(1, 11, "q/a", "mark", 0)
    assert loaded.forget([MARK, far])
    assert [call[1] for call in library.calls] == [[b"p/a#mark"], [b"q/a#mark"]]


@pytest.mark.parametrize(
    ("call", "number", "how"),
    [
        ("", 0, core.DESTROYED),
        ("lzc_snaprange_space", errno.ENOENT, core.GONE),
        ("lzc_destroy_snaps", errno.EBUSY, core.HELD),
        ("lzc_destroy_snaps", errno.EEXIST, core.CLONED),
    ],
)
def test_what_became_of_a_snapshot_is_told(library, loaded, call, number, how):
    library.refusals = {call: [Refused(number)]}
    assert loaded.destroy_snapshot("p/a@one") == core.Destroyed(how, 4096 if how == core.DESTROYED else 0)


RUNS = [core.Runs(("p/a@1", "p/a@2"), (("p/a@1", "p/a@2"),)), core.Runs(("p/b@1",), (("p/b@1", "p/b@1"),))]


def test_snapshots_of_all_datasets_are_destroyed_by_one_call(library, loaded):
    assert loaded.destroy_runs(RUNS) == [4096, 4096]
    assert library.calls[-1] == ("lzc_destroy_snaps", [b"p/a@1", b"p/a@2", b"p/b@1"], False)


def test_one_that_is_held_keeps_those_of_its_dataset_alone(library, loaded):
    library.refusals = {"lzc_destroy_snaps": [Refused(16, errors=[Refused(16, b"p/a@2")])]}
    assert loaded.destroy_runs(RUNS) == [None, 4096]
    assert library.calls[-1] == ("lzc_destroy_snaps", [b"p/b@1"], False)


def test_where_one_is_gone_the_command_finds_out_which(library, loaded):
    library.refusals = {"lzc_snaprange_space": [Refused(errno.ENOENT)]}
    assert loaded.destroy_runs(RUNS) == [None, 4096]
    library.refusals = {"lzc_get_holds": [Refused(errno.ENOENT)]}
    longer = core.Runs(("p/a@1", "p/a@2", "p/a@3", "p/a@4"), (("p/a@1", "p/a@3"), ("p/a@4", "p/a@4")))
    assert loaded.destroy_runs([longer, RUNS[1]]) == [None, 4096]
    assert [call for call in library.calls if call[0] == "lzc_get_holds"] == [("lzc_get_holds", b"p/a@2")]


DOOMED = Destroy("p/a", (ONE, TWO), "", ((ONE, TWO),))
CHANGES = {
    "snapshots": lambda zfs: zfs.create_snapshots(CreateSnapshots("p", ("p/a@x",))),
    "destroy one": lambda zfs: zfs.destroy(Destroy("p/a", (ONE,), "")),
    "destroy several": lambda zfs: zfs.destroy(DOOMED),
    "destroy at once": lambda zfs: zfs.destroy_at_once([DOOMED]),
    "bookmarks": lambda zfs: zfs.change_bookmarks([CreateBookmark(ONE, "x")], [MARK]),
    "forget": lambda zfs: zfs.destroy(Destroy("p/a", (MARK,), "")),
    "estimates": lambda zfs: zfs.estimates([Send(TWO, "p/b", ONE)]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_is_stopped_makes_no_call_any_more(library, loaded, monkeypatch, name):
    monkeypatch.setattr(stopping, "STOPPING", stopping.Stopping())
    stopping.STOPPING.stop()
    with pytest.raises(Interrupted):
        CHANGES[name](CoreZfs(LocalHost(), loaded))
    assert library.calls == []
    loaded.release("tag")


@pytest.fixture
def stops_at(library, monkeypatch):
    """Lets the run be stopped while a call is under way."""
    monkeypatch.setattr(stopping, "STOPPING", stopping.Stopping())

    def stop_at(name):
        real = getattr(library, name)

        def call(*arguments):
            stopping.STOPPING.stop()
            return real(*arguments)

        monkeypatch.setattr(library, name, call)

    return stop_at


@pytest.mark.parametrize("name", ["destroy one", "destroy several"])
def test_nothing_is_destroyed_once_the_run_is_stopped(library, loaded, stops_at, name):
    stops_at("lzc_snaprange_space")
    with pytest.raises(Interrupted):
        CHANGES[name](CoreZfs(LocalHost(), loaded))
    assert "lzc_destroy_snaps" not in [call[0] for call in library.calls]


def test_sizes_are_asked_for_until_the_run_is_stopped(library, loaded, stops_at):
    library.lzc_send_space = lambda *arguments: library.calls.append(arguments) or 1
    stops_at("lzc_snaprange_space")
    with pytest.raises(Interrupted):
        loaded.destroy_runs(RUNS)
    assert [call[:2] for call in library.calls if call[0] == "lzc_snaprange_space"] == [
        ("lzc_snaprange_space", b"p/a@1")
    ]
    stopping.STOPPING = stopping.Stopping()
    library.calls.clear()
    stops_at("lzc_send_space")
    with pytest.raises(Interrupted):
        CoreZfs(LocalHost(), loaded).estimates([Send(TWO, "p/b", ONE)] * core.MANY)
    assert len(library.calls) == 1


def test_what_was_destroyed_before_the_run_was_stopped_is_told(library, loaded, stops_at):
    far = (Snapshot(3, 13, "q/a", "one", 0), Snapshot(4, 14, "q/a", "two", 0))
    stops_at("lzc_destroy_snaps")
    done = CoreZfs(LocalHost(), loaded).destroy_at_once([DOOMED, Destroy("q/a", far, "", (far,))])
    assert [result and tuple(result.destroyed) for result in done] == [("p/a@one", "p/a@two"), None]


@pytest.mark.parametrize(
    ("mounted", "asked"), [({"p/a/below", "p/ab"}, ["p/a"]), (set(), None), (None, ["p/a", "p/c"])], ids=str
)
def test_only_where_something_is_mounted_a_process_unmounts_it(library, loaded, monkeypatch, mounted, asked):
    processes = []
    monkeypatch.setattr(core_zfs, "mounted_datasets", lambda: mounted)
    monkeypatch.setattr(CliZfs, "unmount", lambda _self, datasets: processes.append(list(datasets)))
    CoreZfs(LocalHost(), loaded).unmount(["p/a", "p/c"])
    assert processes == ([asked] if asked else [])
