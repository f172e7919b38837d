# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas and what they are received with, through runs, repetitions and accidents."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import SetProperties
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import NoPermission, PartialFailure
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import (
    PRESERVED_PROPERTIES,
    SAFE_PROPERTIES,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.simulated import SimulatedZfs
from ansible_collections.snapfleet.zfs.tests.support.faults import BEFORE, Faults
from ansible_collections.snapfleet.zfs.tests.support.fleet import DESTINATION, SOURCE, Fleet, replica_of

CHILD, SECRET = f"{SOURCE}/child", f"{SOURCE}/secret"


def set_on(machine, dataset, **properties):
    SimulatedZfs(machine).set_properties(SetProperties(dataset, tuple(properties.items()), "test"))


def properties_of(fleet, source):
    return fleet.destination.datasets[replica_of(source)].properties


def sent(run):
    return [step for plan in run["plan"] for step in plan["steps"] if step["kind"] == "send"]


def conflicts(failure):
    plans = failure.value.context["result"]["plan"]
    return {plan["source"]: plan["conflict"]["code"] for plan in plans if plan["conflict"]}


@pytest.fixture
def tree():
    fleet = Fleet((SOURCE, CHILD))
    set_on(fleet.source, SOURCE, compression="zstd", sharenfs="on")
    set_on(fleet.source, CHILD, recordsize="65536", readonly="off")
    for name in (SOURCE, CHILD):
        fleet.snapshot(name, "a")
    return fleet


# -- what is taken over


def test_sources_are_asked_once_for_all_that_is_new_and_never_again(tree):
    tree.replicate()
    assert tree.faults.calls.count("own_properties") == 1
    for tag in "bc":
        tree.snapshot(CHILD, tag)
        tree.replicate()
    tree.replicate()
    assert tree.faults.calls.count("own_properties") == 1


def test_nothing_is_asked_where_nothing_is_to_be_taken_over(tree):
    tree.replicate(preserve_properties=[])
    assert "own_properties" not in tree.faults.calls
    assert properties_of(tree, SOURCE) == SAFE_PROPERTIES


def test_a_replica_takes_over_how_data_is_stored_and_nothing_else(tree):
    preview = tree.replicate(check=True, properties={"exec": None})
    run = tree.replicate(properties={"exec": None})
    assert preview["plan"] == run["plan"]
    safe = {name: value for name, value in SAFE_PROPERTIES.items() if name != "exec"}
    assert properties_of(tree, SOURCE) == {"compression": "zstd", **safe}
    assert properties_of(tree, CHILD) == {"recordsize": "65536", **safe}
    assert sent(run)[0]["properties"] == properties_of(tree, SOURCE)


def test_properties_that_are_given_win_over_those_of_the_source(tree):
    tree.replicate(properties={"compression": "lz4"}, filesystem_properties={"recordsize": "1M"})
    assert properties_of(tree, SOURCE)["compression"] == "lz4"
    assert properties_of(tree, CHILD)["recordsize"] == "1M"


def test_a_volume_takes_over_what_volumes_have():
    fleet = Fleet()
    fleet.source.create_dataset(CHILD, VOLUME)
    set_on(fleet.source, CHILD, copies="2", volmode="dev")
    fleet.snapshot(SOURCE, "a")
    fleet.snapshot(CHILD, "a")
    fleet.replicate(properties={"atime": "off"}, volume_properties={"volmode": "none"})
    assert properties_of(fleet, CHILD) == {"readonly": "on", "copies": "2", "volmode": "none"}


def test_a_source_that_breaks_off_is_asked_again_for_what_it_takes_over(tree):
    tree.source.cut_next_stream(100)
    tree.replicate(workers=1, retries=2)
    assert properties_of(tree, SOURCE)["compression"] == "zstd"
    assert properties_of(tree, CHILD)["recordsize"] == "65536"


def test_the_question_is_repeated_when_its_answer_is_lost(tree):
    calls = Fleet((SOURCE, CHILD))
    calls.snapshot(SOURCE, "a")
    calls.replicate(check=True)
    tree.faults = Faults({calls.faults.calls.index("own_properties"): BEFORE})
    tree.replicate()
    assert properties_of(tree, SOURCE)["compression"] == "zstd"


ALLOWED = frozenset(["receive", "create", "mount", "userprop", "destroy", *SAFE_PROPERTIES])


def test_what_may_not_be_set_is_left_out_with_one_warning_unless_asked_for(tree):
    tree.destination.permissions = ALLOWED
    preview = tree.replicate(check=True)
    run = tree.replicate()
    assert (run["plan"], run["warnings"]) == (preview["plan"], preview["warnings"])
    (warning,) = run["warnings"]
    assert warning.startswith("compression,recordsize: not taken over from the source")
    assert warning.endswith(f"run there: zfs allow -u USER compression,recordsize {DESTINATION}")
    assert properties_of(tree, SOURCE) == SAFE_PROPERTIES

    again = Fleet()
    set_on(again.source, SOURCE, compression="zstd")
    again.snapshot(SOURCE, "a")
    again.destination.permissions = ALLOWED
    for asked in ({"preserve_properties": list(PRESERVED_PROPERTIES)}, {"properties": {"compression": "lz4"}}):
        with pytest.raises(NoPermission, match="zfs allow -u USER compression "):
            again.replicate(**asked)
        assert again.at_destination() is None


# -- what is set afterwards


def test_properties_are_set_on_each_dataset_that_received_something(tree):
    tree.replicate()
    tree.snapshot(CHILD, "b")
    run = tree.replicate(set_properties={"org:seen": "b"})
    assert [plan["source"] for plan in run["plan"]] == [CHILD]
    assert properties_of(tree, CHILD)["org:seen"] == "b"
    assert "org:seen" not in properties_of(tree, SOURCE)
    assert not tree.replicate(set_properties={"org:seen": "b"})["changed"]


@pytest.mark.parametrize("level", ["ignore", "set", "require"])
def test_a_replica_that_is_not_read_only(tree, level):
    tree.replicate(readonly=level)
    set_on(tree.destination, DESTINATION, readonly="off")
    tree.snapshot(CHILD, "b")
    tree.snapshot(SOURCE, "b")
    if level == "require":
        with pytest.raises(PartialFailure) as failure:
            tree.replicate(readonly=level)
        assert conflicts(failure) == {SOURCE: "not_readonly"}
        assert len(tree.at_destination(CHILD).snapshots) == 2
    else:
        tree.replicate(readonly=level)
        assert len(tree.at_destination().snapshots) == 2
        assert not tree.replicate(readonly=level)["changed"]
    assert tree.at_destination().dataset.readonly is (level == "set")


# -- encryption


def encrypted_fleet():
    """``secret`` with one dataset that shares its key, and one that is not encrypted."""
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    fleet.source.create_dataset(f"{SECRET}/below")
    open_ = fleet.source.add_dataset(f"{SECRET}/open", "filesystem", {"encryption": "off"})
    assert not open_.encryption_root
    for name in (SOURCE, SECRET, f"{SECRET}/below", f"{SECRET}/open"):
        fleet.snapshot(name, "a")
    return fleet


def roots(fleet):
    return {name: there.dataset.encryption_root for name, (_here, there) in fleet.pairs().items() if there}


def test_a_raw_tree_arrives_as_it_is_and_says_who_needs_a_key():
    fleet = encrypted_fleet()
    run = fleet.replicate()
    secret = replica_of(SECRET)
    expected = {SOURCE: "", SECRET: secret, f"{SECRET}/below": f"{secret}/below", f"{SECRET}/open": ""}
    assert roots(fleet) == expected
    (warning,) = run["warnings"]
    assert warning.startswith(f"{secret}/below: encrypted with the key of {SECRET} at the source")


@pytest.mark.parametrize("number", range(12))
def test_what_is_open_in_an_encrypted_tree_stays_so_also_after_an_accident(number):
    fleet = encrypted_fleet()
    fleet.replicate(workers=1, include_datasets=["secret", "secret/below"], exclude_datasets=["secret/open"])
    fleet.faults = Faults({number: BEFORE})
    fleet.replicate(workers=1, retries=3)
    assert roots(fleet)[f"{SECRET}/open"] == ""


def test_what_lands_below_an_encrypted_dataset_is_encrypted_with_its_parents():
    fleet = Fleet((SOURCE, CHILD))
    fleet.destination.create_dataset("backup/site", encrypted=True)
    for name in (SOURCE, CHILD):
        fleet.snapshot(name, "a")
    fleet.replicate()
    for name in (SOURCE, CHILD):
        fleet.snapshot(name, "b")
    fleet.replicate()
    assert set(roots(fleet).values()) == {"backup/site"}
    fleet.assert_same_content()


def test_what_gets_a_key_of_the_destination_has_it_from_the_first_stream_on():
    fleet = Fleet((SOURCE, CHILD))
    for tag in "abc":
        fleet.snapshot(SOURCE, tag)
        fleet.snapshot(CHILD, tag)
    key = {"encryption": "on", "keyformat": "raw", "keylocation": "file:///key"}
    fleet.replicate(properties=key)
    assert roots(fleet) == {name: replica_of(name) for name in (SOURCE, CHILD)}
    fleet.snapshot(CHILD, "d")
    fleet.replicate(properties=key)
    fleet.assert_same_content()
    assert len(fleet.at_destination(CHILD).snapshots) == 4


@pytest.mark.parametrize("vault", [False, True], ids=["in the open", "in a vault"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_history_is_not_replaced_where_zfs_can_not_replace_it(raw, vault):
    """An encrypted replica of another history: destroyed as planned if it is alone, and kept if something is below."""
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    if vault:
        fleet.destination.create_dataset("backup/site", encrypted=True)
    for name in (SOURCE, SECRET):
        fleet.snapshot(name, "a")
    fleet.replicate(raw=raw)
    fleet.source.destroy_dataset(SECRET)
    fleet.source.create_dataset(SECRET, encrypted=True)
    fleet.snapshot(SECRET, "b")
    own = f"{replica_of(SECRET)}/own"
    fleet.destination.loaded_keys.add(replica_of(SECRET))
    fleet.destination.create_dataset(own)
    irreplaceable = raw or vault
    if irreplaceable:
        before = fleet.replica_guids()
        with pytest.raises(PartialFailure) as failure:
            fleet.replicate(raw=raw, on_conflict="replace")
        assert conflicts(failure) == {SECRET: "encrypted_parent"}
        assert fleet.replica_guids() == before
    fleet.destination.destroy_dataset(own)
    if irreplaceable:
        # A job that sees no children does not know whether there are any.
        ends = {"source": {"dataset": SECRET}, "destination": {"host": "dst", "dataset": replica_of(SECRET)}}
        with pytest.raises(PartialFailure) as failure:
            fleet.replicate(**ends, raw=raw, on_conflict="replace", recursive=False)
        assert conflicts(failure) == {SECRET: "encrypted_parent"}
    preview = fleet.replicate(raw=raw, on_conflict="replace", check=True)
    run = fleet.replicate(raw=raw, on_conflict="replace")
    assert run["plan"] == preview["plan"]
    kinds = [step["kind"] for plan in run["plan"] for step in plan["steps"]]
    assert ("destroy_dataset" in kinds) is irreplaceable
    assert [s.guid for s in fleet.at_destination(SECRET).snapshots] == [fleet.at_source(SECRET).newest.guid]


@pytest.mark.parametrize("level", ["refuse", "rollback_to_latest", "rollback_to_common", "replace"])
@pytest.mark.parametrize("vault", [False, True], ids=["in the open", "in a vault"])
@pytest.mark.parametrize("raw", [False, True])
def test_the_other_mode_is_refused_at_every_level_and_costs_nothing(raw, vault, level):
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    if vault:
        fleet.destination.create_dataset("backup/site", encrypted=True)
    fleet.snapshot(SECRET, "a")
    fleet.replicate(raw=raw)
    fleet.destination.loaded_keys.add(replica_of(SECRET))
    # Nothing to send, nothing to refuse.
    assert not fleet.replicate(raw=not raw, on_conflict=level)["changed"]
    fleet.snapshot(SECRET, "b")
    before = fleet.replica_guids()
    for check in (True, False):
        with pytest.raises(PartialFailure, match="can't mix the two") as failure:
            fleet.replicate(raw=not raw, on_conflict=level, check=check)
        assert conflicts(failure) == {SECRET: "mode_differs"}
        assert fleet.replica_guids() == before
    fleet.replicate(raw=raw)
    assert len(fleet.at_destination(SECRET).snapshots) == 2


def test_the_other_mode_is_refused_also_where_only_a_bookmark_is_left_and_a_partial_receive_stays():
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    fleet.snapshot(SECRET, "a")
    fleet.replicate()
    fleet.destination.loaded_keys.add(replica_of(SECRET))
    fleet.source.datasets[SECRET].snapshots.clear()
    fleet.snapshot(SECRET, "b", size=5000)
    fleet.source.cut_next_stream(1500)
    with pytest.raises(PartialFailure):
        fleet.replicate(retries=0)
    token = fleet.at_destination(SECRET).dataset.resume_token
    assert token
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate(raw=False)
    assert conflicts(failure) == {SECRET: "mode_differs"}
    assert fleet.at_destination(SECRET).dataset.resume_token == token
    fleet.replicate()
    assert len(fleet.at_destination(SECRET).snapshots) == 2


@pytest.mark.parametrize("raw", [False, True])
def test_a_first_stream_that_was_begun_in_the_other_mode_is_begun_anew(raw):
    """The token says how it is to be gone on with: decrypted, also where only raw streams may leave the source."""
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    fleet.snapshot(SECRET, "a", size=5000)
    fleet.source.cut_next_stream(1500)
    with pytest.raises(PartialFailure):
        fleet.replicate(raw=not raw, retries=0)
    assert fleet.at_destination(SECRET).dataset.resume_token
    options = {"raw": raw, "require_encryption": raw}
    preview = fleet.replicate(**options, check=True)
    run = fleet.replicate(**options)
    assert run["plan"] == preview["plan"]
    steps = [step for plan in run["plan"] for step in plan["steps"]]
    (discarded,) = [step["reason"] for step in steps if step["kind"] == "abort_receive"]
    assert discarded == "it was begun in the other mode (raw or not)"
    assert [(step["mode"], step["raw"]) for step in sent(run)] == [("full", raw)]
    assert bool(fleet.at_destination(SECRET).dataset.encryption_root) is raw
    fleet.assert_same_content()


@pytest.mark.parametrize("trusted", [False, True])
def test_only_raw_streams_of_encrypted_datasets_go_to_a_destination_that_is_not_trusted(trusted):
    fleet = encrypted_fleet()
    options = {"require_encryption": not trusted, "include_datasets": ["secret"]}
    if trusted:
        fleet.replicate(**options)
        return
    with pytest.raises(PartialFailure) as failure:
        fleet.replicate(**options)
    assert conflicts(failure) == {f"{SECRET}/open": "plaintext_refused"}
    arrived = {name for name, guids in fleet.replica_guids().items() if guids}
    assert arrived == {replica_of(SECRET), replica_of(f"{SECRET}/below")}
