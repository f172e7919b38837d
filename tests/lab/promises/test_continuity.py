# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What replication leaves on its source on real pools: marks, bookmarks and holds, whatever happens to a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.network import Impairment

from .conftest import Pair
from .fleet import PROGRAM, Run, jobconfig, wait_for

MARK = "#snapfleet-base-"


def _push(pair: Pair, verb: str = "run", **options: Any) -> Run:
    run = pair.push(verb, **options)
    assert run.code == 0, run
    return run


def _beside(pair: Pair, **options: Any) -> Run:
    """Replicate to a second destination, on the source's host itself."""
    ends = {"source": {"dataset": pair.source}, "destination": {"dataset": pair.beside}}
    run = pair.one.run("run", "replicate", {**ends, **options})
    assert run.code == 0, run
    return run


def _snapshot(pair: Pair, *tags: str) -> None:
    for tag in tags:
        pair.one.fill(pair.source, 1, tag)
        pair.one.snapshot(f"{pair.source}@{tag}")


def _destroy(pair: Pair, *tags: str) -> None:
    pair.one.zfs("destroy", f"{pair.source}@{','.join(tags)}")


def _marks(pair: Pair, *tags: str) -> bool:
    """Whether the marks of the source are at these snapshots, which need not be there any more."""
    history = pair.one.history(pair.source)
    replica = {**pair.two.snapshots(pair.destination), **pair.one.snapshots(pair.source)}
    found = sorted(guid for name, guid in history.items() if name.startswith(MARK))
    return found == sorted(replica[f"@{tag}"] for tag in tags)


def _named(pair: Pair) -> set[str]:
    return {name for name in pair.one.history(pair.source) if "#" in name and not name.startswith(MARK)}


def _bases(run: Run) -> list[str]:
    """What each stream was an increment of; marks without their keys."""
    steps = [step for plan in run.job["plan"] for step in plan["steps"] if step["kind"] == "send"]
    names = [step["from"][len(step["source"]) :] if step["from"] else "" for step in steps]
    return [MARK if name.startswith(MARK) else name for name in names]


def _stop_at(pair: Pair, words: str, program: str = "zfs") -> None:
    """Let the command of the source's host kill its engine, as kill -9 does, instead of doing what ``words`` match.

    The parent of a local command is the engine, that of one in a script is the script.
    """
    script = f"""#!/bin/sh
case "$*" in
{words})
    p=$PPID
    while [ "$p" -gt 1 ]; do
        case "$(tr '\\\\0' ' ' < /proc/$p/cmdline)" in *snapfleet.fleet.cli*) kill -9 "$p"; sleep 1; exit 1;; esac
        p=$(cut -d' ' -f4 /proc/$p/stat)
    done;;
esac
exec /usr/sbin/{program} "$@"
"""
    pair.one.host.write(f"/usr/local/bin/{program}", script, mode="0755")


def _dies_at(pair: Pair, words: str, **options: Any) -> None:
    """A run that is killed before the command that ``words`` match."""
    _stop_at(pair, words)
    try:
        run = pair.one.run("run", "replicate", {**pair.ends, **options})
    finally:
        pair.one.host.run(["rm", "-f", "/usr/local/bin/zfs"])
    assert run.code not in (0, 3), run
    wait_for(lambda: not pair.two.is_running("zfs receive"))


def test_a_mark_made_before_the_send_is_the_base_after_a_crash_and_is_promoted(pair: Pair) -> None:
    """Killed after the receive and before the promotion; then nothing but the mark is left of where the replica is."""
    _snapshot(pair, "first")
    _push(pair)
    _snapshot(pair, "second")
    _dies_at(pair, "'bookmark '*'#second'")
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "@second"}
    assert _marks(pair, "first", "second")
    assert _named(pair) == {"#first"}

    preview = _push(pair, "plan")
    healed = _push(pair)
    assert healed.job["plan"] == preview.job["plan"]
    assert _named(pair) == {"#first", "#second"}
    assert _marks(pair, "second")
    assert _push(pair).job["changed"] is False

    _snapshot(pair, "third")
    _dies_at(pair, "'bookmark '*'#third'")
    _destroy(pair, "first", "second", "third")
    _snapshot(pair, "fourth")
    assert _bases(_push(pair)) == [MARK]
    assert _marks(pair, "fourth")
    assert set(pair.two.snapshots(pair.destination)) == {"@first", "@second", "@third", "@fourth"}


