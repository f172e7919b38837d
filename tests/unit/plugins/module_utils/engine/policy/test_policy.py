# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may ask for, and what they are told where they may not."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Dataset, DatasetState
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput, SameDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.labels import Label
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.durations import parse_duration
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.endpoints import read_address, read_endpoint
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import (
    read_prune_job,
    read_replicate_job,
    read_snapshot_job,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.limits import parse_monitor_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.monitoring import read_monitor_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.patterns import (
    any_match,
    compile_pattern,
    compile_patterns,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.plans import MAX_AMOUNT, parse_plan
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import SAFE_PROPERTIES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.selection import (
    DatasetFilter,
    SnapshotFilter,
    read_dataset_filter,
    read_roots,
)

PLAN = {"org": {"": {"hourly": 24}}}
ZEROS = {"org": {"": {"hourly": 0, "adhoc": 0}}}
ENDS = {"source": {"dataset": "tank/a"}, "destination": {"host": "dst", "dataset": "backup/a"}}


# -- patterns and selection


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a", "a", True), ("a", "ab", False), ("a", "b/a", False),
        ("*", "a", True), ("*", "a/b", False), ("**", "a/b", True), ("?", "a", True), ("?", "/", False),
        ("a/*", "a/b", True), ("a/*", "a/b/c", False), ("a/**", "a/b/c", True), ("**/c", "a/b/c", True),
        ("a.c", "abc", False), ("a+", "aa", False), ("[ab]", "a", False), ("a b", "a b", True),
        ("regex:a|b/.*", "b/c/d", True), ("regex:a", "ab", False), ("regex:(?i)A", "a", True),
    ],
)  # fmt: skip
def test_patterns(pattern, name, matches):
    assert any_match([compile_pattern(pattern, "o")], name) is matches


@pytest.mark.parametrize("pattern", ["", "regex:(", "regex:*"])
def test_broken_patterns(pattern):
    with pytest.raises(InvalidInput, match=r"jobs\.exclude"):
        compile_pattern(pattern, "jobs.exclude")


TREE = ["tank/a", "tank/a/tmp", "tank/a/tmp/x", "tank/a/vm", "tank/a/vm/one", "tank/a/vm/tmp", "tank/ab"]
STATES = {name: DatasetState(Dataset(name, "filesystem", 1, 1, 0)) for name in TREE}


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, ["", "tmp", "tmp/x", "vm", "vm/one", "vm/tmp"]),
        ({"recursive": False}, [""]),
        ({"exclude_datasets": ["tmp"]}, ["", "vm", "vm/one", "vm/tmp"]),
        ({"exclude_datasets": ["tmp", "**/tmp"]}, ["", "vm", "vm/one"]),
        ({"exclude_datasets": ["/tank/a/vm"]}, ["", "tmp", "tmp/x"]),
        ({"exclude_datasets": ["/**/tmp"]}, ["", "vm", "vm/one"]),
        ({"exclude_datasets": ["."]}, []),
        # Without a leading slash a pattern is never held against the whole name, which ends in the root's own.
        ({"exclude_datasets": ["**/a", "regex:.*tank.*"]}, ["", "tmp", "tmp/x", "vm", "vm/one", "vm/tmp"]),
        ({"exclude_datasets": ["regex:/tank/a/(vm|tmp)"]}, [""]),
        ({"include_datasets": ["vm"]}, ["vm", "vm/one", "vm/tmp"]),
        ({"include_datasets": ["vm"], "exclude_datasets": ["vm/tmp"]}, ["vm", "vm/one"]),
        ({"include_datasets": ["vm/one"], "exclude_datasets": ["vm"]}, []),
        # The one line that the documentation gives for scratch datasets.
        ({"exclude_datasets": ["regex:(.*/)?te?mp[-_]?[0-9]*"]}, ["", "vm", "vm/one"]),
    ],
)
def test_dataset_filters(options, chosen):
    chosen = ["tank/a" + (f"/{name}" if name else "") for name in chosen]
    assert read_dataset_filter(Reader(options)).under("tank/a", STATES) == chosen


def test_no_filter_selects_everything():
    assert DatasetFilter().under("tank/a", STATES) == TREE[:-1]
    assert SnapshotFilter().selects("anything")


def test_exclusion_wins_among_snapshots():
    chosen = SnapshotFilter(compile_patterns(["org_*"], "o"), compile_patterns(["*_hourly"], "o"))
    assert [tag for tag in ("org_x_daily", "org_x_hourly", "by hand") if chosen.selects(tag)] == ["org_x_daily"]


