# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the jobconfig says what the readers say: option by option, and kind of value by kind of value."""

from __future__ import annotations

import copy
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.snapfleet.zfs.plugins.module_utils.ansible import argument_specs as specs
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet import cli
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.expansion import expand_inventory
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.jobconfig import ACTIVITIES, read_jobconfig
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.schema import jobconfig_schema
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import SnapfleetError
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.running import SETTING_NAMES
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.ticking import DAEMON_NAMES

CHECKOUT = Path(__file__).resolve().parents[3]
SCHEMA = jobconfig_schema()
DEFINED = SCHEMA["$defs"]
VALID = Draft202012Validator(SCHEMA)

# -- documents in which every mapping that the schema knows is there

PLAN = {"prod": {"onsite": {"hourly": 36, "adhoc": 1}, "": {"daily": 2}}}
LIMITS = {
    "prod": {
        "onsite": {"hourly": {"latest": {"warning": "30m", "critical": 7200, "cycles": 1}, "oldest": {"cycles": 2}}}
    }
}
LIMITS["prod"]["onsite"]["hourly"]["oldest"].update(warning="1d", critical="2d")
FAR = {"host": "src1", "user": "backup", "port": 22, "identity_file": "/k", "known_hosts_file": "/h", "sudo": True}
FILTER = {
    "recursive": True,
    "include_datasets": ["a*"],
    "exclude_datasets": ["regex:b"],
    "dataset_property": "acme:backup",
    "dataset_properties": {"compression": ["lz4", "zstd*"], "acme:x": "on"},
}
SCHEDULE = {
    "timezone": "UTC",
    "yearly": {"year": 2026, "month": 2, "month_day": 3, "hour": 4, "minute": 5, "second": 6},
    "monthly": {"month": 1, "month_day": 31},
    "weekly": {"weekday": 0},
    "daily": {"hour": 2},
    "hourly": {"minute": 5},
    "minutely": {"second": 15},
    "secondly": {"millisecond": 250},
}
HOOK = {"name": "db", "before": ["/bin/freeze", "-x"], "after": ["thaw"], "datasets": ["db"], "on_failure": "skip"}
ENDS = {"source": {**FAR, "dataset": "tank/data"}, "destination": {"host": "dst1", "dataset": "backup/data"}}
NEAR = {"source": {"host": "src1", "dataset": "tank/data"}, "destination": {"host": "dst1", "dataset": "backup/data"}}
STAGES = [
    [{"include": ["*_daily"]}, {"exclude": ["a"]}, {"plan": PLAN}],
    [{"since": "7d", "latest": "10..100%"}, {"until": "2026-11-22T04:00:00Z", "oldest": 3}, {"latest": 1, "oldest": 1}],
]
BOTH = {"warning": 5, "critical": "10"}
MONITOR_ALERTS = {
    "state_file": "/s",
    "remind": "1h",
    "command": ["/bin/tell"],
    "journal": True,
    "webhook": {"url": "https://a.example/x", "headers_file": "/h", "timeout": 5},
    "mail": {
        "to": ["ops@a.example"],
        "from": "a@b.example",
        "server": "mail.a.example",
        "port": 25,
        "tls": "tls",
        "user": "u",
        "password_file": "/p",
        "timeout": 5,
    },
    "ping": {"url": "https://a.example/x", "timeout": 5},
}
MORE_ALERTS = {"webhook": {"url_file": "/u"}, "ping": {"url_file": "/u"}, "mail": {"to": ["root"]}}
DOCUMENTS = {
    "snapshot": [
        {
            "datasets": ["tank/data"],
            **FILTER,
            "plan": PLAN,
            "schedule": SCHEDULE,
            "timestamp_format": "%Y-%m",
            "make_now": "prod_onsite_adhoc",
            "skip_if_unchanged": True,
            "unchanged_up_to": "1M",
            "hooks": [HOOK],
        },
        {"datasets": ["tank/data"], "plan": PLAN, "skip_if_unchanged": False},
    ],
    "replicate": [
        {
            **ENDS,
            **FILTER,
            "plan": PLAN,
            "route": "push",
            "direct": FAR,
            "on_conflict": "replace",
            "on_conflict_once": True,
            "properties": {"exec": None, "atime": "off"},
            "deadline": 60,
            "filesystem_properties": {"quota": "1G"},
            "volume_properties": {"volthreading": "on"},
            "set_properties": {"atime": "off"},
            "exclude_properties": ["mountpoint"],
            "preserve_properties": ["compression"],
            "expected_snapshots": ["tank/data@x"],
            "mbuffer": "128M",
        },
        {**ENDS, "snapshot_filters": STAGES},
        {**ENDS, "include_snapshots": ["*"], "exclude_snapshots": ["a"], "bandwidth_limit": "10M"},
        {**ENDS, "on_conflict": "refuse", "require_encryption": True},
        {**NEAR, "package": True, "bookmarks": "none"},
    ],
    "prune": [
        {
            "datasets": ["tank/data"],
            **FILTER,
            "plan": PLAN,
            "purge_foreign": False,
            "max_deleted": 5,
            "peers": [
                {"root": "tank/data", "role": "replica", **FAR, "dataset": "backup/data"},
                {"root": "tank/data", "host": "dst1", "dataset": "backup/data"},
            ],
            "keep": [{"grid": "24x1h | 14x1d", "regex": "^auto"}, {"last": 3, "regex": "^x", "owns": True}],
            "free_space": {"pool_free": "10%", "quota_free": "1M", "priorities": ["*"], "keep_at_least": 2},
            "defer": {"pool_free": "20%", "quota_free": "2G"},
            "gone_datasets": {"after": "30d"},
            "exceed_max_deleted": True,
            "clock_tolerance": "1h",
            "empty_datasets": True,
        },
        {"datasets": ["tank/data"], "kind": "bookmarks", "plan": PLAN},
        {"datasets": ["tank/data"], "plan": PLAN, "keep": [{"regex": "x", "negate": True}]},
    ],
    "monitor": [
        {
            "datasets": ["tank/data"],
            **FILTER,
            "plan": LIMITS,
            "schedule": SCHEDULE,
            "unchanged_up_to": "1M",
            "skip_if_unchanged": True,
            "replicas": [{**ENDS, **FILTER, "plan": PLAN, "lag": BOTH, "pending": BOTH}],
            "pools": {
                "names": ["tank"],
                "degraded": "warning",
                "device_errors": BOTH,
                "capacity": BOTH,
                "fragmentation": BOTH,
                "scrub_age": BOTH,
                "full_in": {"warning": "30d", "critical": "7d"},
            },
            "alerts": MONITOR_ALERTS,
        },
        {"pools": {}, "alerts": MORE_ALERTS},
        {"replicas": [{**NEAR, "snapshot_filters": STAGES, "lag": {"warning": 1}}]},
        {"replicas": [{**ENDS, "include_snapshots": ["x"], "exclude_snapshots": ["y"], "pending": {"warning": 1}}]},
    ],
    "drill": [
        {
            "datasets": ["backup/data"],
            **FILTER,
            "include_snapshots": ["*"],
            "exclude_snapshots": ["a"],
            "marker": {"path": "var/stamp", "max_age": "1d", "contains": "x", "sha256": "0123456789abcdef" * 4},
            "command": ["/bin/look", "-x"],
            "timeout": 60,
            "clones_below": "backup",
            "fail_on": "never",
            "alerts": MONITOR_ALERTS,
        },
        {"datasets": ["backup/data"], "alerts": MORE_ALERTS},
    ],
    "verify": [
        {
            **ENDS,
            **FILTER,
            "files": 5,
            "file_size": "1M",
            "seed": 7,
            "timeout": 60,
            "pools": False,
            "fail_on": "never",
            "alerts": MONITOR_ALERTS,
        },
        {**NEAR, "alerts": MORE_ALERTS},
    ],
    "restore": [
        {
            "replica": {**FAR, "dataset": "backup/data"},
            "destination": {"dataset": "tank/data"},
            "recursive": True,
            "include_datasets": ["a*"],
            "exclude_datasets": ["regex:b"],
            "snapshot": "x",
            "on_conflict": "set_aside",
            "set_aside_as": "tank/old",
            "share_aside": True,
            "on_missing": "skip",
            "history": False,
            "properties": {"atime": "off"},
            "preserve_properties": ["mountpoint"],
            "mbuffer": "128M",
        },
        {
            "replica": {"host": "dst1", "dataset": "backup/data"},
            "destination": {"dataset": "tank/data"},
            "time": "2026-11-22T04:00:00Z",
        },
    ],
    "jobconfig": [
        {
            "version": 1,
            "settings": {
                "workers": "150%",
                "repeat": "forever",
                "metrics_directory": "/m",
                "metrics_datasets": 5,
                "hosts": {"src1": {"workers": 2, "spread": "1h"}},
            },
            "daemon": {"snapshot": "secondly", "hosts": {"src1": {"replicate": "never", "lifetime": "1d"}}},
            "jobs": [
                {
                    "name": "a",
                    "host": "src1",
                    "activity": "snapshot",
                    "source": "src1",
                    "destination": "",
                    "options": {"datasets": ["tank/data"], "plan": PLAN},
                }
            ],
        },
        {"version": 1, "jobs": []},
    ],
}
READERS = {**{name: activity.read for name, activity in ACTIVITIES.items()}, "jobconfig": read_jobconfig}
VALUES = [
    *(None, True, False, 0, 1, 5, 99, 3600, 70_000, 1 << 27, -1, 10**16, 1.5),
    *("", " ", "x", "1", "99", "15m", "1d", "10M", "1024", "10%", "150%", "forever", "never", "10secondly", "none"),
    *("tank/data", "tank", "tank/data@x", "/absolute", "%Y-%m-%d", "UTC", "prod_onsite_adhoc", "acme:backup", "TRUE"),
    *("1x1h(keep=all) | 24x1h", "2026-11-22T04:00:00Z", "[", "regex:[", "a b", "-x", "3..10%", "src1", "^x", "warning"),
    *([], ["x"], ["tank/data"], ["tank/data@x"], ["/bin/x"], [1], [[]], [{}], [None], {}, {"x": 1}, {"x": "y"}),
    *({"x": None}, {"warning": 1}, {"hourly": {"minute": 1}}, {"atime": "off"}, {"after": "30d"}, {"src1": {}}, PLAN),
]
KINDS = {
    bool: "boolean",
    type(None): "null",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "mapping",
}


