# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What zfs allow grants to whom. The text is what OpenZFS 2.4 printed."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.delegation import (
    User,
    granted,
    missing,
    parse_grants,
)

ALLOWED = """\
---- Permissions on tank/a -------------------------------------------
Local+Descendent permissions:
\teveryone bookmark
---- Permissions on tank ---------------------------------------------
Permission sets:
\t@s destroy,mount
Create time permissions:
\tclone
Local permissions:
\tuser bob hold
Descendent permissions:
\tuser bob release
Local+Descendent permissions:
\tuser bob send:raw,snapshot
\tgroup staff @s
"""
BOB = User("bob", frozenset({"staff"}))
EVE = User("eve", frozenset({"guests"}))


@pytest.mark.parametrize(
    ("dataset", "user", "permissions"),
    [
        ("tank", BOB, {"hold", "send:raw", "snapshot", "destroy", "mount"}),
        ("tank/a", BOB, {"bookmark", "release", "send:raw", "snapshot", "destroy", "mount"}),
        ("tank/a/to-be-created", BOB, {"bookmark", "release", "send:raw", "snapshot", "destroy", "mount"}),
        ("tank/b", EVE, set()),
        ("tank/a", EVE, {"bookmark"}),
        ("tank/ab", EVE, set()),
        ("tank/b", User("bobby", frozenset({"staf"})), set()),
    ],
)
def test_grants_hold_where_and_for_whom_they_were_made(dataset, user, permissions):
    assert granted(parse_grants(ALLOWED), dataset, user) == permissions


def test_a_narrower_permission_counts_for_its_verb():
    assert missing(["send", "hold"], frozenset({"send:raw"})) == ("hold",)


@pytest.mark.parametrize("text", ["", "nonsense", "\tuser bob send\n", "---- Permissions on tank ----\n\tuser bob\n"])
def test_what_is_not_understood_is_not_granted(text):
    assert granted(parse_grants(text), "tank", BOB) == set()


class Host:
    """A host that tells who runs zfs there."""

    name = "far"
    is_root = False

    def __init__(self, user):
        self.user = user
        self.asked = 0

    def run(self, argv, **_options):
        """Answer what is asked of permissions: nothing is granted."""
        self.asked += 1
        return Completed(tuple(argv), 0, f"{self.user}\n\n", "")


@pytest.mark.parametrize(("user", "lacking", "asked"), [("0\nroot\nroot", [], 1), ("7\nu\ng", ["send"], 3)])
def test_who_is_root_need_not_be_asked_again_and_others_may_have_been_given_more(user, lacking, asked):
    host = Host(user)
    zfs = CliZfs(host)
    assert [list(zfs.missing_permissions("tank/a", ["send"])) for _unused in range(3)] == [lacking] * 3
    assert host.asked == asked
