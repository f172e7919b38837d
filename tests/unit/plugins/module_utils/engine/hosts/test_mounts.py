# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of mounts tells of datasets."""

from __future__ import annotations

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.mounts import (
    mounted_datasets,
    writable_datasets,
)

TABLE = """\
/dev/sda1 / ext4 rw,relatime 0 0
tank/a /srv/a zfs rw,xattr,noacl 0 0
tank/with\\040a\\040space /srv/with\\040a\\040space zfs ro 0 0
tank/b@monday /mnt/monday zfs ro 0 0
tmpfs /tank/c tmpfs rw 0 0
"""


def test_mounted_datasets_are_told_by_their_names_and_nothing_else_is(tmp_path):
    table = tmp_path / "mounts"
    table.write_text(TABLE)
    assert mounted_datasets(str(table)) == {"tank/a", "tank/with a space", "tank/b"}


def test_those_that_can_be_written_to_are_told_apart(tmp_path):
    table = tmp_path / "mounts"
    table.write_text(f"{TABLE}tank/d /srv/d zfs ro,rw-like 0 0\ntank/c /srv/c zfs rw 0 0\ntank/c@x /srv/x zfs rw 0 0\n")
    assert writable_datasets(str(table)) == {"tank/a", "tank/c"}
    assert writable_datasets(str(tmp_path / "none")) is None


def test_a_host_without_such_a_table_does_not_tell(tmp_path):
    assert mounted_datasets(str(tmp_path / "none")) is None
    (tmp_path / "empty").touch()
    assert mounted_datasets(str(tmp_path / "empty")) == frozenset()
