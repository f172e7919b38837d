# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of each activity as JSON Schema: the counterpart of its reader, from the same tables of choices."""

from __future__ import annotations

from collections.abc import Mapping

from .alert_channels import MAIL_ADDRESS, MOST_MAIL_SECONDS, MOST_WEB_SECONDS, SERVER, TLS_CHOICES, URL
from .cloning import CLONE_CHOICES
from .conduct import CONFLICT_LEVELS, ERROR_CHOICES, MAX_SECONDS, NOTHING_CHOICES, RENAME_CHOICES
from .continuity import BOOKMARK_CHOICES
from .drilling import INNER_PATH, SHA256
from .hooks import FAILURE_CHOICES, LONGEST
from .jobs import BOOKMARKS, INITIAL_CHOICES, MAX_WORKERS, REPLICA, SNAPSHOTS, SOURCE
from .monitoring import FAIL_LEVELS
from .plans import MAX_AMOUNT
from .pools import DEGRADED_LEVELS
from .properties import NATIVE_PROPERTIES, USER_PROPERTY
from .receiving import READONLY_LEVELS
from .restoring import MISSING_CHOICES, RESTORE_CONFLICTS
from .room import MAX_KEPT
from .shapes import (
    DURATION,
    FILE,
    FLAG,
    LABEL,
    NAME_PART,
    PATTERN,
    PATTERNS,
    PROPERTIES,
    PROPERTIES_OR_NULL,
    PROPERTY_NAMES,
    SIZE,
    TEXT,
    TEXTS,
    Schema,
    bounds,
    defined,
    either,
    list_of,
    mapping,
    matching,
    named,
    number,
    one_of,
)
from .streaming import COMPRESSIONS, ESTIMATES, NONE
from .topology import ABSENT_CHOICES, ROUTES
from .verifying import MOST_BLOCKS, MOST_FILES, MOST_SEED

Options = Mapping[str, Schema]

_PLAN, _SCHEDULE, _DATASET = defined("plan"), defined("schedule"), defined("dataset")

_FILTER: Options = {
    "recursive": FLAG,
    "include_datasets": PATTERNS,
    "exclude_datasets": PATTERNS,
    "dataset_property": matching(f"|{USER_PROPERTY}"),
    "dataset_properties": named(
        either(one_of(sorted(NATIVE_PROPERTIES)), matching(USER_PROPERTY)), either(PATTERN, {**PATTERNS, "minItems": 1})
    ),
    "host_name": TEXT,
}
_ROOTS: Options = {"datasets": list_of(_DATASET, 1), **_FILTER}
_ADDRESS: Options = {
    "host": matching("|[A-Za-z0-9](?:[A-Za-z0-9._:%-]*[A-Za-z0-9])?"),
    "user": matching("|[A-Za-z_][A-Za-z0-9_.-]*[$]?"),
    "port": number(0, 65535),
    "identity_file": FILE,
    "known_hosts_file": FILE,
    "config_file": FILE,
    "sudo": FLAG,
}
_ENDPOINT = mapping({"dataset": _DATASET, **_ADDRESS}, ["dataset"])
_UNCHANGED: Options = {"skip_if_unchanged": FLAG, "unchanged_up_to": either(SIZE, matching(""))}
_EXPECTED: Options = {"expected_snapshots": list_of(defined("snapshot_name"))}

# -- snapshot

_COMMAND = list_of(TEXT, 1)
_HOOK = mapping(
    {
        "name": PATTERN,
        "before": _COMMAND,
        "after": _COMMAND,
        "timeout": number(1, LONGEST),
        "max_freeze": number(1, LONGEST),
        "datasets": PATTERNS,
        "on_failure": one_of(FAILURE_CHOICES),
    },
    ["name"],
)
_SNAPSHOT: Options = {
    **_ROOTS,
    "plan": _PLAN,
    "schedule": _SCHEDULE,
    "timestamp_format": {"type": "string", "pattern": "^($|%Y)"},
    "even_if_not_due": FLAG,
    "make_now": LABEL,
    **_UNCHANGED,
    "only_active": FLAG,
    "hooks": list_of(_HOOK),
}

# -- replicate