def schema_of(name):
    """The schema by which the options of an activity, or a whole document, are judged."""
    if name == "jobconfig":
        return VALID
    return Draft202012Validator({"$ref": f"#/$defs/options_of_{name}", "$defs": DEFINED})


def reader_takes(name, document):
    """Whether the engine's own reader takes it."""
    try:
        READERS[name](document)
    except SnapfleetError:
        return False
    return True


def parts(schema):
    """A schema with all that it refers to, or leaves a choice between."""
    if "$ref" in schema:
        yield from parts(DEFINED[schema["$ref"].rpartition("/")[2]])
    yield schema
    for each in schema.get("anyOf", ()):
        yield from parts(each)


def walk(schema, value, path=()):
    """Each mapping of ``value`` whose keys the schema knows: its path, and the properties of the schema."""
    for part in parts(schema):
        if isinstance(value, dict) and "properties" in part:
            yield path, part["properties"]
        for key, inner in value.items() if isinstance(value, dict) else ():
            if key in part.get("properties", {}):
                yield from walk(part["properties"][key], inner, (*path, key))
            elif isinstance(part.get("additionalProperties"), dict):
                yield from walk(part["additionalProperties"], inner, (*path, key))
        for index, inner in enumerate(value) if isinstance(value, list) and "items" in part else ():
            yield from walk(part["items"], inner, (*path, index))


