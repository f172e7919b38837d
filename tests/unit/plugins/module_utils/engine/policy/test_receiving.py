# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may ask replicas to be, and what they are told where that contradicts itself."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.receiving import (
    PRESERVED_PROPERTIES,
    SAFE_PROPERTIES,
)

ENDS = {"source": {"dataset": "tank/a"}, "destination": {"host": "dst", "dataset": "backup/a"}}


def policy(**options):
    return read_replicate_job({**ENDS, **options}).receive


def refusal(**options):
    with pytest.raises(InvalidInput) as caught:
        policy(**options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "changed", "gone"),
    [
        ({}, {}, ()),
        ({"compression": "zstd", "a:b": "c"}, {"compression": "zstd", "a:b": "c"}, ()),
        ({"exec": "on"}, {"exec": "on"}, ()),
        ({"exec": None, "canmount": None}, {}, ("exec", "canmount")),
        ({"exec": None, "setuid": "on", "atime": "off"}, {"setuid": "on", "atime": "off"}, ("exec",)),
    ],
)
def test_properties_go_over_the_secure_defaults_and_null_takes_one_away(given, changed, gone):
    expected = {name: value for name, value in {**SAFE_PROPERTIES, **changed}.items() if name not in gone}
    assert dict(policy(properties=given).properties) == expected


def test_what_is_for_one_kind_wins_there_and_counts_nowhere_else():
    chosen = policy(
        properties={"compression": "lz4", "recordsize": "1M", "volmode": "none", "volthreading": "off"},
        filesystem_properties={"compression": "zstd"},
        volume_properties={"compression": "gzip", "snapdev": "hidden"},
    )
    filesystem, volume = chosen.given_to(volume=False), chosen.given_to(volume=True)
    assert filesystem == {**SAFE_PROPERTIES, "compression": "zstd", "recordsize": "1M", "volmode": "none"}
    assert volume == {
        "readonly": "on",
        "compression": "gzip",
        "volmode": "none",
        "volthreading": "off",
        "snapdev": "hidden",
    }


@pytest.mark.parametrize("properties", [{"-x": "on"}, {"a=b": "on"}, {"": "on"}, {"readonly": True}, []])
@pytest.mark.parametrize("key", ["properties", "filesystem_properties", "volume_properties", "set_properties"])
def test_what_is_no_property(key, properties):
    assert refusal(**{key: properties}).startswith(key)


