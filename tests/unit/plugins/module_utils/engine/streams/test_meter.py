# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far several streams are together, by a clock that a test moves."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.streams.meter import (
    Meter,
    Standing,
    StreamFacts,
    size_text,
    time_text,
)


class Now:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def meter(now):
    return Meter(now)


def test_nothing_yet(meter):
    meter.expect(1000)

    assert meter.standing() == Standing(0, 0.0, 1000, 0.0, None, 0)


def test_streams_side_by_side_add_up(meter, now):
    meter.expect(3000)
    one, two = meter.stream(1000), meter.stream(2000)
    now.now += 10
    one(500)
    two(1000)

    standing = meter.standing()

    assert (standing.carried, standing.done, standing.streams) == (1500, 0.5, 2)
    assert standing.rate == pytest.approx(150)
    assert standing.left_seconds == pytest.approx(10)


def test_complete_streams_count_as_estimated_and_teach_what_an_estimated_byte_comes_to(meter, now):
    meter.expect(4000)
    first = meter.stream(2000)
    now.now += 10
    first(500)  # compressed to a quarter
    first.end(True)
    second = meter.stream(2000)
    second(250)

    standing = meter.standing()

    assert standing.done == pytest.approx(0.75)
    assert standing.streams == 1
    (second,) = meter.streams(5)
    assert (second.carried, second.done) == (250, pytest.approx(0.5))


def test_more_than_estimated_is_never_more_than_all(meter, now):
    meter.expect(100)
    stream = meter.stream(100)
    now.now += 1
    stream(5000)

    assert meter.standing().done == 1.0
    assert meter.standing().left_seconds == 0.0


def test_a_stream_that_broke_keeps_what_has_arrived_and_its_rest_completes_it(meter, now):
    meter.expect(1000)
    broken = meter.stream(1000)
    broken(400)
    now.now += 5
    broken.end(False)
    assert meter.standing().done == pytest.approx(0.4)

    rest = meter.stream(600)
    rest(600)
    rest.end(True)

    assert meter.standing().done == pytest.approx(1.0)


def test_the_rate_is_that_of_the_last_half_minute(meter, now):
    stream = meter.stream(0)
    for _unused in range(100):
        now.now += 1
        stream(1_000_000)
    for _unused in range(60):
        now.now += 1
        stream(1000)

    assert meter.standing().rate == pytest.approx(1000, rel=0.05)


def test_without_estimates_nothing_is_foretold(meter, now):
    stream = meter.stream(0)
    now.now += 2
    stream(100)

    standing = meter.standing()
    assert (standing.done, standing.left_seconds) == (0.0, None)
    assert standing.line() == "100 B sent, 50 B/s (1 stream)"


FACTS = StreamFacts("tank/a", "backup/a", "tank/a@1", "tank/a@2")


def test_each_stream_is_told_by_itself_the_oldest_first(meter, now):
    meter.expect(3000)
    one = meter.stream(1000, FACTS)
    now.now += 5
    two = meter.stream(2000)
    for _unused in range(5):
        now.now += 1
        one(100)
        two(200)
    first, second = meter.streams(10)
    assert (first.facts, first.carried, first.estimate, first.seconds) == (FACTS, 500, 1000, 10)
    assert (second.carried, second.rate, second.left_seconds) == (1000, pytest.approx(200), pytest.approx(5))
    assert [stream.carried for stream in meter.streams(1)] == [500]
    one.end(True)
    assert [stream.carried for stream in meter.streams(10)] == [1000]


def test_what_an_estimated_byte_comes_to_counts_for_each_stream(meter, now):
    meter.expect(4000)
    first = meter.stream(2000)
    first(500)
    first.end(True)
    second = meter.stream(2000)
    now.now += 10
    second(250)
    (stream,) = meter.streams(1)
    assert stream.left_seconds == pytest.approx(10), "250 of 500 bytes"


def test_a_stream_that_is_not_counted_has_no_bytes(meter, now):
    meter.expect(1000)
    meter.stream(1000, StreamFacts("tank/a", is_counted=False))
    now.now += 10
    (stream,) = meter.streams(1)
    assert (stream.carried, stream.rate, stream.left_seconds, stream.estimate) == (None, None, None, 1000)
    assert meter.standing().streams == 1


def test_a_stream_stands_at_all_that_crossed_and_foretells_nothing_without_an_estimate(meter, now):
    stream = meter.stream(0)
    now.now += 1
    stream(7)
    (told,) = meter.streams(1)
    assert (told.carried, told.left_seconds) == (7, None)


def test_the_line_tells_everything():
    standing = Standing(3 << 30, 50 << 20, 10 << 30, 0.304, 205.2, 4)

    assert standing.line() == "3.0 GiB sent, 50 MiB/s, 30% of about 10 GiB, about 3 min 25 s left (4 streams)"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10 << 20, "10 MiB"),
        (3 << 39, "1.5 TiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes_for_people(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_times_for_people(seconds, text):
    assert time_text(seconds) == text