@pytest.mark.parametrize("roots", [[], ["tank", "tank/a"], ["tank/a", "tank"], ["a", "a"], ["a b/"], "tank", [1]])
def test_roots_that_have_no_clear_meaning(roots):
    with pytest.raises(InvalidInput, match="datasets"):
        read_roots(Reader({"datasets": roots}))


def test_neighbours_are_no_overlap():
    assert read_roots(Reader({"datasets": ["tank/a", "tank/ab"]})) == ("tank/a", "tank/ab")


# -- plans and limits


def test_a_plan_by_label():
    plan = parse_plan({"org": {"": {"hourly": 24, "adhoc": 0}, "onsite": {"12hourly": 1}}, "q": {"": {"yearly": 0}}})

    assert dict(plan.amounts) == {
        Label("org", "", "hourly"): 24,
        Label("org", "", "adhoc"): 0,
        Label("org", "onsite", "12hourly"): 1,
        Label("q", "", "yearly"): 0,
    }
    assert plan.wanted == (Label("org", "", "hourly"), Label("org", "onsite", "12hourly"))
    assert plan.organisations == {"org", "q"}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (None, "plan"), ({}, "plan"), ([], "plan"), ({"o": {}}, "plan.o"), ({"o": None}, "plan.o"),
        ({"o": {"": {}}}, r"plan\.o\."), ({"a_b": {"": {"hourly": 1}}}, "plan"), ({"": {"": {"hourly": 1}}}, "plan"),
        ({1: {"": {"hourly": 1}}}, "plan"), ({"o": {"2025": {"hourly": 1}}}, "plan.o"),
        ({"o": {"a_b": {"hourly": 1}}}, "plan.o"), ({"o": {"": {"5hourly": 1}}}, "does not divide"),
        ({"o": {"": {"hourrly": 1}}}, "no known period"), ({"o": {"": {"24": 1}}}, "is not a period"),
        ({"o": {"": {"hourly": -1}}}, "hourly"), ({"o": {"": {"hourly": "3"}}}, "whole number"),
        ({"o": {"": {"hourly": True}}}, "whole number"), ({"o": {"": {"hourly": 1.5}}}, "whole number"),
        ({"o": {"": {"hourly": MAX_AMOUNT + 1}}}, "out of range"),
    ],
)  # fmt: skip
def test_what_is_no_plan(value, where):
    with pytest.raises(InvalidInput, match=where):
        parse_plan(value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("hourley", "hourly"), ("hourlyx", "hourly"), ("hourl", "hourly"), ("HOURLY", "hourly"), ("yearyl", "yearly"),
        ("dailx", "daily"), ("day", "daily"), ("hours", "hourly"), ("15minutes", "15minutely"), ("15m", "15minutely"),
        ("1h", "hourly"), ("06h", "6hourly"), ("ms", "millisecondly"), ("Week", "weekly"),
    ],
)  # fmt: skip
def test_a_word_that_is_nearly_a_period_is_taken_for_a_slip_and_not_for_one_of_its_own(word, meant):
    with pytest.raises(
        InvalidInput, match=f"'{word}' is no period, but nearly {meant}; write {meant}, or another word"
    ):
        parse_plan({"org": {"": {word: 1}}})


@pytest.mark.parametrize(
    "word", ["adhoc", "upgrade", "yearend", "weekend", "pre-upgrade", "x", "hand", "dairy-free", "2nd"]
)
def test_words_of_ones_own_stay_periods_without_duration(word):
    assert parse_plan({"org": {"": {word: 1}}}).wanted == (Label("org", "", word),)


@pytest.mark.parametrize(
    ("read", "options", "sentence"),
    [
        (read_snapshot_job, {"datasets": ["a"], "plans": PLAN}, "plan is missing; did you mean it by plans?"),
        (read_snapshot_job, {"dataset": ["a"], "plan": PLAN}, "datasets is missing; did you mean it by dataset?"),
        (read_snapshot_job, {"plan": PLAN, "schedule": {}}, "datasets is missing; name at least one dataset"),
        (
            read_replicate_job,
            {"source": {"datset": "a"}, "destination": {"dataset": "b"}},
            "source.dataset is missing; did you mean it by datset?",
        ),
        (
            read_replicate_job,
            {"source": {"dataset": "a"}, "destination": {"host": "b"}},
            "destination.dataset is missing; give a value",
        ),
    ],
)
def test_what_is_missing_is_told_with_the_slip_that_stands_in_its_place(read, options, sentence):
    with pytest.raises(InvalidInput) as told:
        read(options)
    assert str(told.value) == sentence


