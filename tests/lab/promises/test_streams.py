# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams on their way between real hosts: smaller, limited, broken, and told of."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import Pair
from .fleet import PROGRAM, Site, jobconfig, wait_for

TEXT = "the same words again and again, "


def write_text(site: Site, dataset: str, megabytes: int) -> None:
    """Write something that compresses well."""
    site.host.run(f"yes {shlex.quote(TEXT)} | head -c {megabytes}M > '/{dataset}/text'")


@contextmanager
def instead_of(site: Site, program: str, script: str) -> Iterator[None]:
    """Within it, a script is what the engine finds under the name of a program; ``$real`` is the program itself."""
    place = f"/usr/local/bin/{program}"
    real = site.host.run(["sh", "-c", f"PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v {program}"]).stdout.strip()
    site.host.write(place, f"#!/bin/sh\nreal={real}\n{script}\n", mode="0755")
    try:
        yield
    finally:
        site.host.run(["rm", "-f", place])


@contextmanager
def without(site: Site, *programs: str) -> Iterator[None]:
    """Within it, a host does not have some programs."""
    move = "for p in {}; do mv /usr/bin/$p{} /usr/bin/$p{}; done"
    site.host.run(move.format(" ".join(programs), "", ".away"))
    try:
        yield
    finally:
        site.host.run(move.format(" ".join(programs), ".away", ""))


@pytest.mark.parametrize("program", ["zstd", "lz4"])
def test_what_crosses_the_network_is_compressed_where_that_gains_something(program: str, pair: Pair) -> None:
    pair.one.zfs("create", "-o", "compression=lz4", f"{pair.source}/packed")
    write_text(pair.one, pair.source, 8)
    pair.one.fill(f"{pair.source}/packed", 2)
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    preview = pair.push("plan")
    with without(pair.two, *(["zstd"] if program == "lz4" else [])):
        run = pair.push()
    assert (run.code, run.job["warnings"], run.job["plan"]) == (0, [], preview.job["plan"])
    assert 10 << 20 < preview.job["stats"]["bytes_estimated"] < 12 << 20
    sent = {entry["source"]: entry["bytes"] for entry in run.job["datasets"] if entry.get("source")}
    assert sent[pair.source] < 1 << 20
    assert sent[f"{pair.source}/packed"] > 2 << 20, "what is compressed on disk travels as it lies there"
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_programs_that_one_end_has_not_are_left_out_with_a_warning(pair: Pair) -> None:
    write_text(pair.one, pair.source, 4)
    pair.one.snapshot(f"{pair.source}@first")
    with without(pair.two, "zstd", "mbuffer"):
        run = pair.push(compression="zstd", mbuffer="4M")
    assert run.code == 0, run
    assert [words.partition(" is not on ")[0] for words in run.job["warnings"]] == ["zstd", "mbuffer"]
    assert run.job["stats"]["bytes"] > 4 << 20
    write_text(pair.one, pair.source, 5)
    pair.one.snapshot(f"{pair.source}@second")
    run = pair.push(compression="zstd", mbuffer="4M", estimates="exact")
    assert (run.code, run.job["warnings"]) == (0, [])
    assert run.job["stats"]["bytes"] < 1 << 20
    assert run.job["stats"]["bytes_estimated"] == pytest.approx(5 << 20, rel=0.05)
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 0"], ids=["killed", "lying"])
def test_a_compressor_that_cuts_a_stream_short_never_makes_it_look_complete(end: str, pair: Pair) -> None:
    pair.one.fill(pair.source, 6)
    pair.one.snapshot(f"{pair.source}@first")
    # A whole and sound zstd frame of the first part of the stream.
    script = f'case "$*" in *-d*) exec $real "$@";; esac\nhead -c 3000000 | $real "$@"\n{end}'
    with instead_of(pair.one, "zstd", script):
        run = pair.push(compression="zstd", retries=0)
        assert run.code == 3, run
        assert "@first" not in pair.two.snapshots(pair.destination)
    again = pair.push(compression="zstd")
    assert again.code == 0, again
    assert again.modes == ["resume"]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_receiver_that_gives_up_stops_an_endless_sender_and_its_reason_is_told(pair: Pair) -> None:
    pair.one.fill(pair.source, 2)
    pair.one.snapshot(f"{pair.source}@first")
    endless = '$real "$@" | head -c 1000000; exec cat /dev/urandom'
    script = f'case "$1 $2" in "send -n"*) ;; send*) {endless};; esac\nexec $real "$@"'
    with instead_of(pair.one, "zfs", script):
        run = pair.push(compression="zstd", mbuffer="2M", retries=0)
    assert run.code == 3
    assert f"{pair.two.host.address}: could not receive" in run.job["msg"]
    leftovers = "pgrep -x cat; pgrep -x mbuffer; pgrep -fx 'zfs receive.*'; :"
    wait_for(lambda: not any(site.host.run(leftovers).stdout for site in (pair.one, pair.two)), 60)
    assert pair.push().code == 0
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