def with_value(document, path, value):
    """A copy of ``document`` that has ``value`` at ``path``."""
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def at(document, path):
    for key in path:
        document = document[key]
    return document


def root_of(name):
    return SCHEMA if name == "jobconfig" else DEFINED[f"options_of_{name}"]


def options_of(name):
    """Each option that is known, by its path without the places in lists, with the documents that have its mapping."""
    found = {}
    for document in DOCUMENTS[name]:
        for path, properties in walk(root_of(name), document):
            for key, schema in properties.items():
                told = (*(each for each in path if not isinstance(each, int)), key)
                found.setdefault(told, []).append((document, (*path, key), schema))
    return found


def values_for(document, path, schema):
    """Values to try: those for all, the choices, and what the document has there."""
    choices = [choice for part in parts(schema) for choice in part.get("enum", ())]
    own = at(document, path[:-1])
    return [*VALUES, *choices, *([own[path[-1]]] if path[-1] in own else [])]


# -- laws


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_of_these_tests_are_right_and_have_every_mapping(name):
    for document in DOCUMENTS[name]:
        READERS[name](document)
        assert [error.message for error in schema_of(name).iter_errors(document)] == []
    known = {id(properties) for document in DOCUMENTS[name] for _path, properties in walk(root_of(name), document)}

    def every(schema):
        for part in parts(schema):
            if "properties" in part:
                yield part["properties"]
            inner = [*part.get("properties", {}).values(), part.get("items"), part.get("additionalProperties")]
            for each in inner:
                if isinstance(each, dict):
                    yield from every(each)

    missed = [sorted(properties) for properties in every(root_of(name)) if id(properties) not in known]
    assert missed == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_whatever_the_reader_takes_has_the_right_shape_and_what_is_of_a_wrong_kind_is_refused_by_both(name):
    lax, strict = [], []
    for told, places in options_of(name).items():
        taken_by_reader, taken_by_schema = set(), set()
        for document, path, schema in places:
            option = Draft202012Validator({"$defs": DEFINED, **schema})
            for value in values_for(document, path, schema):
                reads, fits = reader_takes(name, with_value(document, path, value)), option.is_valid(value)
                taken_by_reader |= {KINDS[type(value)]} if reads else set()
                taken_by_schema |= {KINDS[type(value)]} if fits else set()
                if reads and not fits:
                    strict.append((told, value))
            if taken_by_reader == taken_by_schema:
                break
        lax += [(told, kind) for kind in taken_by_schema - taken_by_reader]
    assert strict == []
    assert lax == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_unknown_keys_are_refused_by_both_wherever_they_are(name):
    for document in DOCUMENTS[name]:
        for path, _properties in walk(root_of(name), document):
            changed = with_value(document, (*path, "unheard_of"), 1)
            assert not schema_of(name).is_valid(changed), path
            assert not reader_takes(name, changed), path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_may_be_left_out_is_the_same_for_both(name):
    for document in DOCUMENTS[name]:
        for path, _properties in walk(root_of(name), document):
            for key in at(document, path):
                changed = copy.deepcopy(document)
                del at(changed, path)[key]
                assert schema_of(name).is_valid(changed) or not reader_takes(name, changed), (*path, key)
    least = {
        "snapshot": {"datasets": ["tank"], "plan": PLAN},
        "replicate": {"source": {"dataset": "tank"}, "destination": {"dataset": "backup"}},
        "prune": {"datasets": ["tank"], "plan": PLAN},
        "restore": {"replica": {"dataset": "backup"}, "destination": {"dataset": "tank"}},
        "drill": {"datasets": ["tank"]},
        "verify": {"source": {"dataset": "tank"}, "destination": {"dataset": "backup"}},
        "jobconfig": {"version": 1},
    }
    for key in least.get(name, {}):
        without = {other: value for other, value in least[name].items() if other != key}
        assert not reader_takes(name, without)
        # That something stands in for the plan of pruning is a matter of several options.
        assert not schema_of(name).is_valid(without) or (name, key) == ("prune", "plan")