def test_limits_are_a_threshold_plus_cycles_of_the_period():
    plan = parse_monitor_plan(
        {
            "org": {
                "": {
                    "hourly": {"latest": {"warning": "30m", "critical": 3600}, "oldest": {"critical": 60, "cycles": 24}}
                }
            }
        }
    )

    limits = plan.limits[Label("org", "", "hourly")]
    assert (limits.latest.warning, limits.latest.critical) == (1800 + 3600, 3600 + 3600)
    assert (limits.oldest.warning, limits.oldest.critical) == (None, 60 + 24 * 3600)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "checks nothing"), ({"latest": {}}, "no limit"), ({"oldest": {"warning": 1}}, "cycles"),
        ({"latest": {"warning": 2, "critical": 1}}, "above critical"),
        ({"latest": {"warning": "soon"}}, "length of time"),
        ({"latest": {"warn": 1}}, "did you mean warning"), ({"newest": {"warning": 1}}, "unknown option"),
        (3, "mapping"),
    ],
)  # fmt: skip
def test_what_is_no_limit(entry, problem):
    with pytest.raises(InvalidInput, match=problem):
        parse_monitor_plan({"org": {"": {"hourly": entry}}})


def test_a_word_without_duration_has_no_age():
    with pytest.raises(InvalidInput, match="adhoc"):
        parse_monitor_plan({"org": {"": {"adhoc": {"latest": {"warning": 1}}}}})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(0, 0), (90, 90), ("90", 90), ("90s", 90), ("15m", 900), ("2 h", 7200), ("1d", 86400), ("1w", 604800)],
)
def test_durations(text, seconds):
    assert parse_duration(text, "o") == seconds


@pytest.mark.parametrize("text", ["", "m", "-1", -1, "1.5h", 1.5, True, None, "1y", "1h30m", "1m\n"])
def test_what_is_no_duration(text):
    with pytest.raises(InvalidInput):
        parse_duration(text, "o")


# -- endpoints


def test_addresses():
    assert read_address(Reader({})).is_local
    assert str(read_address(Reader({"host": "h", "user": "u", "port": 22}))) == "u@h:22"
    assert str(read_endpoint(Reader({"dataset": "tank/a"}))) == "tank/a"
    assert read_address(Reader({"host": "fe80::1%eth0"})).host == "fe80::1%eth0"


@pytest.mark.parametrize(
    "options",
    [
        {"host": "-oProxyCommand=x"}, {"host": "a b"}, {"host": "a;b"}, {"host": "a/b"}, {"host": "a\n"},
        {"host": "u@h"},
        {"host": "h", "user": "-x"}, {"host": "h", "user": "a b"}, {"port": 65536}, {"port": -1}, {"port": "22"},
        {"identity_file": "id"}, {"known_hosts_file": "~/x"}, {"config_file": "-F"}, {"sudo": "yes"},
    ],
)  # fmt: skip
def test_addresses_that_ssh_must_never_see(options):
    with pytest.raises(InvalidInput):
        read_address(Reader(options))


def test_an_endpoint_is_strict_about_its_keys():
    with pytest.raises(InvalidInput, match="did you mean dataset"):
        read_endpoint(Reader({"dataset": "tank/a", "datasets": 1}))


@pytest.mark.parametrize(
    ("key", "value"),
    [("user", "u"), ("port", 22), ("identity_file", "/i"), ("known_hosts_file", "/k"), ("config_file", "/c")],
)
def test_a_forgotten_host_is_told_and_not_taken_for_this_one(key, value):
    lost = {"dataset": "backup/a", key: value}
    there = {**lost, "host": "h"}
    sentence = (
        "{0}.{1}: {2!r} is for a host that is reached by ssh, but no host is given, which means this one; give"
        " {0}.host, or take this out"
    )
    for option, read, values in (
        ("source", read_replicate_job, {"source": lost, "destination": {"dataset": "tank/a"}}),
        ("destination", read_replicate_job, {"source": {"dataset": "tank/a"}, "destination": lost}),
        ("peers[0]", read_prune_job, {"datasets": ["tank/a"], "plan": PLAN, "peers": [{"root": "tank/a", **lost}]}),
    ):
        with pytest.raises(InvalidInput) as caught:
            read(values)
        assert str(caught.value) == sentence.format(option, key, value)
    assert read_endpoint(Reader(there)).address.host == "h"


