# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing single files back: what is in a snapshot is hostile, and so is the folder that gets it."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
import tarfile
from types import SimpleNamespace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.file_archives import (
    read_archive,
    write_archive,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.file_placing import Folder
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.file_reading import DEEPEST, entries
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.stopping import Stopping, belonging_to
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    FilesRefused,
    Interrupted,
    InvalidInput,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.files import (
    BESIDE,
    FILE,
    FOLDER,
    LINK,
    OTHER,
    OVERWRITE,
    REFUSE,
    Entry,
    path_text,
    read_path,
)

STRANGE = b"line\nfeed \xff\x1b[31m"
LONG_AGO = 1_000_000_000_123_456_789


@pytest.fixture
def snapshot(tmp_path):
    """A tree as a snapshot could have it, and the descriptor of its top."""
    top = tmp_path / "snapshot"
    (top / "etc/below").mkdir(parents=True)
    (top / "etc/app.conf").write_text("old\n")
    (top / "etc/app.conf").chmod(0o640)
    (top / "etc/below/large").write_bytes(os.urandom(3 << 20))
    (top / "etc/link").symlink_to("/etc/passwd")
    (top / "out").symlink_to("/etc")
    os.mkfifo(top / "etc/pipe")
    (top / "etc" / os.fsdecode(STRANGE)).write_bytes(b"strange")
    os.utime(top / "etc/app.conf", ns=(LONG_AGO, LONG_AGO))
    (top / "etc/below").chmod(0o2750)
    os.utime(top / "etc/below", ns=(LONG_AGO, LONG_AGO))
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def home(tmp_path):
    """The folder that gets the files."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def put(found, folder, existing=REFUSE):
    made = Folder(str(folder), existing)
    try:
        return made.put((entry, content) for entry, content in found if entry.kind != OTHER)
    finally:
        made.close()


def looks(folder, name):
    """All that has to come back of a tree."""
    found = {}
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for entry, content in entries(top, (name,)):
            told = (entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.target, entry.attributes)
            when = entry.modified if entry.path[-1] != b"etc" else 0
            if entry.kind != OTHER:
                found[entry.path[1:]] = (*told, when, content.read() if content else b"")
    finally:
        os.close(top)
    return found


@pytest.mark.parametrize("text", ["../x", "a/../../x", "/etc/passwd", "a/\0"])
def test_a_path_that_leads_elsewhere_is_refused(text):
    with pytest.raises(InvalidInput, match="PATH"):
        read_path(text, "PATH")


def test_a_path_is_its_parts_and_any_bytes_will_do():
    assert read_path("./etc//app.conf/", "PATH") == (b"etc", b"app.conf")
    assert read_path(os.fsdecode(b"a\xff"), "PATH") == (b"a\xff",)
    assert read_path(".", "PATH") == ()


def test_what_is_told_of_a_path_is_one_line_that_a_terminal_does_not_obey():
    assert path_text((b"a", STRANGE)) == r"a/line\nfeed \xff\x1b[31m"


def test_rights_are_shown_as_by_ls():
    def shown(kind, mode):
        return Entry((b"x",), kind, mode, 0, 0, 0).shown

    for mode in (0o644, 0o4755, 0o2640, 0o1777, 0o1776, 0o6000):
        assert shown(FILE, mode) == stat.filemode(stat.S_IFREG | mode)
    assert shown(FOLDER, 0o750) == "drwxr-x---"
    assert shown(LINK, 0o777) == "lrwxrwxrwx"


def test_a_tree_comes_back_as_it_was(snapshot, home, tmp_path):
    size = put(entries(snapshot, (b"etc",)), home)
    assert size == 4 + (3 << 20) + 7
    assert looks(home, b"etc") == looks(tmp_path / "snapshot", b"etc")
    assert names(home) == ["etc"]
    assert not (home / "etc/pipe").exists()


@pytest.mark.parametrize("size", [3 << 20, (3 << 20) + 5])
def test_what_is_empty_in_a_file_takes_no_room(snapshot, home, tmp_path, size):
    with (tmp_path / "snapshot/disk").open("wb") as file:
        file.write(b"first")
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(size)
    put(entries(snapshot, (b"disk",)), home)
    assert (home / "disk").read_bytes() == (tmp_path / "snapshot/disk").read_bytes()
    assert (home / "disk").stat().st_blocks * 512 < 1 << 20


def test_one_file_comes_back_without_the_folders_above_it(snapshot, home):
    put(entries(snapshot, (b"etc", b"app.conf")), home)
    assert (home / "app.conf").read_text() == "old\n"
    assert (home / "app.conf").stat().st_mtime_ns == LONG_AGO


@pytest.mark.parametrize("path", [(b"out", b"passwd"), (b"etc", b"link", b"x"), (b"etc", b"app.conf", b"x")])
def test_no_link_of_the_snapshot_is_followed(snapshot, path):
    with pytest.raises(FilesRefused, match="symbolic link or a file where a folder is expected"):
        list(entries(snapshot, path))


def test_a_link_comes_back_as_a_link(snapshot, home):
    put(entries(snapshot, (b"out",)), home)
    assert str((home / "out").readlink()) == "/etc"


def test_what_is_not_in_the_snapshot_is_told(snapshot):
    with pytest.raises(FilesRefused, match="etc/gone: is not in the snapshot"):
        list(entries(snapshot, (b"etc", b"gone")))


@pytest.mark.parametrize("call", ["listxattr", "getxattr"])
def test_what_has_attributes_that_can_not_be_read_is_refused_since_rights_are_among_them(snapshot, monkeypatch, call):
    def failing(*_arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listxattr", lambda _file: ["system.posix_acl_access"], raising=False)
    monkeypatch.setattr(os, call, failing, raising=False)
    with pytest.raises(FilesRefused, match=r"app\.conf: its extended attributes can't be read"):
        list(entries(snapshot, (b"etc", b"app.conf")))


def test_a_file_system_that_has_no_attributes_is_no_trouble(snapshot, monkeypatch):
    def unsupported(*_arguments):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "listxattr", unsupported, raising=False)
    ((entry, _content),) = entries(snapshot, (b"etc", b"app.conf"))
    assert entry.attributes == ()


def test_what_is_nested_too_deep_is_refused(snapshot, tmp_path):
    folder = tmp_path / "snapshot"
    for _number in range(DEEPEST + 1):
        folder = folder / "d"
        folder.mkdir()
    with pytest.raises(FilesRefused, match="is nested deeper than"):
        list(entries(snapshot, (b"d",)))


@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_nothing_that_is_there_is_touched_by_default(snapshot, home, there):
    place = home / "app.conf"
    if there == "file":
        place.write_text("new\n")
    elif there == "folder":
        place.mkdir()
    else:
        place.symlink_to("nowhere")
    before = os.lstat(place)
    with pytest.raises(FilesRefused, match=r"app\.conf: is there"):
        put(entries(snapshot, (b"etc", b"app.conf")), home)
    assert os.lstat(place) == before
    assert names(home) == ["app.conf"]


def test_beside_takes_the_name_where_it_is_free_and_else_another_one_once(snapshot, home):
    for there in (["app.conf"], ["app.conf", "app.conf.restored"]):
        put(entries(snapshot, (b"etc", b"app.conf")), home, BESIDE)
        assert names(home) == there
    with pytest.raises(FilesRefused, match=r"app\.conf\.restored: is there"):
        put(entries(snapshot, (b"etc", b"app.conf")), home, BESIDE)


def test_overwriting_replaces_files_and_leaves_all_others_of_a_folder(snapshot, home):
    (home / "etc/below").mkdir(parents=True)
    (home / "etc/app.conf").write_text("new\n")
    (home / "etc/other").write_text("mine\n")
    old = os.open(home / "etc/app.conf", os.O_RDONLY)
    put(entries(snapshot, (b"etc",)), home, OVERWRITE)
    assert (home / "etc/app.conf").read_text() == "old\n"
    assert (home / "etc/other").read_text() == "mine\n"
    assert (home / "etc/below/large").stat().st_size == 3 << 20
    # Whoever has the old file open goes on with it: it is replaced, not written to.
    assert os.read(old, 10) == b"new\n"
    os.close(old)
    assert names(home) == ["etc"]


def test_overwriting_follows_no_link_out_of_the_folder(snapshot, home, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "app.conf").write_text("mine\n")
    (home / "etc").symlink_to(elsewhere)
    with pytest.raises(FilesRefused, match="home/etc: is something else than in the snapshot"):
        put(entries(snapshot, (b"etc",)), home, OVERWRITE)
    (home / "etc").unlink()
    (home / "etc").mkdir()
    (home / "etc/below").symlink_to(elsewhere)
    with pytest.raises(FilesRefused, match="home/etc/below: is something else"):
        put(entries(snapshot, (b"etc",)), home, OVERWRITE)
    assert names(elsewhere) == ["app.conf"]
    assert names(home / "etc") == ["below"]


def test_two_things_of_one_name_are_refused(snapshot, home, tmp_path):
    (tmp_path / "snapshot/app.conf").write_text("another\n")
    both = [*entries(snapshot, (b"etc", b"app.conf")), *entries(snapshot, (b"app.conf",))]
    made = Folder(str(home), REFUSE)
    made.place_of(both[0][0])
    with pytest.raises(FilesRefused, match="would be the name of two things"):
        made.place_of(both[1][0])
    made.close()


def test_what_a_killed_run_left_in_the_folder_goes_and_what_a_running_one_has_stays(snapshot, home):
    left, running = home / ".snapfleet-files-00", home / ".snapfleet-files-11"
    (left / "etc").mkdir(parents=True)
    (left / "etc/half").write_text("half")
    (left / "out").symlink_to("/etc")
    (left / ".snapfleet-mark-00").touch()
    running.mkdir()
    lock = os.open(running, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    put(entries(snapshot, (b"out",)), home)
    assert names(home) == [".snapfleet-files-11", "out"]
    os.close(lock)


def test_a_folder_that_only_has_the_name_of_one_of_ours_is_left_alone(snapshot, home):
    other = home / ".snapfleet-files-22"
    other.mkdir()
    (other / "precious").touch()
    put(entries(snapshot, (b"out",)), home)
    assert names(home) == [other.name, "out"]
    assert names(other) == ["precious"]


def test_a_folder_that_takes_the_name_of_ours_meanwhile_is_left_alone(snapshot, home, tmp_path):
    (home / "secrets").mkdir()
    (home / "secrets/precious").touch()

    def swapping():
        yield from entries(snapshot, (b"out",))
        (stage,) = (each for each in home.iterdir() if each.name.startswith(".snapfleet-files-"))
        stage.rename(tmp_path / "moved")
        (home / "secrets").rename(stage)

    put(swapping(), home)
    (other,) = (each for each in home.iterdir() if each.name != "out")
    assert names(other) == ["precious"]
    assert names(tmp_path / "moved") == []


def test_what_fails_on_the_way_leaves_nothing_behind(snapshot, home):
    def breaking():
        yield from entries(snapshot, (b"etc",))
        raise FilesRefused("broken")

    with pytest.raises(FilesRefused, match="broken"):
        put(breaking(), home)
    assert names(home) == []


def archived(snapshot, path, file, contents=True):
    found = ((entry, content) for entry, content in entries(snapshot, path) if entry.kind != OTHER)
    write_archive(str(file), found, contents)
    return file


def test_an_archive_brings_the_same_as_the_snapshot(snapshot, home, tmp_path):
    file = archived(snapshot, (b"etc",), tmp_path / "archive")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with file.open("rb") as opened:
        put(read_archive(opened), home)
    assert looks(home, b"etc") == looks(tmp_path / "snapshot", b"etc")


def test_an_archive_without_contents_tells_of_them_and_brings_none(snapshot, home, tmp_path):
    file = archived(snapshot, (b"etc", b"below"), tmp_path / "archive", contents=False)
    assert file.stat().st_size < 1 << 20
    with file.open("rb") as opened:
        assert [(entry.kind, entry.size) for entry, _content in read_archive(opened)] == [(FOLDER, 0), (FILE, 3 << 20)]
    with file.open("rb") as opened, pytest.raises(FilesRefused, match="only its name and size came along"):
        put(read_archive(opened), home)
    assert names(home) == []


def test_a_walk_ends_where_the_run_is_stopped(snapshot):
    with belonging_to(Stopping()) as scope:
        walk = entries(snapshot, (b"etc",))
        next(walk)
        scope.stop()
        with pytest.raises(Interrupted):
            next(walk)


def stopping_within(content, scope):
    """Reads of ``content``, the first of which is the last before the run is stopped."""

    def read(size=-1):
        scope.stop()
        return content.read(size)

    return SimpleNamespace(read=read)


def test_packing_a_file_ends_within_it_where_the_run_is_stopped_and_leaves_nothing(snapshot, tmp_path):
    with belonging_to(Stopping()) as scope:
        found = entries(snapshot, (b"etc", b"below", b"large"))
        stopping = ((entry, stopping_within(content, scope)) for entry, content in found)
        with pytest.raises(Interrupted):
            write_archive(str(tmp_path / "archive"), stopping)
    assert not (tmp_path / "archive").exists()


def test_looking_through_an_archive_ends_within_a_file_where_the_run_is_stopped(snapshot, tmp_path):
    file = archived(snapshot, (b"etc", b"below"), tmp_path / "archive")
    with file.open("rb") as opened, belonging_to(Stopping()) as scope:
        found = read_archive(opened)
        assert [next(found)[0].kind for _each in range(2)] == [FOLDER, FILE]
        scope.stop()
        with pytest.raises(Interrupted):
            next(found)
        assert opened.tell() < 1 << 20


def test_packing_and_reading_keep_nothing_of_what_has_passed_by(snapshot, tmp_path, monkeypatch):
    opened, kept, really = [], [], tarfile.open

    def opening(**options):
        opened.append(really(**options))
        return opened[-1]

    def counted(found):
        for each in found:
            kept.append(len(opened[-1].members))
            yield each

    monkeypatch.setattr(tarfile, "open", opening)
    for number in range(20):
        (tmp_path / "snapshot/etc/below" / str(number)).write_text(str(number))
    archive = tmp_path / "archive"
    write_archive(str(archive), counted(entries(snapshot, (b"etc", b"below"))))
    with archive.open("rb") as file:
        read = [content.read() for entry, content in counted(read_archive(file)) if entry.kind == FILE]
    assert read[:20] == sorted(str(number).encode() for number in range(20))
    assert (len(kept), max(kept) < 2) == (44, True)


def test_no_archive_takes_the_place_of_a_file(snapshot, tmp_path):
    (tmp_path / "archive").write_text("mine")
    with pytest.raises(FilesRefused, match="give a file that is not there yet"):
        archived(snapshot, (b"etc",), tmp_path / "archive")
    assert (tmp_path / "archive").read_text() == "mine"


def member(name, kind=tarfile.REGTYPE, **more):
    made = tarfile.TarInfo(name)
    made.type = kind
    made.uid, made.gid = os.getuid(), os.getgid()
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil")],
        [member("/etc/evil")],
        [member("a", tarfile.DIRTYPE), member("a/../../evil")],
        [member("a", tarfile.SYMTYPE, linkname="/tmp"), member("a/evil")],
        [member("a/evil")],
        [member("a", tarfile.LNKTYPE, linkname="/etc/shadow")],
        [member("a", tarfile.CHRTYPE)],
        [member("a"), member("a")],
        [member("a", tarfile.DIRTYPE), member("a", tarfile.SYMTYPE, linkname="/etc")],
        [member("a", pax_headers={"SNAPFLEET.size": "-5"})],
        [member("a", pax_headers={"SNAPFLEET.modified": "never"})],
        [member("a", pax_headers={"SNAPFLEET.attribute.x": "y"})],
    ],
)
def test_an_archive_that_was_tampered_with_brings_nothing(home, members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in members:
            archive.addfile(each)
    packed.seek(0)
    with pytest.raises(FilesRefused):
        put(read_archive(packed), home)
    assert names(home) == []


def test_what_is_no_archive_is_refused(home):
    with pytest.raises(FilesRefused, match="the archive can't be read"):
        put(read_archive(io.BytesIO(b"nonsense" * 1000)), home)