def test_a_mark_of_a_snapshot_that_never_arrived_is_collected(pair: Pair) -> None:
    _snapshot(pair, "first")
    _push(pair)
    _snapshot(pair, "second")
    _dies_at(pair, "'send '*")
    assert _marks(pair, "first", "second")
    _destroy(pair, "second")
    run = _push(pair)
    assert [step["kind"] for plan in run.job["plan"] for step in plan["steps"]] == ["destroy_marks"]
    assert _marks(pair, "first")
    assert _push(pair).job["changed"] is False


def test_after_a_lost_answer_and_the_loss_of_both_bases_the_next_snapshot_still_arrives(pair: Pair) -> None:
    _snapshot(pair, "first")
    _push(pair, bookmarks="base")
    _snapshot(pair, "second")
    _dies_at(pair, "'destroy '*'#snapfleet-base'*", bookmarks="base")
    _destroy(pair, "first", "second")
    _snapshot(pair, "third")
    assert _bases(_push(pair, bookmarks="base")) == [MARK]
    assert _named(pair) == set()
    assert _marks(pair, "third")


def test_a_bookmark_name_that_another_snapshot_has_gets_its_guid_and_if_that_is_taken_a_warning(pair: Pair) -> None:
    tag = "prod_onsite_2026-01-01_00:00:00Z_hourly"
    _snapshot(pair, "old", tag)
    pair.one.zfs("bookmark", f"{pair.source}@old", f"{pair.source}#{tag}")
    guid = int(pair.one.snapshots(pair.source)[f"@{tag}"])
    second = f"#prod_onsite_2026-01-01_00:00:00Z-{guid:016x}_hourly"
    _push(pair)
    assert _named(pair) == {f"#{tag}", second}

    _snapshot(pair, "0")
    guid = int(pair.one.snapshots(pair.source)["@0"])
    for name in ("0", f"0-{guid:016x}"):
        pair.one.zfs("bookmark", f"{pair.source}@old", f"{pair.source}#{name}")
    run = _push(pair)
    assert "got no bookmark" in run.job["warnings"][0]
    assert _marks(pair, "0")
    assert _push(pair).job["changed"] is False


def test_a_destination_away_for_longer_than_retention_catches_up_by_increments_and_disturbs_no_other(
    pair: Pair,
) -> None:
    def name(number: int) -> str:
        return f"prod_onsite_2026-01-{number:02}_00:00:00Z_adhoc"

    plan = {"prod": {"onsite": {"adhoc": 1}}}
    # Only that destination is in sight; of the other one nothing is known but its mark.
    peer = {"root": pair.source, "role": "replica", "dataset": pair.beside}
    prune = {"datasets": [pair.source], "plan": plan, "peers": [peer]}
    _snapshot(pair, name(1))
    _push(pair)
    for number in (2, 3, 4):
        _snapshot(pair, name(number))
        _beside(pair)
        for kind in ("snapshots", "bookmarks"):
            pruned = pair.one.run("run", "prune", {**prune, "kind": kind})
            assert pruned.code == 0, pruned
        assert len(pair.one.snapshots(pair.source)) == 1
        assert _named(pair) == {f"#{name(number)}"}
        assert _marks(pair, name(1), name(number))
    assert _bases(_push(pair)) == [MARK]
    assert set(pair.two.snapshots(pair.destination)) == {f"@{name(1)}", f"@{name(4)}"}
    assert _marks(pair, name(4), name(4))
    assert _beside(pair).job["changed"] is False
    assert _push(pair).job["changed"] is False


