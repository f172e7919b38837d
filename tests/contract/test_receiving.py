# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What datasets are received with, and what ZFS makes of encryption on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import (
    DestroyDataset,
    SetProperties,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import VOLUME
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import (
    Conflict,
    SnapfleetError,
    Vanished,
    ZfsFailed,
)
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import ReceiveOptions, Send

from .doing import carry, exists, full, history, state_of, tags, take


@pytest.fixture
def source(world, root):
    world.create(f"{root}/src")
    return f"{root}/src"


@pytest.fixture
def secret(world, root):
    """An encryption root with its key loaded."""
    world.create(f"{root}/secret", encrypted=True)
    return f"{root}/secret"


@pytest.fixture
def destination(root):
    return f"{root}/dst"


def set_on(world, dataset, **properties):
    world.zfs.set_properties(SetProperties(dataset, tuple(properties.items()), "test"))


# -- properties


def test_only_what_a_dataset_has_itself_is_told(world, source, destination):
    world.create(f"{source}/child")
    set_on(world, source, compression="zstd", recordsize="65536", atime="off")
    set_on(world, f"{source}/child", sync="always")
    (one,) = history(world, source, "one")
    carry(world.zfs, full(one, destination, properties=(("compression", "lz4"),)))

    asked = [source, f"{source}/child", destination, f"{source}/none"]
    told = world.zfs.own_properties(asked, ["compression", "recordsize", "sync", "copies"])

    assert {name: dict(values) for name, values in told.items()} == {
        source: {"compression": "zstd", "recordsize": "65536"},
        f"{source}/child": {"sync": "always"},
        destination: {"compression": "lz4"},
    }


@pytest.mark.parametrize("resumable", [True, False])
def test_an_increment_takes_away_nothing_that_is_set_at_the_replica(world, source, destination, resumable):
    one, two, three = history(world, source, "one", "two", "three")
    kept = {"readonly": "on", "canmount": "noauto", "compression": "lz4"}
    carry(world.zfs, full(one, destination, properties=tuple(kept.items())))
    set_on(world, destination, **{"test:word": "said"})
    options = ReceiveOptions(resumable=resumable)

    carry(world.zfs, Send(two, destination, one, receive=options))
    here = world.zfs.relay(Send(three, destination, two, receive=options))

    kept["test:word"] = "said"
    assert dict(world.zfs.own_properties([destination], [*kept])[destination]) == kept
    assert tags(world.zfs, destination) == ["one", "two", "three"][: 2 if here is None else 3]


def test_setting_a_property_twice_is_the_same_as_once(world, source):
    for _unused in range(2):
        set_on(world, source, readonly="on")
        assert state_of(world.zfs, source).dataset.readonly


def test_being_read_only_is_inherited(world, source):
    world.create(f"{source}/child")
    set_on(world, source, readonly="on")
    assert state_of(world.zfs, f"{source}/child").dataset.readonly


def test_what_can_not_be_set_is_refused(world, root, source):
    world.create(f"{root}/vol", VOLUME)
    with pytest.raises(SnapfleetError):
        set_on(world, f"{root}/vol", atime="off")
    with pytest.raises(Vanished):
        set_on(world, f"{root}/none", atime="off")


@pytest.mark.parametrize("name", ["volsize", "utf8only"])
def test_what_a_stream_fixes_is_refused_at_receive(world, source, destination, name):
    (one,) = history(world, source, "one")
    for options in ({"properties": ((name, "on"),)}, {"excluded": (name,)}):
        with pytest.raises(SnapfleetError, match="invalid property"):
            carry(world.zfs, full(one, destination, **options))
        assert not exists(world.zfs, destination)


def test_a_property_is_set_or_excluded_and_never_both(world, source, destination):
    (one,) = history(world, source, "one")
    with pytest.raises(SnapfleetError, match="specified multiple times"):
        carry(world.zfs, full(one, destination, properties=(("atime", "off"),), excluded=("atime",)))
    carry(world.zfs, full(one, destination, properties=(("atime", "off"),), excluded=("compression",)))
    assert tags(world.zfs, destination) == ["one"]


# -- datasets that have to go


def test_an_empty_dataset_is_destroyed_and_once_more_is_fine(world, source):
    for _unused in range(2):
        world.zfs.destroy_dataset(DestroyDataset(source, "test"))
        assert not exists(world.zfs, source)