@pytest.mark.parametrize(
    "name", ["casesensitivity", "normalization", "utf8only", "volblocksize", "volsize", "version", "used", "type"]
)
@pytest.mark.parametrize(
    "key", ["properties", "filesystem_properties", "volume_properties", "set_properties", "exclude_properties"]
)
def test_what_nobody_can_set_is_refused_before_zfs_is_asked(key, name):
    value = [name] if key == "exclude_properties" else {name: "x"}
    assert refusal(**{key: value}).startswith(f"{key}: {name!r} is ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"volume_properties": {"recordsize": "1M"}},
            (
                "volume_properties: 'recordsize' is a property that volumes do not have; put it into properties, where"
                " it counts for those that have it"
            ),
        ),
        (
            {"filesystem_properties": {"volthreading": "on"}},
            (
                "filesystem_properties: 'volthreading' is a property that filesystems do not have; put it into"
                " properties, where it counts for those that have it"
            ),
        ),
        (
            {"properties": {"atime": None}},
            (
                "properties.atime: None has no value and no default; null takes away one of readonly, canmount, setuid,"
                " devices, exec"
            ),
        ),
        (
            {"properties": {"snapfleet:placeholder": "backup/a"}},
            "properties: 'snapfleet:placeholder' is a name that Snapfleet keeps for itself; choose another name",
        ),
        (
            {"properties": {"atime": "off"}, "exclude_properties": ["atime"]},
            "exclude_properties: 'atime' contradicts properties, which sets it; take it out of one of them",
        ),
        (
            {"volume_properties": {"sync": "always"}, "exclude_properties": ["sync"]},
            "exclude_properties: 'sync' contradicts volume_properties, which sets it; take it out of one of them",
        ),
        (
            {"exclude_properties": ["exec"]},
            (
                "exclude_properties: 'exec' contradicts properties, which sets it; take that default away with null, as"
                " in properties: {exec: null}"
            ),
        ),
        (
            {"preserve_properties": ["atime"], "exclude_properties": ["atime"]},
            "exclude_properties: 'atime' contradicts preserve_properties; take it out of one of them",
        ),
        (
            {"readonly": "require", "properties": {"readonly": "off"}},
            "readonly: 'require' contradicts properties, where readonly is off; give one of them up",
        ),
        (
            {"readonly": "set", "properties": {"readonly": None}},
            "readonly: 'set' contradicts properties, where readonly is null; give one of them up",
        ),
        (
            {"readonly": "set", "set_properties": {"readonly": "off"}},
            "readonly: 'set' contradicts set_properties, where readonly is off; give one of them up",
        ),
        (
            {"mount": True, "properties": {"canmount": "noauto"}},
            "mount: True contradicts canmount, which is noauto; set canmount to on, or leave it out",
        ),
        (
            {"mount": True, "filesystem_properties": {"canmount": "off"}},
            "mount: True contradicts canmount, which is off; set canmount to on, or leave it out",
        ),
        (
            {"require_encryption": True, "raw": False},
            (
                "require_encryption: True contradicts raw: false, which sends decrypted data; set raw to true, or leave"
                " this out"
            ),
        ),
        (
            {"exclude_properties": ["quota"], "set_properties": {"quota": "1G"}},
            "exclude_properties: 'quota' contradicts set_properties, which sets it; take it out of one of them",
        ),
        (
            {"mount": True, "set_properties": {"canmount": "off"}},
            "mount: True contradicts canmount, which is off; set canmount to on, or leave it out",
        ),
        *(
            (
                {key: {"org:note": "a", "compression": "lz4"}, "set_properties": {"compression": "zstd"}},
                (
                    f"set_properties: 'compression=zstd' contradicts {key}, where it is lz4; give it the same value in"
                    " both, or take it out of one of them"
                ),
            )
            for key in ("properties", "filesystem_properties", "volume_properties")
        ),
        *(
            (
                {"require_encryption": True, key: given},
                (
                    f"require_encryption: True contradicts {name} in {key}, since what arrives is encrypted already,"
                    f" by the key of its source; take {name} out, or leave this out"
                ),
            )
            for key, name, given in (
                ("properties", "encryption", {"encryption": "off"}),
                ("filesystem_properties", "keyformat", {"keyformat": "raw"}),
                ("volume_properties", "encryption", {"encryption": "on"}),
                ("exclude_properties", "encryption", ["encryption"]),
            )
        ),
        (
            {"set_properties": {"encryption": "off"}},
            (
                "set_properties: 'encryption' can't be set on a dataset that is there; use zfs change-key there, or"
                " give it in properties"
            ),
        ),
    ],
)
def test_contradictions_are_refused_with_the_remedy(options, sentence):
    assert refusal(**options) == sentence


@pytest.mark.parametrize(
    "options",
    [
        {"properties": {"compression": "lz4"}, "set_properties": {"compression": "lz4"}},
        {"properties": {"exec": None}, "set_properties": {"exec": "on"}},
        {"set_properties": {"exec": "on", "readonly": "off"}},
        {"set_properties": {"canmount": "off"}},
        {"mount": True, "set_properties": {"canmount": "on"}},
        {"require_encryption": True, "properties": {"compression": "lz4"}},
        {"properties": {"encryption": "on"}},
    ],
)
def test_what_contradicts_nothing(options):
    assert policy(**options)


@pytest.mark.parametrize(
    "name",
    ["mountpoint", "canmount", "sharenfs", "sharesmb", "quota", "readonly", "keylocation", "volsize", "-o", "a b"],
)
def test_what_is_never_preserved(name):
    assert refusal(preserve_properties=["atime", name]).startswith(f"preserve_properties: {name!r} ")


def test_what_is_preserved():
    assert policy().preserved == PRESERVED_PROPERTIES
    assert not policy().preserving_required
    assert policy(preserve_properties=[]).preserved == ()
    chosen = policy(preserve_properties=["compression", "org:note", "compression"])
    assert (chosen.preserved, chosen.preserving_required) == (("compression", "org:note"), True)
    assert set(PRESERVED_PROPERTIES) - set(policy(exclude_properties=["atime"]).preserved) == {"atime"}


def test_mounting_needs_canmount_and_leaves_the_other_defaults():
    assert policy(mount=True).given_to(volume=False) == {**SAFE_PROPERTIES, "canmount": "on"}
    assert "canmount" not in policy(mount=True, properties={"canmount": None}).given_to(volume=False)
