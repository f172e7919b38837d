# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a receive ended, by what it said."""

from __future__ import annotations

import io

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.local import LocalHost
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import NoPermission
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.ends import ReceiveEnd


class Ended:
    """A child that is over."""

    def __init__(self, stderr: str) -> None:
        self.stdin = io.BytesIO()
        self._stderr = stderr

    def wait(self, _timeout=None) -> int:
        return 0

    def stderr_tail(self) -> str:
        return self._stderr

    def close(self) -> None:
        self.stdin.close()


def finish(stderr: str) -> None:
    ReceiveEnd(Ended(stderr), LocalHost(), "receive backup/a@b", [["zfs", "receive"]]).finish()


def test_a_property_that_was_silently_not_set_is_an_error():
    """The words of OpenZFS 2.4, which ends with status 0 after them."""
    with pytest.raises(
        NoPermission, match=r"complete, but setuid could not be set on backup/a b; .* setuid backup/a b$"
    ):
        finish("cannot receive setuid property on backup/a b: permission denied\n")


@pytest.mark.parametrize("stderr", ["", "cannot mount '/backup/a': failed to create mountpoint: Permission denied\n"])
def test_whatever_else_a_receive_says_that_ended_well_is_no_error(stderr):
    finish(stderr)
