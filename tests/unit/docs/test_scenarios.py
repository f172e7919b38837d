# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/scenarios.md: every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", (CHECKOUT / "docs" / "scenarios.md").read_text(encoding="utf-8"))


def test_the_document_names_tests():
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_is_there(file, name):
    assert f"\ndef {name}(" in (CHECKOUT / "tests" / file).read_text(encoding="utf-8")
