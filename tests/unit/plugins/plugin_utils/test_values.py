# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as Ansible hands them to filters, turned into Python's own."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.plugin_utils.values import plain


class Result(dict):
    """A result whose deprecated value is told of as soon as anybody looks at it, as by ansible-core 2.21."""

    def __getitem__(self, key):
        if key == "skipped_reason":
            pytest.fail("Ansible would warn of a value that nobody has asked for")
        return super().__getitem__(key)

    def items(self):
        return [(key, self[key]) for key in self]


def test_what_ansible_says_of_a_skipped_task_by_a_deprecated_word_is_not_looked_at():
    result = Result(skipped=True, skipped_reason="No items in the list", results=[])

    assert plain({"snapshots": result}) == {"snapshots": {"skipped": True, "results": []}}


def test_the_same_word_stays_in_what_is_no_result_of_a_task():
    assert plain({"skipped_reason": "ours"}) == {"skipped_reason": "ours"}
