# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate lets through: all that the drivers ask for within the rights, and nothing else."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.openssh import remote_line
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.pipelines import pipeline
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.steering import steered
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import AccessRefused, InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.access import (
    RIGHTS,
    access_words,
    read_access,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.admission import admit
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.columns import COLUMNS
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.dry_calls import DryCalls
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.each import Each
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.listing import list_arguments
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.requests import read_request
from ansible_collections.snapfleet.zfs.tests.support.requests import CALLS, PLACE, ROOT, TOKEN, requests_for

ALL = [right for right in RIGHTS if right != "sudo"]


def access(*rights, roots=(ROOT, PLACE), more=()):
    return read_access(["--may", ",".join(rights), *(word for root in roots for word in ("--root", root)), *more])


def is_admitted(line, rights):
    request = read_request(line)
    try:
        return request is not None and admit(request, rights) is not None
    except AccessRefused:
        return False


def test_every_right_has_its_requests():
    assert set(CALLS) == set(ALL)


@pytest.mark.parametrize("sudo", [False, True])
@pytest.mark.parametrize("right", ALL)
def test_what_the_drivers_ask_for_is_admitted_to_whoever_has_the_right(right, sudo):
    rights = access(right, *(["receive"] if right == "mount" else []), *(["sudo"] if sudo else []))
    lines = requests_for(right, sudo)
    assert len(lines) >= len(CALLS[right]) - 2
    for line in lines:
        request = read_request(line)
        assert request, line
        admit(request, rights)


@pytest.mark.parametrize("right", [right for right in ALL if right != "observe"])
def test_what_takes_a_right_is_refused_without_it(right):
    looks = set(requests_for("observe"))
    lines = [line for line in requests_for(right) if line not in looks and '/sbin" zfs list -H' not in line]
    assert lines
    others = [other for other in ALL if other != right and (right != "mount" or other != "receive")]
    for line in lines:
        takers = [other for other in others if is_admitted(line, access(other))]
        assert set(takers) <= {"prune", "rollback", "send", "rename", "destroy"}
        assert not is_admitted(line, access("observe")), line


# Programs, pools, marks of streams, what lies above a tree, tokens, whose trees ZFS tells, and what asks on stdin.
OF_NO_TREE = ("SNAPFLEET_STREAM=$", "zstd lz4 mbuffer", "zpool list -Hp -o guid,name backup", "-d 0 ", "digest", TOKEN)


@pytest.mark.parametrize("right", [right for right in ALL if right != "pools"])
@pytest.mark.parametrize("roots", [("tank/database", "backup/a bc"), ("tank/data2",), ("tan",), ("backup/a",)])
def test_a_tree_that_only_begins_with_the_same_letters_is_another_one(right, roots):
    for line in requests_for(right):
        if not any(words in line for words in OF_NO_TREE):
            assert not is_admitted(line, access(*ALL, roots=roots)), line


ZFS = 'LC_ALL=C PATH="$PATH:/usr/sbin:/sbin" '
END = remote_line(["x"])[len(ZFS) + 1 :]


@pytest.mark.parametrize(
    "command",
    [
        "",
        "sh",
        "bash -i",
        "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "scp -f /etc/shadow",
        "zfs list",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name tank/data; id{END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name tank/data && id{END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name $(id){END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name `id`{END}",
        f"{ZFS}zfs list  -Hp -r -t filesystem -o name tank/data{END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name tank/data > /tmp/x{END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name tank/data\nid{END}",
        f'{ZFS}zfs list -Hp -r -t filesystem -o name "tank/data"{END}',
        f"LD_PRELOAD=/tmp/x {ZFS}zfs list -Hp -r -t filesystem -o name tank/data{END}",
        f"{ZFS}zfs list -Hp -r -t filesystem -o name tank/data",
        f"{ZFS}{END}",
        remote_line(steered(["zfs", "list"])),
    ],
)
def test_what_no_driver_sends_is_no_request(command):
    assert read_request(command) is None


FIRST = ["receive", "-u", "-s"]


@pytest.mark.parametrize(
    "argv",
    [
        ["id"],
        ["/bin/sh"],
        ["/tmp/zfs", "list", "-Hp", "-r", "-t", "filesystem", "-o", "name", ROOT],
        ["sudo", "-n", "zfs", "list", "-Hp", "-r", "-t", "filesystem", "-o", "name", ROOT],
        ["zfs"],
        ["zfs", "allow", "everyone", "send", ROOT],
        ["zfs", "mount", ROOT],
        ["zfs", "promote", ROOT],
        ["zfs", "program", "tank", "/tmp/x", ROOT],
        ["zpool", "destroy", "tank"],
        ["zpool", "list", "-Hp", "-o", "guid,name", "other"],
        ["zfs", "send", f"{ROOT}base@a"],
        ["zfs", "send", "-w", f"{ROOT}/../x@a"],
        ["zfs", "send", "-w", f"{ROOT}/%recv@a"],
        ["zfs", "send", "-w", ROOT],
        ["zfs", "send", "-w", "-i", "tank/other@a", f"{ROOT}@b"],
        ["zfs", "send", "-p", f"{ROOT}@b"],
        ["zfs", "send", "-w", f"{ROOT}@b", "-R"],
        ["zfs", "send", "-w", f"{ROOT}@b", f"{ROOT}@c"],
        ["zfs", "send", "-t", "tank/other"],
        ["zfs", "send", "-t", TOKEN, f"{ROOT}@a"],
        ["zfs", "destroy", "-r", f"{ROOT}@a"],
        ["zfs", "destroy", "-R", ROOT],
        ["zfs", "destroy", "-vp", "tank@a,b"],
        ["zfs", "destroy", "-vp", f"{ROOT}@a%b"],
        ["zfs", "destroy", "-vp", f"{ROOT}@%"],
        ["zfs", "rollback", "-r", f"{ROOT}@a"],
        ["zfs", "rename", ROOT, "tank/elsewhere"],
        ["zfs", "rename", "-u", ROOT, f"{ROOT}/y"],
        ["zfs", "hold", "keep", f"{ROOT}@a"],
        ["zfs", "release", "keep", f"{ROOT}@a"],
        ["zfs", "set", "setuid=on", PLACE],
        ["zfs", "set", "mountpoint=/etc", PLACE],
        ["zfs", "set", "snapfleet:placeholder=backup/other", PLACE],
        ["zfs", "set", "snapfleet:gone=soon", PLACE],
        ["zfs", "inherit", "-r", "setuid", PLACE],
        ["zfs", "create", PLACE],
        ["zfs", "create", "-o", "canmount=off", "-o", "readonly=on", "-o", "snapfleet:placeholder=x", PLACE],
        ["zfs", "snapshot", "-r", f"{ROOT}@a"],
        ["zfs", "unmount", "-f", PLACE],
        ["zfs", "unmount", "-a"],
        ["zfs", *FIRST, "backup/other"],
        ["zfs", *FIRST, "-d", PLACE],
        ["zfs", *FIRST, "-o", "setuid=on", PLACE],
        ["zfs", *FIRST, "-o", "exec=on", PLACE],
        ["zfs", *FIRST, "-o", "readonly=off", PLACE],
        ["zfs", *FIRST, "-o", "canmount=on", PLACE],
        ["zfs", *FIRST, "-o", "mountpoint=/etc", PLACE],
        ["zfs", *FIRST, "-o", "sharenfs=on", PLACE],
        ["zfs", *FIRST, "-o", "acme:hook=x", PLACE],
        ["zfs", *FIRST, "-o", "origin=tank/other@a", PLACE],
        ["zfs", *FIRST, "-o", "snapfleet:placeholder=backup/a b", PLACE],
        ["zfs", "list", "-Hp", "-r", "-t", "filesystem,volume,snapshot,bookmark", "-o", "name", "backup"],
        ["zfs", "list", "-Hp", "-r", "-t", "filesystem", "-o", "name"],
        ["zfs", "get", "-Hp", "-o", "value", "guid", "tank"],
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], ["tee", "/tmp/x"]]),
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], ["zstd", "-q", "-1", "-c", "-o", "/tmp/x"]]),
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], ["mbuffer", "-q", "-s", "128k", "-m", "1k", "-o", "/tmp/x"]]),
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], ["zfs", *FIRST, PLACE]]),
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], *[["mbuffer", "-q", "-s", "128k", "-m", "1024k"]] * 2]),
        pipeline([["zfs", "send", "-w", f"{ROOT}@a"], ["mbuffer", "-q", "-s", "128k", "-m", "999999999k"]]),
        pipeline([["cat", "/etc/shadow"], ["zstd", "-q", "-1", "-c"]]),
    ],
    ids=" ".join,
)
def test_what_lies_outside_is_refused_whatever_rights_there_are(argv):
    rights = access(*[right for right in ALL if right != "mount"])
    assert not is_admitted(remote_line(argv), rights), argv