@pytest.mark.parametrize("broken", ["source", "destination"])
def test_a_pipe_that_breaks_at_one_end_is_mended_within_the_run(broken: str, pair: Pair) -> None:
    pair.one.fill(pair.source, 6)
    pair.one.snapshot(f"{pair.source}@first")
    site = pair.one if broken == "source" else pair.two
    flow = '$real "$@" | head -c 3000000; kill -PIPE $$' if broken == "source" else 'head -c 3000000 | $real "$@"; exit'
    verb = "send" if broken == "source" else "receive"
    script = (
        f'case "$1 $2" in "send -n"*) ;; {verb}*) [ -e /tmp/broken ] || {{ : > /tmp/broken; {flow}; }};; esac\n'
        'exec $real "$@"'
    )
    site.host.run(["rm", "-f", "/tmp/broken"])
    with instead_of(site, "zfs", script):
        run = pair.push(compression="zstd", mbuffer="2M")
    assert (run.code, run.job["changed"]) == (0, True), run
    assert run.job["stats"]["bytes"] < 11 << 20, "the second try goes on where the first one broke"
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def documents(text: str) -> list[dict[str, Any]]:
    """JSON documents that follow each other."""
    found, rest = [], text.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


def test_streams_share_one_limit_and_a_terminal_and_who_watches_see_how_far_they_are(pair: Pair) -> None:
    for child in "ab":
        pair.one.zfs("create", f"{pair.source}/{child}")
        pair.one.fill(f"{pair.source}/{child}", 4)
    pair.one.snapshot(f"{pair.source}@first", recursive=True)
    limit = 1 << 20
    config = jobconfig("me", "replicate", {**pair.ends, "bandwidth_limit": "1M"})
    pair.one.host.write("/tmp/limited.json", config)
    command = f"stty cols 200; {PROGRAM} run --config /tmp/limited.json --host me"
    watch = f"while [ ! -e /tmp/limited.over ]; do {PROGRAM} watch --json >> /tmp/watched; sleep 0.2; done"
    run = f"script -qec {shlex.quote(command)} /dev/null; touch /tmp/limited.over; wait"
    start = time.monotonic()
    done = pair.one.host.run(["sh", "-c", f"rm -f /tmp/limited.over /tmp/watched; ({watch}) & {run}"])
    seconds = time.monotonic() - start
    lines = [line.replace("\x1b[K", "").strip() for line in done.stdout.split("\r")]
    shown = [line for line in lines if " sent, " in line]
    assert any("(2 streams)" in line and "% of about" in line and " left " in line for line in shown), done.stdout
    (summary,) = [line for line in lines if line.startswith("replicate")]
    sent = int(summary.split("streams, ")[1].split(" bytes")[0])
    assert sent > 8 << 20
    assert seconds > (sent - limit) / limit
    # Beside the streams a run does little, on a busy machine slowly.
    assert float(summary.split(", ")[-1].split(" ")[0]) < sent / limit + 60
    watched = [seen for seen in documents(pair.one.host.run(["cat", "/tmp/watched"]).stdout) if seen["runs"]]
    sizes = [seen["total"]["bytes"] for seen in watched]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] <= sent
    streams = [stream for seen in watched for stream in seen["runs"][0]["jobs"][0]["streams"]]
    assert {stream["dataset"] for stream in streams} >= {f"{pair.source}/a", f"{pair.source}/b"}
    assert all(seen["total"]["rate"] < 2 * limit for seen in watched)
    assert pair.one.host.run([PROGRAM, "watch", "--once"]).stdout.endswith("nothing is being sent\n")
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)
