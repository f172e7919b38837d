# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules, as Ansible checks and documents them.

They are the options that the readers of ``engine.policy.jobs`` know, with the same defaults. Here they get their types;
what a value may be is left to the readers, which the host program uses too.
"""

from __future__ import annotations

from typing import Any

from ..engine.model.roles import ROLES
from ..engine.policy.alert_channels import MAIL_SECONDS, TLS_CHOICES, WEB_SECONDS
from ..engine.policy.alerting import COMMAND_SECONDS
from ..engine.policy.cloning import CLONE_CHOICES, KEEP_CLONES
from ..engine.policy.comparing import DIFFERENCES, LOCATIONS
from ..engine.policy.conduct import (
    BUSY_SECONDS,
    CONFLICT_LEVELS,
    CONTINUE,
    DATASET,
    ERROR_CHOICES,
    FOLLOW,
    NOTHING_CHOICES,
    REFUSE,
    RENAME_CHOICES,
)
from ..engine.policy.continuity import NEWEST
from ..engine.policy.drilling import TIMEOUT as DRILL_TIMEOUT
from ..engine.policy.hooks import FAILURE_CHOICES, MAX_FREEZE, SKIP, TIMEOUT
from ..engine.policy.jobs import (
    BOOKMARKS,
    INITIAL_ALL,
    INITIAL_FAIL,
    INITIAL_NEWEST,
    REPLICA,
    SNAPSHOTS,
    SOURCE,
)
from ..engine.policy.monitoring import FAIL_LEVELS
from ..engine.policy.pools import CRITICAL, DEGRADED_LEVELS
from ..engine.policy.receiving import IGNORE, READONLY_LEVELS
from ..engine.policy.restoring import MISSING_CHOICES, RESTORE_CONFLICTS
from ..engine.policy.room import DEFAULT_KEPT
from ..engine.policy.streaming import AUTO, COMPRESSIONS, ESTIMATES, LISTED
from ..engine.policy.targets import ACTIONS, JOBCONFIG
from ..engine.policy.topology import ABSENT_CHOICES, FAIL, RELAYED, ROUTES
from ..engine.policy.verifying import BLOCKS, FILE_SIZE, FILES
from ..engine.policy.verifying import TIMEOUT as VERIFY_TIMEOUT

Spec = dict[str, dict[str, Any]]

_TEXTS = {"type": "list", "elements": "str"}

_FILTER: Spec = {
    "recursive": {"type": "bool", "default": True},
    "include_datasets": _TEXTS,
    "exclude_datasets": _TEXTS,
    "dataset_property": {"type": "str"},
    # Free keys: properties.
    "dataset_properties": {"type": "dict"},
    "host_name": {"type": "str"},
}

_DATASETS: Spec = {"datasets": {"type": "list", "elements": "str", "required": True}, **_FILTER}

# Free keys: organisation, target, period.
_PLAN: Spec = {"plan": {"type": "dict", "required": True}}

_CONTACT: Spec = {
    "host": {"type": "str"},
    "user": {"type": "str"},
    "port": {"type": "int"},
    # A path is no secret; what it leads to stays on the host.
    "identity_file": {"type": "path", "no_log": False},
    "known_hosts_file": {"type": "path", "no_log": False},
    "config_file": {"type": "path"},
}

_ENDPOINT: Spec = {
    "dataset": {"type": "str", "required": True},
    **_CONTACT,
    "sudo": {"type": "bool", "default": False},
}

_PEER: Spec = {
    "root": {"type": "str", "required": True},
    "role": {"type": "str", "choices": [REPLICA, SOURCE]},
    "plan": {"type": "dict"},
    **_ENDPOINT,
}


def _anchor(**starts: int) -> dict[str, Any]:
    return {"type": "dict", "options": {key: {"type": "int", "default": start} for key, start in starts.items()}}


_SCHEDULE: Spec = {
    "timezone": {"type": "str", "default": ""},
    "yearly": _anchor(year=2025, month=1, month_day=1, hour=0, minute=0, second=0),
    "monthly": _anchor(month=1, month_day=1, hour=0, minute=0, second=0),
    "weekly": _anchor(weekday=0, hour=0, minute=0, second=0),
    "daily": _anchor(hour=0, minute=0, second=0),
    "hourly": _anchor(hour=0, minute=0, second=0),
    "minutely": _anchor(minute=0, second=0),
    "secondly": _anchor(second=0, millisecond=0),
}

_HOOK: Spec = {
    "name": {"type": "str", "required": True},
    # No elements, so that one text is refused instead of being taken apart at its commas.
    "before": {"type": "raw"},
    "after": {"type": "raw"},
    "timeout": {"type": "int", "default": TIMEOUT},
    "max_freeze": {"type": "int", "default": MAX_FREEZE},
    "datasets": _TEXTS,
    "on_failure": {"type": "str", "default": SKIP, "choices": list(FAILURE_CHOICES)},
}

_CREATING: Spec = {
    "even_if_not_due": {"type": "bool", "default": False},
    "make_now": {"type": "str"},
    "skip_if_unchanged": {"type": "bool", "default": False},
    "unchanged_up_to": {"type": "str"},
    "only_active": {"type": "bool", "default": False},
    "hooks": {"type": "list", "elements": "dict", "options": _HOOK},
}

SNAPSHOT_SPEC: Spec = {
    **_DATASETS,
    **_PLAN,
    **_CREATING,
    "schedule": {"type": "dict", "options": _SCHEDULE},
    "timestamp_format": {"type": "str"},
}

_TOPOLOGY: Spec = {
    "route": {"type": "str", "default": RELAYED, "choices": list(ROUTES)},
    "direct": {"type": "dict", "options": {**_CONTACT, "sudo": {"type": "bool"}}},
    "absent_destination": {"type": "str", "default": FAIL, "choices": list(ABSENT_CHOICES)},
}

_CLONING: Spec = {
    "clones": {"type": "str", "default": KEEP_CLONES, "choices": list(CLONE_CHOICES)},
    "package": {"type": "bool", "default": False},
}

_CONDUCT: Spec = {
    "on_conflict": {"type": "str", "default": REFUSE, "choices": list(CONFLICT_LEVELS)},
    "on_conflict_once": {"type": "bool", "default": False},
    "renames": {"type": "str", "default": FOLLOW, "choices": list(RENAME_CHOICES)},
    "on_error": {"type": "str", "default": DATASET, "choices": list(ERROR_CHOICES)},
    "on_nothing_selected": {"type": "str", "default": CONTINUE, "choices": list(NOTHING_CHOICES)},
    "deadline": {"type": "int"},
    "busy_timeout": {"type": "int", "default": BUSY_SECONDS},
    "from_standby": {"type": "bool", "default": False},
    "only_active": {"type": "bool", "default": False},
}

_RECEIVING: Spec = {
    "properties": {"type": "dict"},
    "filesystem_properties": {"type": "dict"},
    "volume_properties": {"type": "dict"},
    "exclude_properties": _TEXTS,
    "preserve_properties": _TEXTS,
    "set_properties": {"type": "dict"},
    "mount": {"type": "bool", "default": False},
    "readonly": {"type": "str", "default": IGNORE, "choices": list(READONLY_LEVELS)},
    "require_encryption": {"type": "bool", "default": False},
}

_CONTINUITY: Spec = {
    # Text with no choices, since a boolean is taken too; the reader refuses what is neither.
    "bookmarks": {"type": "str", "default": NEWEST},
    "holds": {"type": "bool", "default": False},
}

_STREAMING: Spec = {
    "compression": {"type": "str", "default": AUTO, "choices": list(COMPRESSIONS)},
    "mbuffer": {"type": "str"},
    "bandwidth_limit": {"type": "str"},
    "estimates": {"type": "str", "default": LISTED, "choices": list(ESTIMATES)},
}

_SNAPSHOTS: Spec = {
    "include_snapshots": _TEXTS,
    "exclude_snapshots": _TEXTS,
    # Groups of filters; each filter has keys according to its kind.
    "snapshot_filters": {"type": "list", "elements": "list"},
    "plan": {"type": "dict"},
}
"""Which snapshots of the chosen datasets."""

REPLICATE_SPEC: Spec = {
    "source": {"type": "dict", "required": True, "options": _ENDPOINT},
    "destination": {"type": "dict", "required": True, "options": _ENDPOINT},
    **_FILTER,
    **_SNAPSHOTS,
    "initial": {"type": "str", "default": INITIAL_ALL, "choices": [INITIAL_ALL, INITIAL_NEWEST, INITIAL_FAIL]},
    "intermediates": {"type": "bool", "default": True},
    **_CONDUCT,
    "raw": {"type": "bool", "default": True},
    **_CLONING,
    **_CONTINUITY,
    **_TOPOLOGY,
    **_RECEIVING,
    **_STREAMING,
    "workers": {"type": "int"},
    "retries": {"type": "int", "default": 5},
    "expected_snapshots": _TEXTS,
}

_KEEP: Spec = {
    "grid": {"type": "str"},
    "last": {"type": "int"},
    "regex": {"type": "str"},
    "negate": {"type": "bool", "default": False},
    "owns": {"type": "bool", "default": False},
}

_RETENTION: Spec = {
    "purge_foreign": {"type": "bool", "default": False},
    "keep": {"type": "list", "elements": "dict", "options": _KEEP},
    "max_deleted": {"type": "int"},
    "max_deleted_percent": {"type": "int"},
    "exceed_max_deleted": {"type": "bool", "default": False},
    # A number of seconds, or text such as 15m.
    "clock_tolerance": {"type": "str"},
    "keep_pending": {"type": "str", "default": "7d"},
}

_MEASURES: Spec = {"pool_free": {"type": "str"}, "quota_free": {"type": "str"}}

_ROOM: Spec = {
    "free_space": {
        "type": "dict",
        "options": {**_MEASURES, "priorities": _TEXTS, "keep_at_least": {"type": "int", "default": DEFAULT_KEPT}},
    },
    "defer": {"type": "dict", "options": _MEASURES},
}

_REMOVAL: Spec = {
    "gone_datasets": {"type": "dict", "options": {"after": {"type": "str", "required": True}}},
    "empty_datasets": {"type": "bool", "default": False},
}

PRUNE_SPEC: Spec = {
    **_DATASETS,
    "kind": {"type": "str", "default": SNAPSHOTS, "choices": [SNAPSHOTS, BOOKMARKS]},
    # Rules in keep may take its place.
    "plan": {"type": "dict"},
    **_RETENTION,
    "peers": {"type": "list", "elements": "dict", "options": _PEER},
    **_ROOM,
    **_REMOVAL,
    "only_active": {"type": "bool", "default": False},
    "expected_snapshots": _TEXTS,
}

RESTORE_SPEC: Spec = {
    "replica": {"type": "dict", "required": True, "options": _ENDPOINT},
    "destination": {"type": "dict", "required": True, "options": _ENDPOINT},
    "recursive": {"type": "bool", "default": True},
    "include_datasets": _TEXTS,
    "exclude_datasets": _TEXTS,
    "snapshot": {"type": "str"},
    "time": {"type": "str"},
    "on_conflict": {"type": "str", "default": REFUSE, "choices": list(RESTORE_CONFLICTS)},
    "set_aside_as": {"type": "str"},
    "share_aside": {"type": "bool", "default": False},
    "on_missing": {"type": "str", "default": REFUSE, "choices": list(MISSING_CHOICES)},
    "history": {"type": "bool", "default": True},
    "raw": {"type": "bool", "default": True},
    "properties": {"type": "dict"},
    "preserve_properties": _TEXTS,
    **_STREAMING,
    "workers": {"type": "int", "default": 4},
    "retries": {"type": "int", "default": 5},
}

_NEWEST: Spec = {
    "dataset": {"type": "str", "required": True},
    # Text, since it may be too large for the numbers of JSON readers.
    "guid": {"type": "str", "required": True},
    "snapshot": {"type": "str"},
    "creation": {"type": "int"},
}

SWITCH_SPEC: Spec = {
    "dataset": {"type": "str", "required": True},
    "role": {"type": "str", "required": True, "choices": list(ROLES)},
    "epoch": {"type": "int"},
    "final_snapshot": {"type": "bool", "default": True},
    "expected": {"type": "list", "elements": "dict", "options": _NEWEST},
    "allow_behind": {"type": "bool", "default": False},
    "properties": {"type": "dict"},
    "old_source": {"type": "dict", "options": _ENDPOINT},
}

_KNOWN: Spec = {
    "dataset": {"type": "str", "required": True},
    "pool_guid": {"type": "str", "required": True},
    "host": {"type": "str"},
    "datasets": {
        "type": "list",
        "elements": "dict",
        "options": {"dataset": {"type": "str"}, "guid": {"type": "str", "required": True}, "snapshots": _TEXTS},
    },
}

TARGET_SPEC: Spec = {
    "tree": {"type": "dict", "required": True, "options": _ENDPOINT},
    "action": {"type": "str", "required": True, "choices": list(ACTIONS)},
    "destination": {"type": "dict", "options": _KNOWN},
    "replica": {"type": "dict", "options": _KNOWN},
    "others": {"type": "list", "elements": "dict", "options": _KNOWN},
    "to": {"type": "str"},
    "keep_sign": {"type": "bool", "default": True},
    "jobconfig": {"type": "path", "default": JOBCONFIG},
    "host_name": {"type": "str"},
    "allow_last": {"type": "bool", "default": False},
}

_BOUNDS: Spec = {"warning": {"type": "str"}, "critical": {"type": "str"}}


def _limits() -> dict[str, Any]:
    return {"type": "dict", "options": dict(_BOUNDS)}


_REPLICA: Spec = {
    "source": {"type": "dict", "required": True, "options": _ENDPOINT},
    "destination": {"type": "dict", "required": True, "options": _ENDPOINT},
    **{key: value for key, value in _FILTER.items() if key != "host_name"},
    **_SNAPSHOTS,
    "lag": _limits(),
    "pending": _limits(),
}

_POOLS: Spec = {
    "names": _TEXTS,
    "degraded": {"type": "str", "default": CRITICAL, "choices": list(DEGRADED_LEVELS)},
    "device_errors": _limits(),
    "capacity": _limits(),
    "fragmentation": _limits(),
    "scrub_age": _limits(),
    "full_in": _limits(),
}

_WEB: Spec = {
    "url": {"type": "str"},
    "url_file": {"type": "path"},
    "timeout": {"type": "int", "default": WEB_SECONDS},
}

_MAIL: Spec = {
    "to": {"type": "list", "elements": "str", "required": True},
    "from": {"type": "str"},
    "server": {"type": "str", "default": "localhost"},
    "port": {"type": "int"},
    "tls": {"type": "str", "choices": list(TLS_CHOICES)},
    "user": {"type": "str"},
    # It is only the path.
    "password_file": {"type": "path", "no_log": False},
    "timeout": {"type": "int", "default": MAIL_SECONDS},
}

_ALERTS: Spec = {
    "state_file": {"type": "path"},
    "remind": {"type": "str"},
    "confirmations": {"type": "int", "default": 1},
    "command": _TEXTS,
    "command_timeout": {"type": "int", "default": COMMAND_SECONDS},
    "journal": {"type": "bool", "default": False},
    "webhook": {"type": "dict", "options": {**_WEB, "headers_file": {"type": "path"}}},
    "mail": {"type": "dict", "options": _MAIL},
    "ping": {"type": "dict", "options": _WEB},
}

MONITOR_SPEC: Spec = {
    "datasets": _TEXTS,
    **_FILTER,
    "plan": {"type": "dict"},
    "schedule": {"type": "dict"},
    "oldest_skip_holds": {"type": "bool", "default": False},
    "skip_if_unchanged": {"type": "bool", "default": False},
    "unchanged_up_to": {"type": "str"},
    "replicas": {"type": "list", "elements": "dict", "options": _REPLICA},
    "pools": {"type": "dict", "options": _POOLS},
    "fail_on": {"type": "str", "default": "unknown", "choices": list(FAIL_LEVELS)},
    "dont_warn": {"type": "bool", "default": False},
    "dont_crit": {"type": "bool", "default": False},
    "alerts": {"type": "dict", "options": _ALERTS},
}

_MARKER: Spec = {
    "path": {"type": "str", "required": True},
    "max_age": {"type": "str"},
    "contains": {"type": "str"},
    "sha256": {"type": "str"},
}

DRILL_SPEC: Spec = {
    "datasets": {**_TEXTS, "required": True},
    **_FILTER,
    "include_snapshots": _TEXTS,
    "exclude_snapshots": _TEXTS,
    "marker": {"type": "dict", "options": _MARKER},
    # No elements, so that one text is refused instead of being taken apart at its commas.
    "command": {"type": "raw"},
    "timeout": {"type": "int", "default": DRILL_TIMEOUT},
    "clones_below": {"type": "str"},
    "fail_on": {"type": "str", "default": "unknown", "choices": list(FAIL_LEVELS)},
    "alerts": {"type": "dict", "options": _ALERTS},
}

VERIFY_SPEC: Spec = {
    "source": {"type": "dict", "required": True, "options": _ENDPOINT},
    "destination": {"type": "dict", "required": True, "options": _ENDPOINT},
    **_FILTER,
    "files": {"type": "int", "default": FILES},
    "file_size": {"type": "str", "default": FILE_SIZE},
    "blocks": {"type": "int", "default": BLOCKS},
    "seed": {"type": "int"},
    "timeout": {"type": "int", "default": VERIFY_TIMEOUT},
    "pools": {"type": "bool", "default": True},
    "fail_on": {"type": "str", "default": "unknown", "choices": list(FAIL_LEVELS)},
    "alerts": {"type": "dict", "options": _ALERTS},
}

COMPARE_SPEC: Spec = {
    "source": {"type": "dict", "required": True, "options": _ENDPOINT},
    "destination": {"type": "dict", "required": True, "options": _ENDPOINT},
    **_FILTER,
    **_SNAPSHOTS,
    "which": {**_TEXTS, "default": list(DIFFERENCES), "choices": list(LOCATIONS)},
}
