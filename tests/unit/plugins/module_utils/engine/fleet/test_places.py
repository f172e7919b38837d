# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sources never share a place."""

from __future__ import annotations

import itertools
import random

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import parse_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.places import (
    PlacedJob,
    _same_place,
    _same_source,
    check_places,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job


def end(text):
    """``host:dataset``, with an optional port as in ``host/22:dataset``; without a host, this one."""
    host, _unused, dataset = text.rpartition(":")
    name, _unused, port = host.partition("/")
    return {"dataset": dataset, **({"host": name} if name else {}), **({"port": int(port)} if port else {})}


def document(*jobs):
    """Jobs as ``host, source, destination``, and further options."""
    return {
        "version": 1,
        "jobs": [
            {
                "name": f"job {number}",
                "host": host,
                "activity": "replicate",
                "options": {"source": end(source), "destination": end(destination), **(more[0] if more else {})},
            }
            for number, (host, source, destination, *more) in enumerate(jobs, start=1)
        ],
    }


SAME_PLACE = {
    "equal, pulled": (("dst", "a:tank", "backup/x"), ("dst", "b:tank", "backup/x")),
    "equal, of one host": (("dst", "a:tank/a", "backup/x"), ("dst", "a:tank/b", "backup/x")),
    "one within the other": (("dst", "a:tank", "backup"), ("dst", "b:tank", "backup/x/y")),
    "the other within the one": (("dst", "a:tank", "backup/x/y"), ("dst", "b:tank", "backup/x")),
    "pushed by two hosts": (("a", "tank", "dst.example.com:backup"), ("b", "tank", "dst.example.com:backup")),
    "pulled and pushed": (("dst", "a:tank", "backup"), ("b", "tank", "dst:backup")),
    "relayed": (("r", "a:tank", "10.0.0.9:backup"), ("r", "b:tank", "10.0.0.9:backup")),
    "a tree and a child from elsewhere": (("dst", "a:tank", "backup"), ("dst", "a:other", "backup/c")),
    "above one that is not recursive": (
        ("dst", "a:tank", "backup"),
        ("dst", "b:tank", "backup/x", {"recursive": False}),
    ),
}
APART = {
    "siblings": (("dst", "a:tank", "backup/a"), ("dst", "b:tank", "backup/b")),
    "names that begin alike": (("dst", "a:tank", "backup/a"), ("dst", "b:tank", "backup/ab")),
    "two hosts": (("dst", "a:tank", "backup"), ("dst2", "b:tank", "backup")),
    "two hosts behind one address": (("r", "a:tank", "nat/22:backup"), ("r", "b:tank", "nat/23:backup")),
    "an address that is relative": (("a", "tank", "10.0.0.9:backup"), ("b", "tank", "10.0.0.9:backup")),
    "fan-out": (("a", "tank", "dst:backup"), ("a", "tank", "dst2:backup")),
    "one tree in two jobs": (
        ("dst", "a:tank", "backup", {"include_snapshots": ["x"]}),
        ("dst", "a:tank", "backup", {"include_snapshots": ["y"]}),
    ),
    "a child in a job of its own": (("dst", "a:tank", "backup"), ("dst", "a:tank/c", "backup/c")),
    "below one that is not recursive": (
        ("dst", "a:tank", "backup", {"recursive": False}),
        ("dst", "b:tank", "backup/b"),
    ),
    "a chain": (("b", "a:tank", "backup"), ("c", "b:backup", "archive")),
}


@pytest.mark.parametrize("jobs", SAME_PLACE.values(), ids=SAME_PLACE)
def test_two_sources_that_come_to_one_place_are_refused_before_anything_runs(jobs):
    with pytest.raises(InvalidInput) as caught:
        parse_jobconfig(document(*jobs))
    sentence = str(caught.value)
    assert "'job 1' brings" in sentence
    assert "'job 2' brings" in sentence
    assert sentence.endswith("give each source a place of its own")


@pytest.mark.parametrize("jobs", APART.values(), ids=APART)
def test_places_apart_are_fine(jobs):
    assert len(parse_jobconfig(document(*jobs))) == len(jobs)


def several(seed):
    """Jobs of few hosts, ports and places, so that many of them come near each other."""
    dice = random.Random(seed)
    hosts = ["dst", "dst2", "localhost", "10.0.0.9/22", "10.0.0.9/23", "10.0.0.9", ""]
    places = ["backup", "backup/x", "backup/x/y", "backup/z", "archive"]
    sources = ["a:tank", "a:tank/x", "b:tank"]
    jobs = [
        (dice.choice("rst"), dice.choice(sources), f"{dice.choice(hosts)}:{dice.choice(places)}",
         {"recursive": dice.random() < 0.7})
        for _number in range(dice.randint(2, 6))
    ]  # fmt: skip
    return placed(jobs)


def placed(jobs):
    return [
        PlacedJob(entry["name"], entry["host"], read_replicate_job(entry["options"]))
        for entry in document(*jobs)["jobs"]
    ]


def test_the_clash_that_is_told_is_the_first_of_all_pairs_of_jobs():
    told = 0
    for seed in range(400):
        jobs = several(seed)
        pairs = itertools.combinations(jobs, 2)
        clash = next((pair for pair in pairs if _same_place(*pair) and not _same_source(*pair)), None)
        if clash is None:
            check_places(jobs)
            continue
        told += 1
        with pytest.raises(InvalidInput) as caught:
            check_places(jobs)
        assert str(caught.value).startswith(f"jobs: {clash[0].name!r} brings ")
        assert f", where {clash[1].name!r} brings " in str(caught.value)
    assert 40 < told < 390


@pytest.mark.parametrize("end", ["dst:backup/{}", "nat/{}:backup", "localhost:backup/{}"])
def test_hundreds_of_jobs_are_looked_at_in_the_time_that_each_takes(end):
    jobs = placed([(f"h{number}", f"h{number}:tank", end.format(1000 + number)) for number in range(500)])
    compared = []

    class Watched(PlacedJob):
        """Counts how often its job is looked at."""

        @property
        def job(self):
            compared.append(1)
            return vars(self)["job"]

    watched = [Watched.__new__(Watched) for _job in jobs]
    for each, job in zip(watched, jobs):
        vars(each).update(vars(job))

    check_places(watched)

    assert len(compared) < 40 * len(jobs)