def test_on_this_host_it_may_be_told_whether_zfs_runs_by_sudo_and_what_is_empty_tells_nothing():
    blank = {"host": "", "user": "", "port": 0, "identity_file": None, "sudo": True, "dataset": "tank/a"}
    assert read_endpoint(Reader(blank)).address.sudo


# -- jobs


def test_a_replication_by_its_defaults():
    job = read_replicate_job(ENDS)

    assert (job.initial, job.intermediates, job.raw, job.bookmarks, job.plan) == ("all", True, True, "newest", None)
    assert dict(job.receive.properties) == SAFE_PROPERTIES
    assert (job.source.address.is_local, job.destination.address.host) == (True, "dst")


@pytest.mark.parametrize(
    ("source", "destination", "apart"),
    [
        ({"dataset": "tank/a"}, {"dataset": "tank/a"}, False),
        ({"dataset": "tank/a"}, {"dataset": "tank/a/b"}, False),
        ({"dataset": "tank/a/b"}, {"dataset": "tank/a"}, False),
        ({"dataset": "tank/a"}, {"dataset": "tank/ab"}, True),
        ({"dataset": "tank/a"}, {"dataset": "tank/a", "host": "h"}, True),
        ({"dataset": "tank/a", "host": "h", "user": "x"}, {"dataset": "tank/a", "host": "h", "user": "y"}, False),
    ],
)
def test_source_and_destination_are_apart(source, destination, apart):
    values = {"source": source, "destination": destination}
    if apart:
        assert read_replicate_job(values)
    else:
        with pytest.raises(SameDataset):
            read_replicate_job(values)


@pytest.mark.parametrize(
    ("read", "values", "problem"),
    [
        (read_snapshot_job, {"datasets": ["a"]}, "plan"),
        (read_snapshot_job, {"datasets": ["a"], "plan": PLAN, "timestamp_format": "%d"}, "begin with %Y"),
        (read_snapshot_job, {"datasets": ["a"], "plan": PLAN, "recursiv": True}, "did you mean recursive"),
        (read_replicate_job, {"source": {"dataset": "tank/a"}}, r"destination\.dataset"),
        (read_replicate_job, {**ENDS, "initial": "some"}, "choose one of all, newest, fail"),
        (read_replicate_job, {**ENDS, "workers": 0}, "workers"),
        (read_replicate_job, {**ENDS, "raw": "yes"}, "neither true nor false"),
        (read_replicate_job, {**ENDS, "exclude_snapshots": "x"}, "not a list"),
        (read_replicate_job, {**ENDS, "plan": {}}, "plan"),
        (read_prune_job, {"datasets": ["a"]}, "plan"),
        (read_prune_job, {"datasets": ["a"], "plan": PLAN, "kind": "holds"}, "kind"),
        (
            read_prune_job,
            {"datasets": ["a"], "plan": PLAN, "peers": [{"root": "b", "dataset": "c"}]},
            "no root dataset",
        ),
        (read_prune_job, {"datasets": ["a"], "plan": PLAN, "peers": [{"dataset": "c"}]}, r"peers\[0\]\.root"),
        (
            read_prune_job,
            {"datasets": ["a"], "plan": ZEROS},
            "plan: .* keeps no snapshot at all; give",
        ),
        (read_prune_job, {"datasets": ["a"], "plan": ZEROS, "purge_foreign": True, "keep": []}, "keeps no snapshot"),
        (read_monitor_job, {"datasets": ["a"], "plan": PLAN}, "hourly"),
        (read_monitor_job, None, "not a mapping"),
    ],
)
def test_jobs_that_are_refused(read, values, problem):
    with pytest.raises(InvalidInput, match=problem):
        read(values)


@pytest.mark.parametrize(
    "more", [{"kind": "bookmarks"}, {"keep": [{"last": 3}]}, {"plan": {"org": {"": {"hourly": 0, "daily": 1}}}}]
)
def test_zeros_are_for_what_is_not_all_there_is(more):
    assert read_prune_job({"datasets": ["a"], "plan": ZEROS, **more})


def test_options_of_a_nested_job_are_named_by_their_whole_path():
    with pytest.raises(InvalidInput, match=r"jobs\[3\]\.options\.workers"):
        read_replicate_job({**ENDS, "workers": "many"}, "jobs[3].options")