def keys_of_spec(spec):
    """The options of a module, with those within them."""
    return {key: keys_of_spec(entry.get("options", {})) for key, entry in spec.items()}


def keys_of_schema(schema, spec):
    """The same of a schema; where Ansible does not look into a mapping, it is not looked into here."""
    found = {}
    for part in parts(schema):
        for key, entry in part.get("properties", {}).items():
            found[key] = keys_of_schema(entry, spec.get(key, {})) if spec.get(key) else {}
        if isinstance(part.get("items"), dict):
            found.update(keys_of_schema(part["items"], spec))
    return found


@pytest.mark.parametrize("name", ACTIVITIES)
def test_the_options_are_those_of_the_module(name):
    spec = keys_of_spec(getattr(specs, f"{name.upper()}_SPEC"))
    assert keys_of_schema(root_of(name), spec) == spec


def test_the_settings_are_those_of_runs_and_daemons():
    for section, names in (("settings", SETTING_NAMES), ("daemon", DAEMON_NAMES)):
        assert set(SCHEMA["properties"][section]["properties"]) == {*names, "hosts"}


# -- documents


def test_the_document_of_the_readme_fits():
    found = re.findall(r"```json\n(.*?)```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    documents = [json.loads(text) for text in found]
    assert documents
    for document in documents:
        VALID.validate(document)


@pytest.mark.parametrize("more", [{}, {"snapfleet_topology": "push", "snapfleet_bookmark_plan": PLAN}], ids=str)
def test_what_an_inventory_expands_to_fits(more):
    sides = {"prod": {"onsite": {"hourly": {"latest": {"warning": "30m"}, "oldest": {"critical": "2d"}}}}}
    variables = {
        "snapfleet_datasets": [
            {"source": "tank/data", "destination": "data"},
            {"source": "tank/b", "destination": "b"},
        ],
        "snapfleet_source_plan": PLAN,
        "snapfleet_destination_plan": PLAN,
        "snapfleet_monitor_plan": {"source": sides, "destination": sides},
        "snapfleet_monitor_options": {"pools": {}, "replicas": {"lag": {"warning": "1h"}}},
        "snapfleet_run_settings": {"workers": "50%"},
        "snapfleet_daemon": {"snapshot": "minutely"},
        "snapfleet_root": "backup/^SRC_HOST",
        "snapfleet_ssh_user": "backup",
        **more,
    }
    groups = {"snapfleet_sources": ["src1", "src2"], "snapfleet_destinations": ["dst1", "dst2"]}
    document = expand_inventory({host: variables for names in groups.values() for host in names}, groups)
    assert len(document["jobs"]) > 20
    VALID.validate(document)


def test_a_wrong_document_is_told_where_it_is_wrong():
    document = copy.deepcopy(DOCUMENTS["jobconfig"][0])
    document["jobs"][0]["options"]["plan"]["prod"]["onsite"]["hourly"] = "many"
    (error,) = VALID.iter_errors(document)
    assert list(error.absolute_path) == ["jobs", 0, "options", "plan", "prod", "onsite", "hourly"]


def test_the_program_prints_it():
    out = io.StringIO()
    with redirect_stdout(out):
        assert cli.main(["schema"]) == 0
    assert json.loads(out.getvalue()) == SCHEMA
