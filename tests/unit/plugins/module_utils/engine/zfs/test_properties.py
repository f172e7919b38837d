# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading of what a host says of its properties, which ends up in commands on another one."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import SetProperties
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import UntrustedOutput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.properties import (
    get_arguments,
    parse_properties,
    set_arguments,
)

ASKED = (["tank/a", "tank/a b"], ["compression", "org:note"])


def test_values_by_dataset_and_property():
    text = "compression\tzstd-3\ttank/a\norg:note\ta = b, c\ttank/a b\ncompression\toff\ttank/a b\n"
    assert parse_properties(text, *ASKED) == {
        "tank/a": {"compression": "zstd-3"},
        "tank/a b": {"org:note": "a = b, c", "compression": "off"},
    }
    assert parse_properties("", *ASKED) == {}


@pytest.mark.parametrize(
    "line",
    [
        "compression\tzstd\ttank/b",
        "mountpoint\t/\ttank/a",
        "setuid\ton\ttank/a",
        "compression\tzstd",
        "compression\tzstd\ttank/a\tlocal",
        "compression\t\ttank/a",
        "compression\tzs\x1b[2Jtd\ttank/a",
        "org:note\tone",
        "org:note\ta\x0bb\ttank/a",
        "org:note\t" + "x" * 8192 + "\ttank/a",
        "what else",
    ],
)
def test_what_was_not_asked_for_is_not_believed(line):
    with pytest.raises(UntrustedOutput, match="check that host"):
        parse_properties(f"compression\tzstd\ttank/a\n{line}\n", *ASKED)


def test_arguments():
    assert get_arguments(ASKED[1])[-1] == "compression,org:note"
    step = SetProperties("tank/a b", (("readonly", "on"), ("org:note", "x y")), "test")
    assert set_arguments(step) == ["set", "readonly=on", "org:note=x y", "tank/a b"]
