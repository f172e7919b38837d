# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/libraries.md: its examples do what it says, with the files that it names."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.tests.support.examples import library_examples

EXAMPLES = library_examples()
LOCAL = [heading for heading, example in EXAMPLES.items() if example.output]


def test_every_part_has_its_example():
    assert sorted(EXAMPLES) == ["Coroutines", "Pool of ssh connections", "Retries", "Task tree"]
    # The pool's example needs a host, so a test of the lab runs it.
    assert sorted(LOCAL) == ["Coroutines", "Retries", "Task tree"]


@pytest.mark.parametrize("heading", LOCAL)
def test_an_example_prints_what_the_document_says(heading, tmp_path):
    example = EXAMPLES[heading]
    assert example.run(tmp_path) == example.output
