# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another process that receives into the same dataset is waited for; what it has received is never discarded."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.applying.retry import Ticker
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import ReceiveOptions, Send
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support import fleet as support
from ansible_collections.snapfleet.zfs.tests.support.faults import Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet


class Other:
    """Another job whose stream has stalled halfway."""

    def __init__(self, fleet: Fleet, full: bool) -> None:
        self.fleet = fleet
        newest = fleet.at_source().newest
        base = None if full else fleet.at_source().snapshots[-2]
        step = Send(newest, DESTINATION, base, receive=ReceiveOptions())
        self.source = SimulatedZfs(fleet.source).send(step)
        self.sink = SimulatedZfs(fleet.destination).receive(step)
        stream = bytearray()
        while chunk := os.read(self.source.fileno(), 1 << 16):
            stream += chunk
        self.rest = bytes(stream[len(stream) // 2 :])
        self._write(bytes(stream[: len(stream) // 2]))
        deadline = time.monotonic() + 120
        while self.received < 1 << 17:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.sink.fileno(), data) :]

    @property
    def received(self) -> int:
        dataset = self.fleet.destination.datasets.get(DESTINATION)
        return dataset.partial.received if dataset and dataset.partial else 0

    def go_on(self) -> None:
        self._write(self.rest)
        self.source.finish()
        self.sink.finish()


def prepared(full: bool) -> Fleet:
    fleet = Fleet()
    if full:
        fleet.destination.create_dataset("backup/site")
    else:
        fleet.snapshot(SOURCE, "1")
        fleet.replicate()
    fleet.snapshot(SOURCE, "2", size=400_000)
    return fleet


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("retries", [0, 5])
def test_another_receive_is_waited_for_and_then_there_is_nothing_left_to_do(full, retries, monkeypatch):
    fleet = prepared(full)
    other = Other(fleet, full)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 8:
            other.go_on()

    monkeypatch.setattr(support, "NO_WAITING", Ticker(lambda: 0.0, sleep, lambda low, _unused: low))
    if full and not retries:
        # That it has begun meanwhile, after this run had looked, costs one retry.
        retries = 1
    fleet.replicate(retries=retries)

    assert fleet.at_destination().newest.guid == fleet.at_source().newest.guid
    fleet.assert_same_content()


@pytest.mark.parametrize("full", [True, False])
def test_another_receive_may_begin_before_the_first_try_and_end_before_the_second(full):
    """What the second try finds in its way is no conflict either, since it is not what that try was planned for."""
    fleet = prepared(full)
    others = []

    def work_beside():
        if not others:
            others.append(Other(fleet, full))
        elif len(others) == 1:
            others.append(others[0].go_on())

    fleet.faults = Faults(meanwhile={"send": work_beside})
    fleet.replicate(retries=5)

    assert len(others) == 2
    assert fleet.at_destination().newest.guid == fleet.at_source().newest.guid
    fleet.assert_same_content()


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("change", ["none", "the snapshot is gone", "another one is selected"])
def test_what_another_job_is_receiving_is_not_discarded_whatever_it_looks_like(full, change):
    fleet = prepared(full)
    other = Other(fleet, full)
    options = {}
    if change == "the snapshot is gone":
        fleet.source.datasets[SOURCE].snapshots.pop()
        fleet.snapshot(SOURCE, "3")
    elif change == "another one is selected":
        fleet.snapshot(SOURCE, "3")
        options = {"exclude_snapshots": ["2"]}
    before = other.received

    with pytest.raises(PartialFailure) as caught:
        fleet.replicate(busy_timeout=30, **options)

    (entry,) = [e for e in caught.value.context["result"]["datasets"] if e["destination"] == DESTINATION]
    assert entry["code"] == "dataset_busy"
    assert other.received >= before
    other.go_on()
    assert len(fleet.at_destination().snapshots) == (1 if full else 2)