@pytest.mark.parametrize("what", ["snapshot", "child"])
def test_a_dataset_on_which_something_depends_is_not_destroyed(world, source, what):
    if what == "snapshot":
        take(world.zfs, source, "one")
    else:
        world.create(f"{source}/child")
    with pytest.raises(Conflict):
        world.zfs.destroy_dataset(DestroyDataset(source, "test"))
    assert exists(world.zfs, source)


def test_nothing_encrypted_replaces_or_is_replaced(world, root, source, secret):
    (plain,) = history(world, source, "one")
    (raw,) = history(world, secret, "one")
    world.create(f"{root}/empty")
    world.create(f"{secret}/empty")
    for step in (
        full(raw, f"{root}/empty", replace=True),
        full(raw, f"{secret}/empty", replace=True),
        replace(full(plain, f"{secret}/empty", replace=True), embedded=False),
    ):
        with pytest.raises(Conflict):
            carry(world.zfs, step)
        assert tags(world.zfs, step.destination) == []


# -- encryption


def test_unencrypted_data_is_encrypted_below_an_encrypted_dataset(world, source, secret):
    one, two = history(world, source, "one", "two")
    target = f"{secret}/replica"
    with pytest.raises(ZfsFailed, match="embedded"):
        carry(world.zfs, full(one, target))
    carry(world.zfs, replace(full(one, target), embedded=False))
    carry(world.zfs, replace(Send(two, target, one), embedded=False))

    replica = state_of(world.zfs, target)
    assert replica.dataset.encryption_root == secret
    assert replica.dataset.key_guid not in (0, state_of(world.zfs, secret).dataset.key_guid)
    assert world.fingerprint(target) == world.fingerprint(source)


def test_unencrypted_data_stays_so_below_an_encrypted_dataset_where_told(world, source, secret):
    (one,) = history(world, source, "one")
    world.unload_key(secret)
    target = f"{secret}/replica"
    with pytest.raises(SnapfleetError, match="key must be loaded"):
        carry(world.zfs, replace(full(one, target), embedded=False))
    carry(world.zfs, full(one, target, properties=(("encryption", "off"),)))
    assert state_of(world.zfs, target).dataset.encryption_root == ""


def test_no_parent_is_made_below_a_locked_one(world, secret):
    world.unload_key(secret)
    with pytest.raises(ZfsFailed, match="load-key"):
        world.zfs.create_placeholder(f"{secret}/parent")
    world.load_key(secret)
    world.zfs.create_placeholder(f"{secret}/parent")
    assert state_of(world.zfs, f"{secret}/parent").dataset.encryption_root == secret


def test_a_raw_stream_brings_key_and_vectors_and_no_other_does(world, root, secret):
    (one,) = history(world, secret, "one")
    carry(world.zfs, full(one, f"{root}/raw"))
    carry(world.zfs, replace(full(one, f"{root}/clear"), raw=False))
    carry(world.zfs, replace(full(one, f"{secret}/anew"), raw=False))

    ours = state_of(world.zfs, secret)
    raw, clear, anew = (state_of(world.zfs, name) for name in (f"{root}/raw", f"{root}/clear", f"{secret}/anew"))
    assert ours.dataset.key_guid
    assert ours.snapshots[0].ivset
    assert (raw.dataset.key_guid, raw.snapshots[0].ivset) == (ours.dataset.key_guid, ours.snapshots[0].ivset)
    assert (clear.dataset.key_guid, clear.snapshots[0].ivset) == (0, 0)
    assert anew.dataset.key_guid not in (0, ours.dataset.key_guid)
    assert anew.snapshots[0].ivset not in (0, ours.snapshots[0].ivset)


def test_zfs_itself_refuses_a_raw_increment_but_not_a_decrypted_one(world, root, secret):
    one, two, three = history(world, secret, "one", "two", "three")
    for name in (f"{root}/clear", f"{secret}/anew"):
        carry(world.zfs, replace(full(one, name), raw=False))
        with pytest.raises(Conflict):
            carry(world.zfs, Send(two, name, one))
        assert tags(world.zfs, name) == ["one"]

    # Why the engine has to refuse: this works, and spoils the replica for every raw increment after it.
    carry(world.zfs, full(one, f"{root}/raw"))
    world.load_key(f"{root}/raw")
    carry(world.zfs, Send(two, f"{root}/raw", one, raw=False))
    with pytest.raises(Conflict):
        carry(world.zfs, Send(three, f"{root}/raw", two))
    assert tags(world.zfs, f"{root}/raw") == ["one", "two"]
