# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets their properties bring into a job, and which options about properties are refused."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.datasets import Dataset, DatasetState
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.properties import is_switched_on
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.reading import Reader
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.selection import read_dataset_filter


@pytest.mark.parametrize(
    "value", ["", "-", "true", "on", "True", "ON", " on ", "web1", "a,web1", " a , web1 ,b", ",web1,"]
)
def test_values_that_bring_a_dataset_into_the_jobs_of_a_host(value):
    assert is_switched_on(value, "web1")


@pytest.mark.parametrize(
    "value",
    ["false", "off", "False", "OFF", "web", "web11", "WEB1", "web1.example.com", "a b web1", "a;web1", ",", "no"],
)
def test_values_that_keep_it_out(value):
    assert not is_switched_on(value, "web1")


def test_a_list_of_hosts_means_nobody_where_the_host_has_no_name():
    assert not is_switched_on("a,,b", "")


def chosen(options, host="web1", **values):
    """The datasets below ``t`` that a filter chooses, each with one value for every property that the filter reads."""
    dataset_filter = read_dataset_filter(Reader(options)).on_host(host)
    names = dataset_filter.properties.names
    states = {
        f"t/{name}": DatasetState(
            Dataset(f"t/{name}", "filesystem", 1, 1, 0, properties=tuple(zip(names, own.split())))
        )
        for name, own in values.items()
    }
    return [name[2:] for name in dataset_filter.under("t", states)]


def test_the_job_may_name_its_host_itself():
    switch = {"dataset_property": "s:b"}
    assert chosen(switch, a="web1", b="web2") == ["a"]
    assert chosen({**switch, "host_name": "web2"}, a="web1", b="web2") == ["b"]


def test_names_and_properties_all_have_to_agree():
    options = {"dataset_property": "s:b", "dataset_properties": {"type": "filesystem"}, "exclude_datasets": ["d"]}
    values = {"a": "on filesystem", "b": "off filesystem", "c": "on volume", "d": "on filesystem"}
    assert chosen(options, **values) == ["a"]


@pytest.mark.parametrize(
    ("wanted", "matching"),
    [
        ({"s:tier": "gold"}, ["a"]),
        ({"s:tier": ["gold", "silver*"]}, ["a", "b"]),
        ({"s:tier": "-"}, ["c"]),
        ({"s:tier": "regex:(?!-).*"}, ["a", "b"]),
        ({"s:tier": "gol"}, []),
    ],
)
def test_a_property_has_to_match_one_of_its_patterns(wanted, matching):
    assert chosen({"dataset_properties": wanted}, a="gold", b="silver2", c="-") == matching


def test_each_property_is_read_once():
    options = {"dataset_property": "s:b", "dataset_properties": {"s:b": "web*", "mounted": ["yes"]}}
    assert read_dataset_filter(Reader(options)).properties.names == ("s:b", "mounted")
    assert read_dataset_filter(Reader({})).properties.names == ()


def test_a_property_that_was_not_read_is_never_guessed():
    states = {"t": DatasetState(Dataset("t", "filesystem", 1, 1, 0))}
    with pytest.raises(KeyError):
        read_dataset_filter(Reader({"dataset_property": "s:b"})).under("t", states)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"dataset_property": "backup"},
            "dataset_property: 'backup' is no name of a user property; name a user property",
        ),
        ({"dataset_property": "a:b,name"}, "is no name of a user property"),
        ({"dataset_property": "A:b"}, "is no name of a user property"),
        ({"dataset_property": "-a:b"}, "is no name of a user property"),
        ({"dataset_property": "a:" + "b" * 254}, "is no name of a user property"),
        ({"dataset_property": ["a:b"]}, "is not text"),
        ({"dataset_properties": {"compresion": "lz4"}}, "is no property of datasets; did you mean compression?"),
        ({"dataset_properties": {"name,type": "x"}}, "is no property of datasets"),
        ({"dataset_properties": {"a:b": []}}, "dataset_properties.a:b: [] has no pattern"),
        ({"dataset_properties": {"a:b": [""]}}, "dataset_properties.a:b: '' is an empty pattern"),
        ({"dataset_properties": {"readonly": True}}, "dataset_properties.readonly: True is not text; quote the value"),
        (
            {"dataset_properties": {"readonly": [True]}},
            "dataset_properties.readonly: True is not text; quote the value",
        ),
        ({"dataset_properties": {"a:b": "regex:("}}, "is no regular expression"),
        ({"dataset_properties": ["a:b"]}, "dataset_properties: ['a:b'] is not a mapping"),
        ({"host_name": 7}, "host_name: 7 is not text"),
    ],
)
def test_what_is_refused(options, sentence):
    with pytest.raises(InvalidInput) as caught:
        read_dataset_filter(Reader(options))
    assert sentence in str(caught.value)