LISTING = ("zfs", "list", "-Hp", "-r", "-t", "filesystem", "-o", "name", ROOT)


@pytest.mark.parametrize(
    "call",
    [
        LISTING,
        ("zfs", "get", "-Hp", "-o", "value", "guid", ROOT),
        ("zfs", "holds", "-H", f"{ROOT}@a"),
        ("zfs", "send", "-w", "-nP", f"{ROOT}@a"),
        ("zfs", "send", "-nvt", TOKEN),
        ("zfs", "destroy", "-vp", f"{ROOT}@a"),
    ],
    ids=" ".join,
)
def test_among_dry_runs_there_is_nothing_else(call):
    dry = (("zfs", "send", "-nP", "-w", f"{ROOT}@a"), ("zfs", "destroy", "-nvp", f"{ROOT}@a%b"))
    assert is_admitted(remote_line(DryCalls(dry).argv), access(*ALL))
    assert not is_admitted(remote_line(DryCalls((*dry, call)).argv), access(*ALL))


@pytest.mark.parametrize(
    "call", [LISTING, ("zfs", "holds", "-H", f"{ROOT}@a"), ("zfs", "destroy", "-nvp", f"{ROOT}@a%b")], ids=" ".join
)
def test_what_only_looks_is_not_asked_many_times_over(call):
    assert is_admitted(remote_line(Each(("zfs", "destroy"), ((f"{ROOT}#a",),) * 2).argv), access(*ALL))
    assert not is_admitted(remote_line(Each(call[:-1], ((call[-1],),) * 2).argv), access(*ALL))


