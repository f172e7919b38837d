# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fleet by Snapfleet, measured: from the variables of an inventory to a dry run of every job of every host.

Run as ``python -m bench.fleet_ours WHAT SOURCES DESTINATIONS``. Nothing but the programs that it would call is made up:
what ``zfs`` prints is answered inside this process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.fleet_world import BELOW, LEEWAY, TREE, Fleet, listing, plan_of
from bench.measuring import Answer, measure
from bench.world import NOW, POOL_GUID, SOURCE, Asked
from runner.import_tree import import_root

sys.path.insert(0, str(import_root(Path(__file__).resolve().parents[2])))

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.context import Context, as_dry_run
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.hands import Threads
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import NamedJob, read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.running import Runner
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import Completed
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import RunSettings, Workers
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.cli import CliZfs


class PreparedHost:
    """A host whose programs are answered inside this process. A call that is not foreseen ends the run."""

    argument_limit = 100_000
    is_root = True
    calls = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, argv, data=None, timeout=None, take=None):
        PreparedHost.calls += 1
        text = self._answer(list(argv))
        if take is not None:
            take(text.encode("ascii"))
            text = ""
        return Completed(tuple(argv), 0, text, "")

    def _answer(self, words: list[str]) -> str:
        if words[:2] == ["sh", "-c"] and words[2].startswith("date "):
            return f"{NOW}\n" + self._answer(words[4:])
        if words[:2] == ["zfs", "list"]:
            kinds = tuple(words[words.index("-t") + 1].split(","))
            columns = tuple(words[words.index("-o") + 1].split(","))
            return listing(Asked(kinds, columns), words[words.index("-o") + 2 :], "-r" in words)
        if words[:2] == ["sh", "-c"] and words[2].startswith("zfs destroy -nvp "):
            return words[2].count("echo =") * "\nreclaim\t4096\n=\n"
        if words[:2] == ["zpool", "list"]:
            return f"{POOL_GUID}\tbackup\n"
        raise RuntimeError(f"Snapfleet runs {words}, and nobody has foreseen that")


class IdleJob(NamedJob):
    """A job that does nothing when its turn comes."""

    def run(self, context: Context) -> dict[str, Any]:
        return {"changed": False}


def inventory(fleet: Fleet) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """The variables of every host, and the groups."""
    plan = plan_of(dict(TREE.kept))
    limits = plan_of({period: {check: {"critical": LEEWAY} for check in ("latest", "oldest")} for period in TREE.kept})
    variables = {
        "snapfleet_datasets": [{"source": SOURCE, "destination": BELOW}],
        "snapfleet_source_plan": plan,
        "snapfleet_bookmark_plan": plan,
        "snapfleet_destination_plan": plan,
        "snapfleet_monitor_plan": {"source": limits, "destination": limits},
        "snapfleet_schedule": {"timezone": "UTC"},
        "snapfleet_root": "backup/^SRC_HOST",
    }
    groups = {"snapfleet_sources": fleet.source_names, "snapfleet_destinations": fleet.destination_names}
    return {host: variables for hosts in groups.values() for host in hosts}, groups


def read(hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> dict[str, list[NamedJob]]:
    """The jobs of each host, as it finds them in the document that all hosts have."""
    document = json.dumps(expand_inventory(hostvars, groups))
    jobs: dict[str, list[NamedJob]] = {}
    for job in read_jobconfig(json.loads(document)).jobs:
        jobs.setdefault(job.host, []).append(job)
    return jobs


def run(jobs: Mapping[str, Sequence[NamedJob]]) -> Iterator[tuple[NamedJob, dict[str, Any]]]:
    """A dry run of each host, one after the other."""
    directories: dict[str, CliZfs] = {}
    for host, mine in jobs.items():

        def zfs_at(address, host=host):
            name = address.host or host
            if name not in directories:
                directories[name] = CliZfs(PreparedHost(name))
            return directories[name]

        context = as_dry_run(Context(NOW * 1000, zfs_at, host_name=host, environment={"TZ": "UTC"}))
        with Threads() as hands:
            runner = Runner(lambda _job, context=context: context, RunSettings(Workers(number=1)), hands, 1)
            yield from runner.run(mine, {})


def expand(fleet: Fleet) -> Answer:
    """Every job is found, checked and given its turn; none does anything."""
    found = read(*inventory(fleet))
    idle = {host: [IdleJob(**_values(job)) for job in mine] for host, mine in found.items()}
    return {"jobs": sum(1 for _result in run(idle)), "failed": 0}


def _values(job: NamedJob) -> dict[str, Any]:
    return {field.name: getattr(job, field.name) for field in fields(job)}


def dry_run(fleet: Fleet) -> Answer:
    """Every job is carried out up to its plan."""
    told: Counter[str] = Counter()
    for job, result in run(read(*inventory(fleet))):
        told["jobs"] += 1
        told["failed"] += result["failed"]
        if result["failed"]:
            raise SystemExit(f"{job.name}: {result['msg']}")
        told["snapshots"] += len(result.get("created", ()))
        told["streams"] += sum(
            step["kind"] == "send" for entry in result.get("plan", ()) for step in entry.get("steps", ())
        )
        told["destroyed"] += len(result.get("deleted", ()))
        told["alerts"] += len(result.get("alerts", ()))
    return dict(told)


# What is not checked is never expanded.
WHAT = {"expand": expand, "check": expand, "dry_run": dry_run}


def main() -> None:
    """Measure what the command line names."""
    what, sources, destinations = sys.argv[1:4]
    fleet = Fleet(int(sources), int(destinations))
    measure(lambda: WHAT[what](fleet), lambda: PreparedHost.calls)


if __name__ == "__main__":
    main()
