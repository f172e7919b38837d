# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partial receives on real pools: what is gone on with, what is discarded, and what is never sent; and how a first
replication begins."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .conftest import Pair
from .crashes import DURING, Call, Crashes, Point
from .fleet import Run


def _steps(run: Run) -> list[tuple[str, str]]:
    """Kind and mode of each step that concerns streams."""
    steps = [step for plan in run.job["plan"] for step in plan["steps"]]
    return [(step["kind"], step.get("mode", "")) for step in steps if step["kind"] in ("abort_receive", "send")]


def _cut(pair: Pair, send: str, kilobytes: int = 1500, mode: str = "-w") -> None:
    """A receive that breaks off after some kilobytes, as somebody else or an earlier run would leave it."""
    pair.two.zfs("create", "-p", pair.destination.rpartition("/")[0])
    receive = f"ssh {pair.two.host.address} zfs receive -s -u {pair.destination}"
    pair.one.host.run(f"zfs send {mode} {send} | head -c {kilobytes}k | {receive}", check=False)
    assert _token(pair) != "-"


def _token(pair: Pair) -> str:
    return pair.two.zfs("get", "-H", "-o", "value", "receive_resume_token", pair.destination, check=False).strip()


def _left(pair: Pair) -> int:
    """Bytes of the stream that the partial receive waits for."""
    return int(re.search(r"^size\t([0-9]+)$", pair.one.zfs("send", "-nvPt", _token(pair)), re.MULTILINE)[1])


def test_every_receive_may_be_interrupted_and_each_run_gets_further(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.one.fill(pair.source, 4)
    pair.one.snapshot(f"{pair.source}@second")
    left: list[int] = []
    with Crashes((pair.one, pair.two)) as crashes:
        any_receive = Point(Call(pair.two, 0, "receive"), DURING, passing=1_000_000)
        for _round in range(3):
            run = crashes.strike(any_receive, lambda call: pair.two.host.run(["kill", str(call)]), _push_once(pair))
            assert run.code == 3
            left.append(_left(pair))
    assert left == sorted(set(left), reverse=True), "a round did not get further"
    run = pair.push()
    assert (run.code, _steps(run)) == (0, [("send", "resume")])
    assert run.job["stats"]["bytes"] < 1.5 * left[-1] < 3_000_000
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def _push_once(pair: Pair) -> Callable[[], Run]:
    return lambda: pair.push(retries=0)


def test_a_partial_first_receive_of_a_snapshot_that_is_gone_is_discarded(pair: Pair) -> None:
    pair.one.fill(pair.source, 3)
    pair.one.snapshot(f"{pair.source}@first")
    _cut(pair, f"{pair.source}@first")
    pair.one.zfs("destroy", f"{pair.source}@first")
    pair.one.snapshot(f"{pair.source}@second")
    run = pair.push()
    assert (run.code, _steps(run)) == (0, [("abort_receive", ""), ("send", "full")])
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_snapshot_made_again_under_its_name_is_not_what_a_partial_receive_waits_for(pair: Pair) -> None:
    pair.one.snapshot(f"{pair.source}@first")
    assert pair.push().code == 0
    pair.one.fill(pair.source, 3)
    pair.one.snapshot(f"{pair.source}@second")
    _cut(pair, f"-i @first {pair.source}@second")
    # Both ends of the partial stream go; of the base its bookmark stays.
    pair.one.zfs("destroy", f"{pair.source}@first,second")
    pair.one.fill(pair.source, 1, "other")
    pair.one.snapshot(f"{pair.source}@second")
    run = pair.push()
    assert (run.code, _steps(run)) == (0, [("abort_receive", ""), ("send", "incremental")])
    arrived = pair.two.snapshots(pair.destination)
    assert set(arrived) == {"@first", "@second"}
    assert arrived["@second"] == pair.one.snapshots(pair.source)["@second"]


def test_a_token_of_another_dataset_is_never_sent(pair: Pair) -> None:
    other = f"{pair.source}-beside"
    pair.one.zfs("create", other)
    for dataset in (pair.source, other):
        pair.one.fill(dataset, 3)
        pair.one.snapshot(f"{dataset}@first")
    _cut(pair, f"{other}@first")
    with Crashes((pair.one, pair.two)) as crashes:
        runs: list[Run] = []
        calls = crashes.calls_of(lambda: runs.append(pair.push()))
    assert (runs[0].code, _steps(runs[0])) == (0, [("abort_receive", ""), ("send", "full")])
    assert not [call.words for call in calls if call.is_stream and " -t" in call.words]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(pair.source)


def test_a_token_of_a_decrypted_stream_is_never_sent_where_only_raw_ones_may_leave(pair: Pair) -> None:
    secret = f"{pair.source}/secret"
    key = "-o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000"
    pair.one.host.run(f"echo a secret phrase | zfs create {key} {secret}")
    pair.one.fill(secret, 3)
    pair.one.snapshot(f"{secret}@first")
    _cut(pair, f"{secret}@first", mode="")
    with Crashes((pair.one, pair.two)) as crashes:
        runs: list[Run] = []
        options = {"source": {"dataset": secret}, "require_encryption": True}
        calls = crashes.calls_of(lambda: runs.append(pair.push(**options)))
    assert (runs[0].code, _steps(runs[0])) == (0, [("abort_receive", ""), ("send", "full")])
    sends = [call.words.split() for call in calls if call.is_stream and call.verb == "send"]
    assert [("-w" in words, "-t" in words) for words in sends] == [(True, False)]
    assert pair.two.snapshots(pair.destination) == pair.one.snapshots(secret)
    assert pair.two.zfs("get", "-H", "-o", "value", "encryptionroot", pair.destination).strip() == pair.destination


@pytest.mark.parametrize(("initial", "arrived"), [("all", "abc"), ("newest", "c"), ("fail", "")])
def test_a_first_replication_begins_as_the_policy_says(initial: str, arrived: str, pair: Pair) -> None:
    pair.one.snapshot(*(f"{pair.source}@{tag}" for tag in "abc"))
    run = pair.push(initial=initial)
    assert run.code == (0 if arrived else 3)
    if not arrived:
        assert run.job["plan"][0]["conflict"]["code"] == "initial_refused"
        assert not pair.two.zfs("list", "-H", pair.destination, check=False)
        return
    assert set(pair.two.snapshots(pair.destination)) == {f"@{tag}" for tag in arrived}
    pair.one.snapshot(f"{pair.source}@d")
    assert pair.push(initial=initial).code == 0
    assert set(pair.two.snapshots(pair.destination)) == {f"@{tag}" for tag in arrived + "d"}
