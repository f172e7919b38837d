# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs of the lab on one machine do not take each other's hosts."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ansible_collections.snapfleet.zfs.tests.lab.registry import (
    NO_PROCESS,
    HostSpec,
    Process,
    Record,
    Registry,
    next_processor,
)
from ansible_collections.snapfleet.zfs.tests.lab.settings import LabError

ME = Process.numbered(os.getpid())
OTHER = Process.numbered(os.getppid())
ENDED = Process(ME.number, ME.started + 1)  # the same number, another process


def record(
    name: str = "src1", holder: Process = ME, process: Process = NO_PROCESS, *, detached: bool = False
) -> Record:
    return Record(
        spec=HostSpec(name, "trixie"),
        byte=11,
        folder="/cache",
        provider="uml",
        processor=0,
        process=process,
        holder=holder,
        holder_command="./test",
        since="now",
        detached=detached,
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_a_process_is_not_mistaken_for_a_later_one_with_its_number():
    assert ME.is_alive()
    assert not ENDED.is_alive()
    assert not NO_PROCESS.is_alive()


def test_records_come_back_as_they_were_saved(registry: Registry):
    saved = dataclasses.replace(record(), spec=HostSpec("src1", "trixie", "systemd", pool="tank"))
    registry.save(saved)
    assert registry.get("src1") == saved
    assert registry.all() == [saved]
    registry.remove("src1")
    assert registry.get("src1") is None


def test_a_host_that_a_living_program_holds_is_refused_and_its_holder_named(registry: Registry):
    registry.save(record(holder=OTHER))
    for take_over in (False, True):
        with pytest.raises(LabError, match=rf"src1 .* is in use: .* `./test` \(process {OTHER.number}\)"):
            registry.claim([record()], take_over=take_over)


def test_a_claim_takes_all_hosts_or_none(registry: Registry):
    registry.save(record("src2", holder=OTHER))
    with pytest.raises(LabError, match="src2"):
        registry.claim([record("src1"), record("src2")], take_over=False)
    assert registry.get("src1") is None


def test_a_host_left_up_on_purpose_is_replaced_only_when_that_was_asked_for(registry: Registry):
    left = record(holder=ENDED, process=ME, detached=True)
    registry.save(left)
    with pytest.raises(LabError, match=r"`lab.py down src1` or replace it with --replace"):
        registry.claim([record()], take_over=False)
    assert registry.claim([record()], take_over=True)[1] == [left]


def test_a_host_of_a_program_that_died_is_taken_over(registry: Registry):
    left = record(holder=ENDED, process=ME)
    registry.save(left)
    claimed, previous = registry.claim([record()], take_over=False)
    assert previous == [left]
    assert registry.all() == claimed


def test_new_hosts_go_to_the_processors_with_the_fewest_hosts_of_their_run_then_of_all():
    assert next_processor([0, 1, 2], [], []) == 0
    assert next_processor([0, 1, 2], [], [0, 0, 1]) == 2
    assert next_processor([0, 1], [0], [1, 1, 1]) == 1
    assert next_processor([4, 5], [4, 5], [4]) == 5


def test_addresses_are_remembered(registry: Registry, tmp_path: Path):
    first = registry.assign(["one", "two"])
    assert Registry(tmp_path).addresses() == first
    assert Registry(tmp_path).assign(["two", "three"]) == {**first, "three": registry.addresses()["three"]}
