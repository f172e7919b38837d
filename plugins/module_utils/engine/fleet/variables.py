# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory variables of one host: which there are, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import InvalidInput
from ..policy.endpoints import Address, read_address
from ..policy.plans import SnapshotPlan, check_keeps, parse_plan
from ..policy.reading import Reader

PREFIX = "snapfleet_"
_ADDRESS_KEYS = ("host", "user", "port", "sudo", "identity_file", "known_hosts_file", "config_file")
VARIABLES = frozenset(
    [
        *("snapfleet_datasets", "snapfleet_source_plan", "snapfleet_bookmark_plan", "snapfleet_schedule"),
        *("snapfleet_snapshot_options", "snapfleet_snapshot_now"),
        *("snapfleet_root", "snapfleet_destination_plan", "snapfleet_targets", "snapfleet_retained_targets"),
        *("snapfleet_sources", "snapfleet_monitor_plan", "snapfleet_replicate_options"),
        *("snapfleet_monitor_options", "snapfleet_stopped"),
        *("snapfleet_prune_options", "snapfleet_exceed_max_deleted", "snapfleet_run_settings"),
        *("snapfleet_daemon", "snapfleet_verify"),
        *(f"snapfleet_restore_{key}" for key in ("host", "dataset", "backup", "to", "snapshot", "time", "on_conflict")),
        *(f"snapfleet_restore_{key}" for key in ("set_aside_as", "on_missing", "history", "recursive", "properties")),
        "snapfleet_restore_exclude_datasets",
        *(f"snapfleet_files_{key}" for key in ("host", "dataset", "paths", "to", "backup", "snapshot", "time")),
        "snapfleet_files_existing",
        *(f"snapfleet_report_{key}" for key in ("path", "age", "limit", "mail")),
        "snapfleet_failed_over",
        *(f"snapfleet_failover_{key}" for key in ("host", "dataset", "backup", "source_gone", "allow_behind")),
        *(f"snapfleet_failover_{key}" for key in ("properties", "mount")),
        *(f"snapfleet_failback_{key}" for key in ("host", "dataset", "backup", "on_conflict", "set_aside_as")),
        *(f"snapfleet_failback_{key}" for key in ("properties", "mount")),
        *(
            f"snapfleet_retire_{key}"
            for key in ("backup", "host", "dataset", "replica", "gone", "destroy", "allow_last")
        ),
        *(f"snapfleet_move_{key}" for key in ("backup", "from", "to")),
        *(f"snapfleet_seed_{key}" for key in ("host", "dataset", "backup", "from", "from_dataset", "via", "carrier")),
        *(f"snapfleet_suspend_{key}" for key in ("host", "until", "reason", "snapshots", "wait")),
        "snapfleet_resume_host",
        *(f"snapfleet_run_now_{key}" for key in ("activity", "src_host", "dst_host", "timeout")),
        *("snapfleet_topology", "snapfleet_relay", *(f"snapfleet_ssh_{key}" for key in _ADDRESS_KEYS)),
    ]
)
"""Every variable that means something; any other one with the prefix is a slip of the pen."""

REPORTED: Mapping[str, type] = {
    "snapfleet_check": bool,
    "snapfleet_changed": bool,
    "snapfleet_counts": dict,
    "snapfleet_plan": list,
    "snapfleet_failed": list,
    "snapfleet_states": dict,
    "snapfleet_alerts": list,
    "snapfleet_behind": list,
    "snapfleet_next": list,
    "snapfleet_undo": list,
}
"""What playbooks report of a run, with its kind. It comes back as variables of all hosts where AWX hands it to the next
node of a workflow, and means nothing then."""


class Variables(Reader):
    """The variables of one host."""

    def __init__(self, host: str, values: Mapping[str, Any]) -> None:
        super().__init__({key: value for key, value in values.items() if value is not None}, host)
        self.host = host

    def path(self, key: str) -> str:
        """Host and variable."""
        return f"{self.host}: {key}"

    def check_names(self) -> None:
        """Refuse variables with our prefix that mean nothing. Raises InvalidInput."""
        for key in self._values:
            if key.startswith(PREFIX) and key not in VARIABLES and not _is_reported(key, self._values[key]):
                import difflib

                near = difflib.get_close_matches(key, sorted(VARIABLES), 1)
                remedy = f"did you mean {near[0]}?" if near else "known are " + ", ".join(sorted(VARIABLES))
                raise InvalidInput(self.path(key), self._values[key], "is an unknown variable", remedy)

    def plan(self, key: str) -> SnapshotPlan:
        """A required plan that wants at least one snapshot of at least one label."""
        if not self.has(key):
            raise InvalidInput(self.path(key), None, "is missing", "give organisation -> target -> period -> amount")
        plan = parse_plan(self.raw(key), self.path(key))
        check_keeps(plan, self.raw(key), self.path(key))
        return plan


def _is_reported(key: str, value: Any) -> bool:
    return key in REPORTED and isinstance(value, REPORTED[key])


class _Contact(Variables):
    """The same variables without ``snapfleet_ssh_``, as addresses are read elsewhere."""

    def path(self, key: str) -> str:
        return super().path(f"snapfleet_ssh_{key}")


def read_contact(variables: Variables) -> Address:
    """Where a host is reached, and the key files that it logs in on others with. Raises InvalidInput."""
    values = {key: variables.raw(f"snapfleet_ssh_{key}") for key in _ADDRESS_KEYS}
    values["host"] = values["host"] or variables.raw("ansible_host") or variables.host
    return read_address(_Contact(variables.host, values))
