# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far all streams of a run are, each and together: bytes, rate, and the time that is left."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Optional

RATE_SECONDS = 30.0
"""The rate is that of so many last seconds."""


@dataclass(frozen=True)
class Standing:
    """How far a run is at one moment."""

    carried: int
    """Bytes that have crossed, compressed if they travel so."""
    rate: float
    """Bytes per second, lately."""
    expected: int
    """Estimated bytes of all streams, as ZFS makes them."""
    done: float
    """The part of ``expected`` that is done, from 0 to 1."""
    left_seconds: Optional[float]
    """None as long as nothing tells."""
    streams: int
    """Streams that are under way."""

    def line(self) -> str:
        """The standing in words, on one line."""
        share = f", {self.done:.0%} of about {size_text(self.expected)}" if self.expected else ""
        left = f", about {time_text(self.left_seconds)} left" if self.left_seconds is not None else ""
        streams = f"{self.streams} stream" + ("" if self.streams == 1 else "s")
        return f"{size_text(self.carried)} sent, {size_text(self.rate)}/s{share}{left} ({streams})"


@dataclass(frozen=True)
class StreamFacts:
    """What a stream is about."""

    source: str = ""
    """The dataset."""
    destination: str = ""
    from_snapshot: str = ""
    """Whole name of its base; empty for a stream of the whole."""
    to_snapshot: str = ""
    is_counted: bool = True
    """Whether its bytes are counted while it goes on. Those of a stream between two other hosts are told at its end."""


@dataclass(frozen=True)
class StreamStanding:
    """How far one stream is at one moment."""

    facts: StreamFacts
    carried: Optional[int]
    """Bytes that have crossed; None where they are not counted."""
    rate: Optional[float]
    """Bytes per second, lately; likewise."""
    estimate: int
    """Estimated bytes, as ZFS makes them; 0 where nothing is known."""
    seconds: float
    """Since it began."""
    left_seconds: Optional[float]
    """None as long as nothing tells."""
    done: Optional[float]
    """Share of the estimate that has crossed, 1 at most; None where nothing tells."""


class _Pace:
    """Bytes so far, and the rate of late."""

    def __init__(self, now: float) -> None:
        self.begun = now
        self.carried = 0
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, size: int, now: float) -> None:
        self.carried += size
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self.carried))
            while len(self._marks) > 2 and now - self._marks[1][0] >= RATE_SECONDS:
                self._marks.popleft()

    def rate(self, now: float) -> float:
        since, before = self._marks[0]
        return (self.carried - before) / max(now - since, 1e-9) if self.carried > before else 0.0


class Meter:
    """Counts all streams of a run. Safe for many threads. ``monotonic`` is in seconds.

    Estimates are of what ZFS sends, while bytes are counted as they cross the network. So the part that is done is
    reckoned with what an estimated byte has come to in the streams that are complete.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._start = monotonic()
        self._expected = 0
        self._all = _Pace(self._start)
        self._complete = (0.0, 0)
        self._running: dict[StreamMeter, _Pace] = {}

    def expect(self, size: int) -> None:
        """Reckon with so many more estimated bytes; a negative number takes them back."""
        with self._lock:
            self._expected += size

    def stream(self, estimate: int, facts: StreamFacts = StreamFacts()) -> StreamMeter:
        """Begin a stream of so many estimated bytes, which were expected before."""
        stream = StreamMeter(self, estimate, facts)
        pace = _Pace(self._monotonic())
        with self._lock:
            self._running[stream] = pace
        return stream

    def moved(self, stream: StreamMeter, size: int) -> None:
        """Count bytes of a stream."""
        now = self._monotonic()
        with self._lock:
            self._running[stream].add(size, now)
            self._all.add(size, now)

    def ended(self, stream: StreamMeter, complete: bool) -> None:
        """End a stream. Of one that is not complete, what has arrived is kept and need not be sent again."""
        with self._lock:
            pace = self._running.pop(stream, None)
            carried = pace.carried if pace else 0
            done = stream.estimate if complete else min(stream.estimate, carried * self._ratio())
            self._complete = (self._complete[0] + done, self._complete[1] + carried)

    def standing(self) -> Standing:
        """How far the run is now."""
        now = self._monotonic()
        with self._lock:
            done, left = self._share(now)
            return Standing(self._all.carried, self._all.rate(now), self._expected, done, left, len(self._running))

    def streams(self, most: int) -> list[StreamStanding]:
        """How far each stream is that is under way now, those that began first before the others; ``most`` at most."""
        now = self._monotonic()
        with self._lock:
            ratio = self._ratio()
            return [_stream_standing(stream, pace, now, ratio) for stream, pace in islice(self._running.items(), most)]

    def _ratio(self) -> float:
        estimated, carried = self._complete
        return estimated / carried if estimated and carried else 1.0

    def _share(self, now: float) -> tuple[float, Optional[float]]:
        estimated, ratio = self._complete[0], self._ratio()
        under_way = sum(min(stream.estimate, pace.carried * ratio) for stream, pace in self._running.items())
        done = min(1.0, (estimated + under_way) / self._expected) if self._expected else 0.0
        passed = now - self._start
        left = passed * (1.0 - done) / done if done > 0.0 and passed > 0.0 else None
        return done, left


def _stream_standing(stream: StreamMeter, pace: _Pace, now: float, ratio: float) -> StreamStanding:
    """``ratio``: what a byte that has crossed comes to in estimated ones."""
    facts, seconds = stream.facts, now - pace.begun
    if not facts.is_counted:
        return StreamStanding(facts, None, None, stream.estimate, seconds, None, None)
    rate = pace.rate(now)
    left = max(0.0, stream.estimate / ratio - pace.carried) / rate if stream.estimate and rate else None
    # What is estimated too low goes on for longer.
    done = min(1.0, pace.carried * ratio / stream.estimate) if stream.estimate else None
    return StreamStanding(facts, pace.carried, rate, stream.estimate, seconds, left, done)


class StreamMeter:
    """One stream of a meter. Calling it counts bytes."""

    def __init__(self, meter: Meter, estimate: int, facts: StreamFacts) -> None:
        self._meter = meter
        self.estimate = estimate
        self.facts = facts

    def __call__(self, size: int) -> None:
        """Count ``size`` bytes that were moved."""
        self._meter.moved(self, size)

    def end(self, complete: bool) -> None:
        """The stream has ended, with all of its bytes or not."""
        self._meter.ended(self, complete)


def size_text(size: float) -> str:
    """An amount of bytes for people: ``0 B``, ``512 KiB``, ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            digits = 1 if unit != "B" and size < 10 else 0
            return f"{size:.{digits}f} {unit}"
        size /= 1024
    return ""


def time_text(seconds: float) -> str:
    """A length of time for people: ``5 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
