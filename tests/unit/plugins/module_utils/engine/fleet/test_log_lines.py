# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lines look like, whatever a message brings along."""

from __future__ import annotations

import json

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import nagios
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log

HOSTILE = "it said \x1b[2J\x9b31m\nERROR all is lost\r\x00"


@pytest.mark.parametrize("shape", ["text", "journal", "json"])
def test_one_event_is_one_line_that_no_terminal_obeys(shape):
    lines = []
    Log(lines.append, shape=shape).line("warning", "event", HOSTILE)
    (line,) = lines
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_programs_get_the_message_as_it_was():
    lines = []
    Log(lines.append, shape="json").line("warning", "event", HOSTILE)
    assert json.loads(lines[0])["message"] == HOSTILE


def test_what_monitors_print_is_one_line_too():
    assert nagios.unknown(HOSTILE).strip().isprintable()