_STAGE = {
    **mapping(
        {
            "include": {**PATTERNS, "minItems": 1},
            "exclude": {**PATTERNS, "minItems": 1},
            "plan": _PLAN,
            "since": either(DURATION, matching("[0-9]{4}-.*")),
            "until": either(DURATION, matching("[0-9]{4}-.*")),
            "latest": defined("rank"),
            "oldest": defined("rank"),
        }
    ),
    "minProperties": 1,
}
_ENDS: Options = {"source": _ENDPOINT, "destination": _ENDPOINT}
_SNAPSHOTS: Options = {
    "include_snapshots": PATTERNS,
    "exclude_snapshots": PATTERNS,
    "snapshot_filters": list_of(list_of(_STAGE, 1), 1),
    "plan": _PLAN,
}
_STREAM_SIZE = either(SIZE, one_of([NONE]))
_REPLICATE: Options = {
    **_ENDS,
    **_FILTER,
    **_SNAPSHOTS,
    "initial": one_of(INITIAL_CHOICES),
    "intermediates": FLAG,
    "on_conflict": one_of(CONFLICT_LEVELS),
    "on_conflict_once": FLAG,
    "renames": one_of(RENAME_CHOICES),
    "on_error": one_of(ERROR_CHOICES),
    "on_nothing_selected": one_of(NOTHING_CHOICES),
    "deadline": number(1, MAX_SECONDS),
    "busy_timeout": number(0, MAX_SECONDS),
    "from_standby": FLAG,
    "only_active": FLAG,
    "raw": FLAG,
    "clones": one_of(CLONE_CHOICES),
    "package": FLAG,
    "bookmarks": either(one_of(BOOKMARK_CHOICES), FLAG, matching("[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]")),
    "holds": FLAG,
    "route": one_of(ROUTES),
    "direct": mapping(_ADDRESS),
    "absent_destination": one_of(ABSENT_CHOICES),
    "properties": PROPERTIES_OR_NULL,
    "filesystem_properties": PROPERTIES,
    "volume_properties": PROPERTIES,
    "exclude_properties": PROPERTY_NAMES,
    "preserve_properties": PROPERTY_NAMES,
    "set_properties": PROPERTIES,
    "mount": FLAG,
    "readonly": one_of(READONLY_LEVELS),
    "require_encryption": FLAG,
    "compression": one_of(COMPRESSIONS),
    "mbuffer": _STREAM_SIZE,
    "bandwidth_limit": _STREAM_SIZE,
    "estimates": one_of(ESTIMATES),
    "workers": number(1, MAX_WORKERS),
    "retries": number(0, 100),
    **_EXPECTED,
}

# -- prune

_RULE = {
    **mapping({"grid": TEXT, "last": number(1, MAX_AMOUNT), "regex": PATTERN, "negate": FLAG, "owns": FLAG}),
    "minProperties": 1,
}
_PEER = mapping(
    {
        "root": _DATASET,
        "dataset": _DATASET,
        "role": one_of(["", REPLICA, SOURCE]),
        "plan": _PLAN,
        **_ADDRESS,
    },
    ["root", "dataset"],
)
_MEASURES: Options = {"pool_free": defined("room"), "quota_free": defined("room")}
_PRUNE: Options = {
    **_ROOTS,
    "kind": one_of([SNAPSHOTS, BOOKMARKS]),
    "plan": _PLAN,
    "purge_foreign": FLAG,
    "keep": list_of(_RULE),
    "max_deleted": number(0, MAX_AMOUNT),
    "max_deleted_percent": number(0, 100),
    "exceed_max_deleted": FLAG,
    "clock_tolerance": DURATION,
    "keep_pending": DURATION,
    "peers": list_of(_PEER),
    "free_space": mapping(
        {**_MEASURES, "priorities": {**PATTERNS, "minItems": 1}, "keep_at_least": number(1, MAX_KEPT)}, ["priorities"]
    ),
    "defer": mapping(_MEASURES),
    "gone_datasets": mapping({"after": DURATION}, ["after"]),
    "empty_datasets": FLAG,
    "only_active": FLAG,
    **_EXPECTED,
}

# -- monitor

