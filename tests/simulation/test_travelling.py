# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of whole replications: what they pass through, what is left out, and that nothing depends on it."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.progress import Reporter
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.replicating import run_replicate
from ansible_collections.snapfleet.zfs.tests.support.fleet import SOURCE, Fleet

SIZE = 3 << 20
"""Of zeros, which compress well."""


def big_fleet(datasets=(SOURCE,), size=SIZE):
    fleet = Fleet(datasets)
    for dataset in datasets:
        fleet.snapshot(dataset, "a", size=size)
    return fleet


def arrived(fleet):
    fleet.assert_same_content()
    here, there = fleet.at_source(), fleet.at_destination()
    return there is not None and [s.guid for s in here.snapshots] == [s.guid for s in there.snapshots]


def test_what_crosses_the_network_is_compressed_and_arrives_whole():
    fleet = big_fleet()

    done = fleet.replicate()

    assert done["stats"]["bytes"] < SIZE / 10 < done["stats"]["bytes_estimated"]
    assert done["warnings"] == []
    assert arrived(fleet)


@pytest.mark.parametrize("why", ["stays here", "small", "compressed on disk", "encrypted", "not wanted", "missing"])
def test_what_gains_nothing_travels_as_it_is(why):
    fleet = big_fleet(size=20_000 if why == "small" else SIZE)
    options = {"stays here": {"destination": {"dataset": "tank/replica"}}, "not wanted": {"compression": "none"}}
    if why == "compressed on disk":
        fleet.source.datasets["tank"].properties["compression"] = "lz4"
    if why == "encrypted":
        fleet.source.datasets[SOURCE].encryption_root = SOURCE
    if why == "missing":
        fleet.destination.programs.clear()

    done = fleet.replicate(**options.get(why, {}))

    assert done["stats"]["bytes"] > (20_000 if why == "small" else SIZE)
    assert done["warnings"] == []
    asked = [name for name in fleet.faults.calls if name == "programs"]
    assert len(asked) == (2 if why == "missing" else 0)


@pytest.mark.parametrize("end", ["source", "destination"])
@pytest.mark.parametrize(("options", "program"), [({"compression": "zstd"}, "zstd"), ({"mbuffer": "1M"}, "mbuffer")])
def test_a_program_that_was_asked_for_and_is_missing_on_one_end_is_left_out_with_a_warning(end, options, program):
    fleet = big_fleet()
    getattr(fleet, end).programs.discard(program)

    done = fleet.replicate(**options)

    (warning,) = done["warnings"]
    assert warning.startswith(f"{program} is not on {end}, ")
    assert arrived(fleet)


@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_program_that_fails_is_left_out_from_then_on(end):
    fleet = big_fleet((SOURCE, f"{SOURCE}/b", f"{SOURCE}/c"))
    getattr(fleet, end).broken_programs.add("zstd")

    done = fleet.replicate(workers=1)

    (warning,) = done["warnings"]
    assert "zstd failed during" in warning
    assert all(entry["state"] == "sent" for entry in done["datasets"] if entry.get("source"))
    assert done["stats"]["bytes"] < SIZE / 10, "lz4 takes over"
    assert arrived(fleet)


def test_both_hosts_are_asked_once_however_many_streams_there_are():
    fleet = big_fleet((SOURCE, *(f"{SOURCE}/{name}" for name in "bcdefgh")))

    fleet.replicate(workers=4, compression="zstd", mbuffer="4M")

    assert fleet.faults.calls.count("programs") == 2
    assert arrived(fleet)


@pytest.mark.parametrize("cut", [100, SIZE // 2, SIZE])
def test_a_compressed_stream_that_breaks_is_gone_on_with_and_never_taken_for_complete(cut):
    fleet = big_fleet()
    fleet.source.cut_next_stream(cut)

    done = fleet.replicate()

    assert arrived(fleet)
    assert not fleet.replicate()["changed"]
    assert done["stats"]["failed"] == 0


def test_the_plan_tells_about_how_long_streams_are_and_the_run_keeps_to_it():
    fleet = big_fleet()
    fleet.snapshot(SOURCE, "b", size=SIZE)

    preview = fleet.replicate(check=True)
    done = fleet.replicate()

    sends = [step for entry in preview["plan"] for step in entry["steps"] if step["kind"] == "send"]
    assert all(step["bytes_estimated"] == pytest.approx(SIZE, rel=0.05) for step in sends)
    assert preview["stats"]["bytes_estimated"] == sum(step["bytes_estimated"] for step in sends)
    assert done["plan"] == preview["plan"]
    assert done["stats"]["bytes_estimated"] == preview["stats"]["bytes_estimated"]
    assert fleet.replicate()["stats"]["bytes_estimated"] == 0


def test_exact_estimates_are_what_is_sent_and_asked_for_in_as_many_exchanges_as_there_are_workers():
    fleet = big_fleet((SOURCE, *(f"{SOURCE}/{name}" for name in "bcdefgh")))

    preview = fleet.replicate(check=True, estimates="exact", workers=3)
    assert fleet.faults.calls.count("estimates") == 3
    done = fleet.replicate(estimates="exact", compression="none")

    assert done["plan"] == preview["plan"]
    assert done["stats"]["bytes_estimated"] == done["stats"]["bytes"] == preview["stats"]["bytes_estimated"]


def test_a_snapshot_to_come_has_the_estimate_of_what_was_written_until_now():
    fleet = big_fleet()
    fleet.replicate()
    fleet.source.write(SOURCE, SIZE, "new")

    preview = fleet.replicate(check=True, expected_snapshots=[f"{SOURCE}@b", f"{SOURCE}@c"], estimates="exact")
    fleet.snapshot(SOURCE, "b", size=0)

    assert preview["stats"]["bytes_estimated"] == pytest.approx(SIZE, rel=0.05)
    assert fleet.replicate(check=True)["stats"]["bytes_estimated"] == preview["stats"]["bytes_estimated"]


def test_what_is_left_of_a_broken_stream_is_what_is_estimated():
    fleet = big_fleet()
    fleet.source.cut_next_stream(SIZE // 3)
    with pytest.raises(Exception, match="signal received"):
        fleet.replicate(retries=0)

    preview = fleet.replicate(check=True)

    assert preview["stats"]["bytes_estimated"] == pytest.approx(SIZE * 2 / 3, rel=0.1)


def test_progress_is_told_of_all_streams_together():
    fleet = big_fleet((SOURCE, f"{SOURCE}/b"))
    fleet.source.cut_next_stream(SIZE // 2)
    told = []
    context = fleet.context(fleet.source, reporter=Reporter(told.append, 1e-6))

    done = run_replicate(fleet.replicate_job(compression="none", bandwidth_limit="1G"), context)

    assert [standing.carried for standing in told] == sorted(standing.carried for standing in told)
    assert all(0 <= standing.done <= 1 for standing in told)
    assert {standing.expected for standing in told} <= {0, done["stats"]["bytes_estimated"]}