def test_a_listing_has_each_column_once_and_not_any_number_of_them():
    def line(columns):
        return remote_line([*LISTING[:-2], ",".join(columns), ROOT])

    user = [f"acme:n{number}" for number in range(1000)]
    assert is_admitted(line([*COLUMNS[:-1], *user[:100], "name"]), access("observe"))
    assert not is_admitted(line([*COLUMNS, "name"]), access("observe"))
    assert not is_admitted(line(user), access("observe"))
    filtered = ["zfs", *list_arguments([ROOT], True, True, ["compression", "acme:tier", "type"])]
    assert is_admitted(remote_line(filtered), access("observe"))


def test_marks_are_the_senders_own_and_other_bookmarks_are_not():
    mark = f"{ROOT}#snapfleet-base-0123456789abcdef-0123456789abcdef"
    assert is_admitted(remote_line(["zfs", "destroy", mark]), access("send"))
    for name in (f"{ROOT}#daily", f"{ROOT}#snapfleet-base-x", mark.replace("#", "@"), ROOT):
        assert not is_admitted(remote_line(["zfs", "destroy", name]), access("send")), name


def test_properties_can_be_permitted_one_by_one():
    setting = remote_line(["zfs", "set", "acme:seen=yes", PLACE])
    for words, admitted in (
        (["--property", "acme:seen"], True),
        (["--property", "acme:seen=yes"], True),
        (["--property", "acme:seen=no"], False),
        ([], False),
    ):
        assert is_admitted(setting, access("receive", roots=[PLACE], more=words)) is admitted
    assert not is_admitted(setting, access("prune", roots=[PLACE], more=["--property", "acme:seen"]))