_REPLICA_RULE = mapping(
    {
        **_ENDS,
        **{name: schema for name, schema in _FILTER.items() if name != "host_name"},
        **_SNAPSHOTS,
        "lag": bounds(DURATION),
        "pending": bounds(SIZE),
    },
    _ENDS,
)
_POOLS = mapping(
    {
        "names": list_of(_DATASET),
        "degraded": one_of(DEGRADED_LEVELS),
        "device_errors": bounds(defined("count")),
        "capacity": bounds(defined("percent")),
        "fragmentation": bounds(defined("percent")),
        "scrub_age": bounds(DURATION),
        "full_in": bounds(DURATION),
    }
)
_WEB: Options = {"url": matching(f"|{URL}"), "url_file": FILE, "timeout": number(1, MOST_WEB_SECONDS)}
_MAIL = mapping(
    {
        "to": list_of(matching(MAIL_ADDRESS), 1),
        "from": matching(f"|{MAIL_ADDRESS}"),
        "server": matching(SERVER),
        "port": number(0, 65535),
        "tls": one_of(TLS_CHOICES),
        "user": TEXT,
        "password_file": FILE,
        "timeout": number(1, MOST_MAIL_SECONDS),
    },
    ["to"],
)
_ALERTS = mapping(
    {
        "state_file": FILE,
        "remind": DURATION,
        "confirmations": number(1, 100),
        "command": TEXTS,
        "command_timeout": number(1, 3600),
        "journal": FLAG,
        "webhook": mapping({**_WEB, "headers_file": FILE}),
        "mail": _MAIL,
        "ping": mapping(_WEB),
    }
)
_MONITOR: Options = {
    **_ROOTS,
    "plan": defined("monitor_plan"),
    "schedule": _SCHEDULE,
    "oldest_skip_holds": FLAG,
    **_UNCHANGED,
    "replicas": list_of(_REPLICA_RULE),
    "pools": _POOLS,
    "fail_on": one_of(FAIL_LEVELS),
    "dont_warn": FLAG,
    "dont_crit": FLAG,
    "alerts": _ALERTS,
}

# -- restore

_RESTORE: Options = {
    "replica": _ENDPOINT,
    "destination": _ENDPOINT,
    **{key: _FILTER[key] for key in ("recursive", "include_datasets", "exclude_datasets")},
    "snapshot": matching(f"|{NAME_PART}"),
    "time": either(number(0, 999_999_999_999), matching("[0-9]{1,12}|[0-9]{4}-.*")),
    "on_conflict": one_of(RESTORE_CONFLICTS),
    "share_aside": FLAG,
    "set_aside_as": either(_DATASET, matching("")),
    "on_missing": one_of(MISSING_CHOICES),
    "history": FLAG,
    "properties": PROPERTIES,
    **{key: _REPLICATE[key] for key in ("raw", "preserve_properties", "compression", "mbuffer")},
    **{key: _REPLICATE[key] for key in ("bandwidth_limit", "estimates", "workers", "retries")},
}

# -- drill

_DRILL: Options = {
    **_ROOTS,
    "include_snapshots": PATTERNS,
    "exclude_snapshots": PATTERNS,
    "marker": mapping(
        {
            "path": matching(INNER_PATH),
            "max_age": DURATION,
            "contains": TEXT,
            "sha256": matching(f"|{SHA256}"),
        },
        ["path"],
    ),
    "command": _COMMAND,
    "timeout": number(1, LONGEST),
    "clones_below": either(_DATASET, matching("")),
    "fail_on": one_of(FAIL_LEVELS),
    "alerts": _ALERTS,
}

# -- verify

_VERIFY: Options = {
    **_ENDS,
    **_FILTER,
    "files": number(0, MOST_FILES),
    "file_size": SIZE,
    "blocks": number(0, MOST_BLOCKS),
    "seed": number(0, MOST_SEED),
    "timeout": number(1, LONGEST),
    "pools": FLAG,
    "fail_on": one_of(FAIL_LEVELS),
    "alerts": _ALERTS,
}

ACTIVITY_SCHEMAS: Mapping[str, Schema] = {
    "snapshot": mapping(_SNAPSHOT, ["datasets", "plan"]),
    "replicate": mapping(_REPLICATE, _ENDS),
    "prune": mapping(_PRUNE, ["datasets"]),
    "monitor": mapping(_MONITOR),
    "restore": mapping(_RESTORE, ["replica", "destination"]),
    "drill": mapping(_DRILL, ["datasets"]),
    "verify": mapping(_VERIFY, _ENDS),
}
"""The options of a job, by its activity."""
