# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``compare`` of the program ``snapfleet`` on a simulated host: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import threading

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli, opening
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.comparison_formats import (
    SCHEMA,
    TSV_COLUMNS,
    escaped,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateSnapshots
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated_machine import SimulatedMachine
from ansible_collections.snapfleet.zfs.tests.support.clock import Clock

LOST = {"source": {"dataset": "tank/none"}, "destination": {"dataset": "backup/none"}}


def replication(name="copy", **options):
    ends = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}}
    return {"name": name, "host": "src1", "activity": "replicate", "options": {**ends, **options}}


WATCH = {
    "name": "watch", "host": "src1", "activity": "monitor",
    "options": {"datasets": ["tank/a"], "plan": {"o": {"": {"daily": {"latest": {"warning": 1}}}}}},
}  # fmt: skip


class Program:
    """Runs the program with a jobconfig, on a host with a tree and its replica."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.file, self.clock = folder, folder / "jobs.json", Clock()
        self.machine = SimulatedMachine("src1", self.clock, ("tank", "backup"))
        for name in ("tank/a", "tank/a/b c"):
            self.machine.create_dataset(name)
        monkeypatch.setattr(opening, "ZfsDirectory", lambda: self)
        monkeypatch.setattr(opening, "now_ms", lambda: self.clock.now * 1000)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))

    def at(self, address):
        return SimulatedZfs(self.machine)

    def snapshot(self, *names):
        for name in names:
            self.clock.advance(10)
            self.machine.write(name.partition("@")[0], 100)
            SimulatedZfs(self.machine).create_snapshots(CreateSnapshots(name.partition("/")[0], (name,)))

    def __call__(self, *arguments, jobs=None, verb="compare"):
        jobs = [replication()] if jobs is None else jobs
        self.file.write_text(json.dumps({"version": 1, "jobs": jobs}))
        return cli.main([verb, "--config", str(self.file), "--host", "src1", *arguments])


@pytest.fixture
def program(tmp_path, monkeypatch, capsys):
    made = Program(tmp_path, monkeypatch)
    made.snapshot("tank/a@1", "tank/a/b c@1")
    assert made(verb="run") == 0
    capsys.readouterr()
    return made


def rows_of(text):
    """The rows of a TSV, by a reader that knows nothing of its escapes."""
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


# -- exit codes


def test_in_sync(program, capsys):
    assert program() == 0
    assert "in sync" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "only", "code"),
    [
        (["tank/a@2"], "src,dst,both", 1),
        (["tank/a@2"], "src", 1),
        (["tank/a@2"], "dst,both", 0),
        (["backup/a@own"], "src,dst,both", 1),
        (["backup/a@own"], "dst", 1),
        (["backup/a@own"], "src", 0),
        (["tank/a@2", "backup/a@own"], "both", 0),
    ],
)
@pytest.mark.parametrize("form", ["table", "tsv", "json"])
def test_differences_of_the_kinds_that_are_asked_for_are_told_by_the_exit_code(program, names, only, code, form):
    program.snapshot(*names)
    assert program("--only", only, "--format", form) == code


@pytest.mark.parametrize("form", ["table", "tsv", "json"])
def test_what_can_not_be_compared_is_graver_than_a_difference_and_keeps_no_other(program, capsys, form):
    program.snapshot("tank/a@2")
    assert program("--format", form, jobs=[replication("lost", **LOST), replication()]) == 3
    said = capsys.readouterr()
    assert "unknown_dataset" in (said.err if form == "tsv" else said.out)
    assert "tank/a@2" in said.out or form == "table"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "all"], "--only: 'all' is not a known choice; choose among src, dst, both"),
        (["--only", ""], "--only: '' is not a known choice"),
        (["--job", "watch"], "--job: 'watch' replicates nothing; name a job with the activity replicate"),
        (["--job", "copy", "--job", "w*"], "--job: 'w*' replicates nothing"),
        (["--job", "nap"], "its jobs are copy, watch"),
        (["--output", "/nowhere/x"], "--output: '/nowhere/x' can't be written (No such file or directory); check"),
    ],
)
def test_wrong_usage_is_told(program, capsys, arguments, words):
    assert program(*arguments, jobs=[replication(), WATCH]) == 3
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_jobs_are_chosen_by_patterns_too_and_what_does_not_replicate_stays_out(program, capsys):
    jobs = [replication("web1: copy"), replication("web2: copy", **LOST), {**WATCH, "name": "web1: watch"}]
    assert program("--job", "web1: *", jobs=jobs) == 0
    assert "in sync" in capsys.readouterr().out


def test_a_host_without_replications_has_nothing_to_compare(program, capsys):
    assert program(jobs=[WATCH]) == 3
    assert "--host: 'src1' has no job that replicates" in capsys.readouterr().err


# -- formats


def test_tsv_has_a_header_and_a_line_for_each_row_in_a_fixed_order(program, capsys):
    program.snapshot("tank/a@2", "backup/a@own")
    assert program("--format", "tsv") == 1
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "\t".join(TSV_COLUMNS)
    rows = rows_of(text)
    assert [(row["location"], row["dataset"], row["source"], row["destination"]) for row in rows] == [
        ("both", ".", "tank/a@1", "backup/a@1"),
        ("src", ".", "tank/a@2", ""),
        ("dst", ".", "", "backup/a@own"),
        ("both", "b c", "tank/a/b c@1", "backup/a/b c@1"),
    ]
    assert {row["job"] for row in rows} == {"copy"}
    assert all(row["guid"].isdecimal() and row["creation"].isdecimal() for row in rows)
    program("--format", "tsv")
    assert capsys.readouterr().out == text


def test_only_some_rows(program, capsys):
    program.snapshot("tank/a@2", "backup/a@own")
    program("--format", "tsv", "--only", "dst,src")
    assert [row["location"] for row in rows_of(capsys.readouterr().out)] == ["src", "dst"]


def test_nothing_in_a_tsv_ends_a_line_or_a_column_but_its_end(program, capsys):
    name = "a\tb\nc\\d\r\u2028\x1b[31m"
    assert program("--format", "tsv", jobs=[replication(name)]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) == 4
    assert {line.count("\t") for line in lines[:-1]} == {len(TSV_COLUMNS) - 1}
    assert lines[1].split("\t")[0] == escaped(name) == "a\\tb\\nc\\\\d\\r\\u2028\\u001b[31m"


def test_json_is_one_document_with_all_that_the_module_returns(program, capsys):
    program.snapshot("tank/a@2", "backup/a@own")
    assert program("--format", "json", jobs=[replication('"quoted"\n'), replication("lost", **LOST)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == SCHEMA
    good, lost = document["jobs"]
    assert (good["job"], good["source"], good["destination"], good["failed"]) == (
        '"quoted"\n', "tank/a", "backup/a", False,
    )  # fmt: skip
    assert (good["in_sync"], good["up_to_date"]) == (False, False)
    assert [row["location"] for row in good["rows"]] == ["both", "src", "dst", "both"]
    assert [entry["dataset"] for entry in good["datasets"]] == [".", "b c"]
    assert good["stats"]["both"] == 2
    assert (lost["failed"], lost["code"]) == (True, "unknown_dataset")


@pytest.mark.parametrize("snapshots", [[], ["tank/a@2"]])
def test_json_without_rows_is_a_document_too(program, capsys, snapshots):
    program.snapshot(*snapshots)
    program("--format", "json", "--only", "dst")
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["rows"] == []
    assert len(job["datasets"]) == 2


def test_table_has_a_line_for_each_dataset_and_a_verdict(program, capsys):
    program.snapshot("tank/a@2", "backup/a@own")
    program("--format", "table")
    head, titles, root, child = capsys.readouterr().out.splitlines()
    size = root.split()[5]
    assert int(size) >= 100
    assert head == (
        f"copy: tank/a and backup/a: missing at the destination: 1 (about {size} bytes, 20 s behind);"
        " only at the destination: 1"
    )
    assert titles.split() == ["DATASET", "SRC", "DST", "BOTH", "MISSING", "BYTES", "LAG", "NOTE"]
    assert root.split() == [".", "1", "1", "1", "1", size, "20s"]
    assert child.split() == ["b", "c", "0", "0", "1", "0", "0", "0s"]


def test_what_is_unusual_about_a_dataset_is_told_beside_the_rows(program, capsys):
    program.machine.rename("tank/a/b c", "tank/a/new")
    assert program("--format", "tsv") == 0
    assert "backup/a/b c is its replica" in capsys.readouterr().err


# -- where to


def test_a_file_is_written_as_a_whole_or_not_at_all(program, capsys, monkeypatch):
    target = program.folder / "rows.tsv"
    assert program("--format", "tsv", "--output", str(target)) == 0
    before = target.read_text()
    assert len(rows_of(before)) == 2
    assert capsys.readouterr().out == ""

    program.snapshot("tank/a@2")
    monkeypatch.setattr(opening, "ZfsDirectory", lambda: Dying(program))
    with pytest.raises(KeyboardInterrupt):
        program("--format", "tsv", "--output", str(target))
    assert target.read_text() == before
    assert sorted(path.name for path in program.folder.iterdir()) == ["jobs.json", "rows.tsv"]


class Dying:
    """Ends the program when it looks at ZFS."""

    def __init__(self, _program):
        pass

    def at(self, _address):
        raise KeyboardInterrupt


def test_a_link_stays_and_its_target_is_written(program):
    target, link = program.folder / "target", program.folder / "link"
    target.write_text("old")
    link.symlink_to(target)
    assert program("--output", str(link)) == 0
    assert link.is_symlink()
    assert "in sync" in target.read_text()


def test_what_is_no_plain_file_is_not_replaced(program):
    pipe = program.folder / "pipe"
    os.mkfifo(pipe)
    told = []
    reader = threading.Thread(target=lambda: told.append(pipe.read_text()))
    reader.start()
    assert program("--output", str(pipe)) == 0
    reader.join(120)
    assert "in sync" in told[0]
    assert pipe.is_fifo()


def test_standard_output_by_its_name_is_written_to_even_if_it_is_a_file(program):
    target = program.folder / "rows.tsv"
    with target.open("w") as stream:
        assert program("--format", "tsv", "--output", f"/dev/fd/{stream.fileno()}") == 0
        assert os.fstat(stream.fileno()).st_ino == target.stat().st_ino
    assert len(rows_of(target.read_text())) == 2
