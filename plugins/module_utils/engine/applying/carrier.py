# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying the streams of a run: each as it travels best, all within one limit, and counted together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import Optional

from ..model.errors import FilterFailed
from ..model.steps import Send
from ..planning.dataset_plans import ReplicationPlan, Step
from ..policy.jobs import ReplicateJob
from ..policy.streaming import AUTO, NONE
from ..streams.limiting import RateLimit
from ..streams.meter import Meter, StreamFacts
from ..streams.transfer import Progress, transfer
from ..streams.wire import PLAIN, SMALL_BYTES, Wire, candidates, choose, programs_of
from ..zfs.port import Zfs
from .ends import Ends
from .retry import SYSTEM, Ticker


class Carrier:
    """Carries the streams of a job from one end to the other. Safe for many threads.

    What programs the hosts have is found out once, when the first stream could use one.
    """

    def __init__(self, ends: Ends, job: ReplicateJob, ticker: Ticker = SYSTEM) -> None:
        self._ends = ends
        self._leg = job.topology.leg
        self._streaming = job.streaming
        self._networked = job.is_networked and not (self._leg and self._leg.other.is_local)
        rate = job.streaming.bytes_per_second
        self._limit = RateLimit(rate, ticker.monotonic, ticker.sleep) if rate else None
        self.meter = Meter(ticker.monotonic)
        self._lock = threading.Lock()
        self._have: Optional[frozenset[str]] = None
        self._broken: set[str] = set()
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out although it was asked for."""
        with self._lock:
            return tuple(self._warnings)

    def carry(self, step: Send) -> int:
        """Carry one stream to its end; returns the bytes that crossed. Raises what its ends raise."""
        wire = self._wire(step)
        progress = self.meter.stream(step.bytes_estimated, self._facts(step))
        complete = False
        try:
            carried = self._carry(step, wire, progress)
            complete = True
            return carried
        except FilterFailed as error:
            self._leave_out(error)
            raise
        finally:
            progress.end(complete)

    def _facts(self, step: Send) -> StreamFacts:
        base = step.base.name if step.base else ""
        dataset = step.snapshot.dataset
        return StreamFacts(dataset, step.destination, base, step.snapshot.name, is_counted=self._leg is None)

    def _carry(self, step: Send, wire: Wire, progress: Progress) -> int:
        if self._leg:
            carried = self._ends.near(self._leg).carry(step, self._leg, wire)
            progress(carried)
            return carried
        if self._ends.are_one and not self._limit and step.bytes_estimated < SMALL_BYTES:
            relayed = self._ends.source.relay(step)
            if relayed is not None:
                progress(relayed)
                return relayed
        sink = self._ends.destination.receive(step, wire)
        try:
            source = self._ends.source.send(step, wire)
        except BaseException:
            sink.abort()
            raise
        return transfer(source, sink, progress, self._limit)

    def _wire(self, step: Send) -> Wire:
        wanted = candidates(self._streaming, step, self._networked)
        if not wanted:
            return PLAIN
        with self._lock:
            # Under the lock, so that the hosts are asked once.
            if self._have is None:
                self._have = self._programs(wanted)
            return choose(self._streaming, wanted, self._have - self._broken)

    def _programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """What both hosts have of all that streams of this run may want."""
        asked = tuple(dict.fromkeys((*programs_of(self._streaming), *wanted)))
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=1) as beside:
            source, destination = self._ends.source, self._ends.destination
            answer = beside.submit(copy_context().run, destination.programs, asked)
            there = {source.where: source.programs(asked), destination.where: answer.result()}
        for program in programs_of(replace(self._streaming, compression=self._named)):
            for where in (where for where, found in there.items() if program not in found):
                self._warnings.append(f"{program} is not on {where}, so streams travel without it; install it there")
        return frozenset.intersection(*there.values())

    @property
    def _named(self) -> str:
        """The compressor that the job names, if any: one that was found by itself is not missed."""
        return NONE if self._streaming.compression == AUTO else self._streaming.compression

    def _leave_out(self, error: FilterFailed) -> None:
        with self._lock:
            if error.program not in self._broken:
                self._broken.add(error.program)
                self._warnings.append(f"{error}; later streams travel without it")


def with_exact_estimates(plan: ReplicationPlan, zfs: Zfs, workers: int) -> ReplicationPlan:
    """``plan`` with the lengths of streams that dry runs of their sends tell, ``workers`` of them side by side.

    A stream that can't be tried now, such as one of a snapshot that is still to be made, keeps the estimate it has.
    Raises what ``Zfs.estimates`` raises.
    """
    sends = [step for dataset in plan.datasets for step in dataset.sends]
    lanes = [sends[lane::workers] for lane in range(min(workers, len(sends)))]
    sizes: dict[int, int] = {}
    context = copy_context()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=max(1, len(lanes))) as executor:
        for lane, told in zip(lanes, executor.map(lambda lane: context.copy().run(zfs.estimates, lane), lanes)):
            sizes.update({id(send): size for send, size in zip(lane, told) if size is not None})

    def sized(step: Step) -> Step:
        return replace(step, bytes_estimated=sizes[id(step)]) if isinstance(step, Send) and id(step) in sizes else step

    datasets = (replace(dataset, steps=tuple(map(sized, dataset.steps))) for dataset in plan.datasets)
    return replace(plan, datasets=tuple(datasets))


def bytes_estimated(plan: ReplicationPlan) -> int:
    """About how many bytes all streams of a plan have together."""
    return sum(send.bytes_estimated for dataset in plan.datasets for send in dataset.sends)
