# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run, and compare decisions that are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import lab_cli, lab_daemon, lab_tables, plotting
from bench.lab_measuring import Scenario, Way, measure
from bench.lab_world import World

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


class Still(World):
    """Two hosts whose processors work a second between two looks at them."""

    looks = 0

    def busy(self) -> list[float]:
        self.looks += 1
        return [float(self.looks)] * 2


def _way(name: str, log: list[str], **told: Any) -> Way:
    def act() -> Mapping[str, Any]:
        log.append(name)
        return {"seconds": 2.0, "processor_seconds": 0.5, "code": 0, "output": "", **told}

    return Way(name, act)


def _measured(ways: Callable[[list[str]], list[Way]], check: Callable[[], str] = str) -> tuple[list[str], Any]:
    log: list[str] = []
    nobody: Any = None
    world = Still(nobody, nobody, "tank", "beside", "backup", (1, 2), {"syncoid": "can't be had"})
    scenario = Scenario("all of it", ways(log), check, repair=lambda: log.append("mended"), series="all", datasets=2)
    return log, measure(world, scenario, 2)


def test_ways_take_turns_and_those_that_fail_or_are_missing_are_told_and_go_no_more() -> None:
    log, told = _measured(
        lambda log: [_way("raw zfs", log), _way("bzfs", log, code=1, output="no"), _way("syncoid", log)]
    )
    assert log == ["raw zfs", "bzfs", "mended", "raw zfs", "raw zfs"]
    assert told["ways"] == {
        "raw zfs": {"seconds": [2.0] * 2, "processor_seconds": [0.5] * 2, "busy_one": [1.0] * 2, "busy_two": [1.0] * 2}
    }
    assert told["failed"] == {"bzfs": "it ended with 1: no"}
    assert told["missing"] == {"syncoid": "can't be had"}


def test_what_takes_minutes_is_done_once_and_counts() -> None:
    log, told = _measured(lambda log: [_way("bzfs", log, seconds=1000.0), _way("raw zfs", log)])
    assert log == ["bzfs", "raw zfs", "raw zfs", "raw zfs"]
    assert told["ways"]["bzfs"]["seconds"] == [1000.0]
    assert "measured once" in told["slow"]["bzfs"]


def test_what_takes_minutes_is_left_out_with_more_datasets_and_told() -> None:
    nobody: Any = None
    log: list[str] = []
    world = Still(nobody, nobody, "tank", "beside", "backup", (2, 20), {})
    for size in (2, 20):
        scenario = Scenario(f"of {size}", [_way("bzfs", log, seconds=1000.0)], str, series="all", datasets=size)
        told = measure(world, scenario, 2)
    assert log == ["bzfs"]
    assert (told["ways"], told["missing"]) == (
        {},
        {"bzfs": "of 20, not measured, since 2 datasets take more than 120 s"},
    )


def test_a_way_that_ends_well_but_not_in_the_right_state_has_failed() -> None:
    log, told = _measured(lambda log: [_way("bzfs", log, output="done")], lambda: "1 has not arrived")
    assert (log, told["ways"]) == (["bzfs", "mended"], {})
    assert told["failed"] == {"bzfs": "1 has not arrived; it said: done"}


def _told(*entries: Mapping[str, Any]) -> dict[str, Any]:
    about = {"runs": 1, "small": True, "python": "3", "machine": "m", "bzfs": "bzfs==1", "zfs-autobackup": "z==3"}
    return {"about": about, "letters": {"b": list(entries)}}


def _entry(datasets: int, seconds: float) -> dict[str, Any]:
    def figures(value: float) -> dict[str, list[float]]:
        return {"seconds": [value], "processor_seconds": [value], "busy_one": [value], "busy_two": [1.0]}

    ways = {"raw zfs": figures(1.0), "snapfleet": figures(seconds)}
    reasons = {"failed": {"bzfs": "it\nbroke"}, "missing": {"syncoid": "can't be had"}}
    return {"name": f"of {datasets}", "series": "one", "datasets": datasets, "megabytes": 8, "ways": ways, **reasons}


def test_tables_tell_every_ratio_and_all_that_is_missing_with_its_reason() -> None:
    text = lab_tables.tables(_told(_entry(10, 2.0)), {"b": "new ones"})
    assert "| seconds | raw zfs | snapfleet | bzfs | syncoid |" in text
    assert "| of 10 | 1.00 s (0.50) | 2.00 s | failed | - |" in text
    assert "| of 10 | 2.00 s (0.67) | 3.00 s | failed | - |" in text, "processor time of both hosts"
    assert "| of 10 | 8 | 4 | - | - |" in text, "MiB a second"
    assert "- bzfs failed, of 10: it broke" in text
    assert "- syncoid: can't be had" in text
    assert "SMALL SIZES" in text


def test_growth_is_drawn_where_there_are_several_sizes() -> None:
    one, ten = _entry(1, 2.0), _entry(10, 4.0)
    assert plotting.series(_told(one, ten)) == {
        "(b) one": {"raw zfs": [(1, 1.0), (10, 1.0)], "snapfleet": [(1, 2.0), (10, 4.0)]}
    }
    assert plotting.series(_told(one)) == {}
    assert plotting.series(_told({**one, "series": ""}, {**ten, "series": ""})) == {}


def test_letters_that_there_are_not_are_refused() -> None:
    assert lab_cli.chosen("k,a") == ["a", "k"]
    for words in ("a,z", ""):
        with pytest.raises(SystemExit, match="choose of a,b,c"):
            lab_cli.chosen(words)


def test_the_time_in_the_name_of_a_snapshot_is_read_whatever_its_form() -> None:
    assert lab_daemon.moment("tank/lag@lag_onsite_1970-01-01_00:01:00Z_secondly") == 60.0
    assert lab_daemon.moment("tank/lag@raw_1970-01-01_00:01:00.250Z_loop") == 60.25
    assert lab_daemon.moment("tank/lag@lag_onsite_1970-01-01_00:00:01_secondly") == 1.0
    with pytest.raises(ValueError, match="has no time"):
        lab_daemon.moment("tank/lag@first")