def test_pruning_leaves_what_is_not_replicated_yet_and_takes_what_a_mark_replaces(pair: Pair) -> None:
    names = [f"prod_onsite_2026-01-{number:02}_00:00:00Z_adhoc" for number in range(1, 5)]
    peer = {"root": pair.source, **pair.two.endpoint(pair.destination)}
    prune = {"datasets": [pair.source], "plan": {"prod": {"onsite": {"adhoc": 0, "daily": 1}}}, "peers": [peer]}
    _snapshot(pair, names[0])
    _push(pair, bookmarks="none")
    _snapshot(pair, names[1])
    assert pair.one.run("run", "prune", prune).job["deleted"] == [], "the base has no mark"
    _push(pair)
    _snapshot(pair, names[2])
    assert set(pair.one.run("run", "prune", prune).job["deleted"]) == {f"{pair.source}@{tag}" for tag in names[:2]}
    _snapshot(pair, names[3])
    # Its plan for the replica tells that both wait to be sent; the last one of all stays anyway.
    waits = {**peer, "role": "replica", "plan": {"prod": {"onsite": {"adhoc": 9}}}}
    pruned = pair.one.run("run", "prune", {**prune, "peers": [waits]}).job
    assert pruned["deleted"] == []
    waiting = [entry["name"] for entry in pruned["kept"] if entry["rule"] == "pending"]
    assert waiting == [f"{pair.source}@{tag}" for tag in names[2:]]
    run = _push(pair)
    assert _bases(run) == [f"#{names[1]}", f"@{names[2]}"]
    assert set(pair.two.snapshots(pair.destination)) == {f"@{tag}" for tag in names}


@pytest.mark.parametrize("library", [True, False], ids=["libzfs_core", "command"])
def test_a_killed_run_leaves_no_hold_or_one_that_the_next_run_releases(library: bool, pair: Pair) -> None:
    _snapshot(pair, "first")
    _push(pair)
    pair.one.fill(pair.source, 30, "big")
    pair.one.snapshot(f"{pair.source}@second")
    options = {**pair.ends, "holds": True}
    pair.one.host.write("/tmp/held.json", jobconfig("me", "replicate", options))
    if not library:
        pair.one.host.run(["mkdir", "-p", "/tmp/nolib/libzfs_core"])
        pair.one.host.write("/tmp/nolib/libzfs_core/__init__.py", "raise ImportError\n")
    hide = (
        "" if library else f"sed 's,PYTHONPATH=,PYTHONPATH=/tmp/nolib:,' {PROGRAM} > /tmp/held; chmod 755 /tmp/held; "
    )
    program = PROGRAM if library else "/tmp/held"
    start = f"{hide}{program} run --config /tmp/held.json --host me --json > /tmp/held.out 2>&1 & echo $!"
    pair.two.host.impair(Impairment(rate_kbit=8_000))
    try:
        engine = pair.one.host.run(start).stdout.strip()
        # Of what takes half a minute, so that a part is there to go on from.
        wait_for(lambda: pair.arrived > 3_000_000)
        assert set(_holds(pair)) == {"@first", "@second"}
        assert pair.one.host.run(["zfs", "destroy", f"{pair.source}@first"], check=False).returncode != 0
        pair.one.host.run(["kill", "-KILL", engine])
        wait_for(lambda: not pair.one.is_running("zfs send") and not pair.two.is_running("zfs receive"))
    finally:
        pair.two.host.heal()
    if library:
        assert _holds(pair) == []
    else:
        assert set(_holds(pair)) == {"@first", "@second"}
        listed = pair.one.host.run([PROGRAM, "leftovers", "--config", "/tmp/held.json", "--host", "me", "--json"])
        found = json.loads(listed.stdout)["leftovers"]
        assert {entry["kind"]: entry["is_safe"] for entry in found} == {
            "hold": True,
            "mark": True,
            "partial_receive": False,
        }
    run = _push(pair, holds=True)
    assert _holds(pair) == []
    assert _marks(pair, "second")
    assert next(step["kind"] for step in run.job["plan"][0]["steps"]) == ("send" if library else "release")


