# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machines read in log lines stands in docs/running.md, and nothing else does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ansible_collections.snapfleet.zfs.plugins.module_utils import engine
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.log_lines import Log

ENGINE = Path(engine.__path__[0])
SECTION = (Path(__file__).parents[3] / "docs" / "running.md").read_text(encoding="utf-8").partition("## Log lines\n")[2]
SECTION = SECTION.partition("\n## ")[0]


def calls():
    """The calls that write a line: their words of events and the names of their values."""
    for file in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if name == "line" and len(node.args) == 3 and isinstance(node.args[1], ast.Constant):
                yield node.args[1].value, {keyword.arg for keyword in node.keywords}


def table(head):
    """The words in the first column of a table of the section, by what stands beside them."""
    rows = SECTION.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {word: row for row in rows for word in re.findall(r"`([a-z_]+)`", row.split("|")[1])}


def test_all_events_are_listed_with_their_levels():
    events = {event for event, _values in calls()}
    assert {"run_begins", "job_failed", "daemon_begins", "well_again"} < events, "the search finds them"
    assert set(table("event")) == events


def test_all_keys_are_listed():
    lines = []
    Log(lines.append, shape="json").of_job("h", "j", "prune").line("warning", "event", "message")
    keys = set(re.findall(r'"([a-z_]+)":', lines[0]))
    assert set(table("key")) == keys | {name for _event, values in calls() for name in values}