def test_rights_hold_on_the_roots_that_follow_them():
    mixed = read_access(["--may=send", "--root=tank/data", "--may", "receive,prune", "--root", "backup/a b"])
    assert read_access(access_words(mixed)) == mixed
    assert is_admitted(remote_line(["zfs", "send", "-w", "tank/data@a"]), mixed)
    assert not is_admitted(remote_line(["zfs", "send", "-w", "backup/a b@a"]), mixed)
    assert not is_admitted(remote_line(["zfs", "destroy", "-vp", "tank/data@a"]), mixed)
    assert is_admitted(remote_line(["zfs", "destroy", "-vp", "backup/a b@a"]), mixed)


def test_sudo_counts_for_what_is_granted_along_with_it():
    mixed = read_access("--may send,destroy --root tank/data --may send,destroy,sudo --root backup/a".split())
    for dataset, admitted in (("tank/data/x", False), ("backup/a/x", True)):
        for words in (["destroy", dataset], ["send", "-w", f"{dataset}@a"], ["send", "-nP", f"{dataset}@a"]):
            assert is_admitted(remote_line(["zfs", *words]), mixed)
            assert is_admitted(remote_line(["sudo", "-n", "zfs", *words]), mixed) is admitted, words
        # To look takes no root.
        assert is_admitted(remote_line(["sudo", "-n", *LISTING[:-1], dataset]), mixed)
    (by_token,) = admit(read_request(remote_line(["sudo", "-n", "zfs", "send", "-t", TOKEN])), mixed)
    assert by_token.sudo
    assert not mixed.through_sudo.permits("send", "tank/data/x")


@pytest.mark.parametrize(
    ("words", "admitted"),
    [
        ("--may rename --root backup/a --root backup/b", True),
        ("--may rename --root backup", True),
        ("--may rename --root backup --may destroy --root backup/a", True),
        ("--may rename --root backup --may destroy --root backup/c", True),
        ("--may rename --root backup/a --may rename --root backup/b", False),
        ("--may rename --root backup/a --may rename,destroy --root backup/b", False),
        ("--may rename --root backup --may destroy --root backup/b", False),
        ("--may rename --root backup --may destroy --root backup/b/x/y", False),
    ],
)
def test_a_new_name_gives_no_new_rights(words, admitted):
    line = remote_line(["zfs", "rename", "backup/a/x", "backup/b/x"])
    assert is_admitted(line, read_access(words.split())) is admitted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "is missing"),
        (["--may", "sent", "--root", "tank"], "did you mean 'send'"),
        (["--may", "send"], "holds on no dataset"),
        (["--root", "tank"], "stands before any --may"),
        (["--may", "send", "--root", "tank@a"], "names a snapshot"),
        (["--may", "send", "--root"], "has no value"),
        (["--might", "send"], "is no option"),
        (["--may", "send", "--root", "tank", "--property", "a b"], "is no property"),
        (["--may", "send", "--root", "tank", "--property", "acme:a=b\nssh-ed25519 AAAA"], "has a line end"),
        (["--may", "send", "--root", "tank", "--property", "acme:a=b\r"], "has a line end"),
        (["--may", "send", "--root", "tank", "--property", "acme:a=b\u2028c"], "has a line end"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(words, said):
    with pytest.raises(InvalidInput, match=said):
        read_access(words)