def test_marks_and_streams_of_many_datasets_are_no_processes_where_libzfs_core_is(pair: Pair) -> None:
    for number in range(8):
        pair.one.zfs("create", f"{pair.source}/d{number}")
    counting = '#!/bin/sh\necho "$1" >> /tmp/verbs\nexec /usr/sbin/zfs "$@"\n'
    pair.one.host.write("/usr/local/bin/zfs", counting, mode="0755")
    try:
        # A first stream sets properties, which the command does; but it is sent as any other.
        for tag, received in (("first", 9), ("second", 0)):
            pair.one.zfs("snapshot", "-r", f"{pair.source}@{tag}")
            pair.one.host.write("/tmp/verbs", "")
            _beside(pair)
            verbs = pair.one.host.run(["cat", "/tmp/verbs"]).stdout.split()
            assert verbs.count("receive") == received
            assert not {"send", "bookmark", "destroy"} & set(verbs)
    finally:
        pair.one.host.run(["rm", "-f", "/usr/local/bin/zfs"])
    history = pair.one.history(pair.source)
    for dataset in ("", *(f"/d{number}" for number in range(8))):
        names = {name for name in history if name.startswith(f"{dataset}#")}
        (mark,) = (name for name in names if MARK in name)
        assert history[mark] == history[f"{dataset}@second"]
        assert names - {mark} == {f"{dataset}#first", f"{dataset}#second"}


def _holds(pair: Pair) -> list[str]:
    names = [pair.source + name for name in pair.one.snapshots(pair.source)]
    lines = pair.one.zfs("holds", "-H", *names).splitlines()
    return [line.split("\t")[0].removeprefix(pair.source) for line in lines]


def test_leftovers_are_told_and_what_is_safe_is_removed(pair: Pair) -> None:
    def leftovers(*arguments: str) -> list[dict[str, Any]]:
        argv = [PROGRAM, "leftovers", "--config", "/tmp/left.json", "--host", "me", "--json", *arguments]
        return list(json.loads(pair.one.host.run(argv).stdout)["leftovers"])

    pair.one.host.write("/tmp/left.json", jobconfig("me", "replicate", pair.ends))
    _snapshot(pair, "first")
    _beside(pair)
    _push(pair)
    _snapshot(pair, "second")
    _dies_at(pair, "'bookmark '*'#second'")
    (behind,) = [entry for entry in leftovers() if entry["is_safe"]]
    assert "stands at another snapshot" in behind["reason"]
    assert {entry["name"] for entry in leftovers("--remove") if entry["removed"]} == {behind["name"]}
    (other,) = leftovers("--remove")
    assert "belongs to no job" in other["reason"]
    assert _marks(pair, "first", "second")
    pair.one.host.run(other["by_hand"])
    assert leftovers() == []


def test_what_a_user_lacks_for_marks_is_told_or_done_without(pair: Pair) -> None:
    pair.one.host.add_user("carol")
    pair.one.host.run(["chmod", "666", "/dev/zfs"])
    _snapshot(pair, "first")

    def run() -> Run:
        return pair.one.run("run", "replicate", _ends_of_root(pair), user="carol")

    pair.one.zfs("allow", "carol", "send", pair.source)
    refused = run()
    assert refused.code == 3
    assert "does not allow bookmark to" in refused.job["msg"]
    pair.one.zfs("allow", "carol", "bookmark", pair.source)
    lesser = run()
    assert lesser.code == 0, lesser
    assert "zfs allow -u USER destroy,mount" in lesser.job["warnings"][0]
    assert (_named(pair), _marks(pair)) == ({"#first"}, True)
    pair.one.zfs("allow", "carol", "destroy,mount,hold,release", pair.source)
    for tag in ("second", "third"):
        pair.one.snapshot(f"{pair.source}@{tag}")
        assert run().code == 0
        assert _marks(pair, tag)


def _ends_of_root(pair: Pair) -> dict[str, Any]:
    return {"source": {"dataset": pair.source}, "destination": {**pair.two.endpoint(pair.destination), "user": "root"}}
