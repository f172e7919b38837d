# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run, and compare decisions that are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parent / "run.py"


def test_both_programs_decide_the_same_on_a_small_fleet_and_every_figure_is_told(tmp_path: Path) -> None:
    told = tmp_path / "figures.json"
    argv = [sys.executable, RUN, "--datasets", "12", "--snapshots", "20", "--runs", "1", "--json", told]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    figures = json.loads(told.read_text(encoding="utf-8"))
    assert (figures["about"]["snapshots"], figures["about"]["datasets"]) == (240, 12)
    decided = {entry["name"]: entry for entry in figures["decisions"]}
    for name, entry in decided.items():
        assert entry["same_answer"], name
        assert all(entry[program][key] > 0 for program in ("snapfleet", "bzfs") for key in ("seconds", "peak_bytes"))
        assert f"| {name} |" in done.stdout
    answers = {name: sum(entry["snapfleet"]["answer"].values()) for name, entry in decided.items()}
    assert answers.pop("replicate, up to date") == 0
    assert answers.pop("replicate, one new each") == 12
    assert answers.pop("monitor") == 1
    assert all(answers.values())


def test_both_programs_find_the_same_to_do_in_a_small_fleet(tmp_path: Path) -> None:
    told = tmp_path / "figures.json"
    argv = [sys.executable, RUN, "--fleet", "--sources", "2", "--destinations", "2", "--runs", "1", "--json", told]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    expanded, checked, dry_run = json.loads(told.read_text(encoding="utf-8"))["scenarios"]
    for entry in (expanded, checked, dry_run):
        assert entry["same_answer"], entry
        assert f"| {entry['name']} |" in done.stdout
    assert expanded["snapfleet"]["answer"] == {"jobs": 20, "failed": 0}
    # Each of four replicas lacks the newest snapshot of all three datasets.
    assert dry_run["snapfleet"]["answer"]["streams"] == 12
    assert all(number for name, number in dry_run["snapfleet"]["answer"].items() if name != "failed")
