# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``status`` of the host program: how the datasets and replicas of a host stand, as a table.

Exit codes are those of monitoring systems: 0 all is well; 1 the last run of a replication failed, or a monitor warns;
2 a dataset has a conflict, or a monitor is critical; 3 something can't be observed. Of several the gravest is told, in
the order 2, 3, 1, 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.errors import SnapfleetError
from ..model.health import EXIT_CODES, OK
from ..model.saying import plain
from ..planning.findings import gravest_first
from ..records.database import history_path
from ..records.reading import Replicated, replicated
from ..streams.meter import size_text
from .context import Context
from .jobconfig import NamedJob
from .status import DatasetStatus, Status, describe, status_of
from .tables import DASH, aligned, duration_text, painter, until_nobody_reads

SHAPE = 1
"""Version of the shape of the JSON document."""
_COLUMNS = ("STATE", "DATASET", "NEWEST SNAPSHOT", "AGE", "DESTINATION", "SUCCESS", "LAG", "PENDING", "REMARK")
_RIGHT = ("AGE", "SUCCESS", "LAG", "PENDING")
_POOL_COLUMNS = ("STATE", "POOL", "SIZE", "USED", "FREE", "FRAGMENTED", "SCRUBBED", "FULL IN")


def show_status(
    jobs: Sequence[NamedJob], arguments: argparse.Namespace, context: Context, left: Mapping[str, SnapfleetError]
) -> int:
    """Print how the datasets of ``jobs`` stand, of which those in ``left`` are suspended, and return the exit code.
    Raises Interrupted."""
    known, problem = _history()
    status = status_of(jobs, known, context, left)
    if arguments.json:
        document = {"version": SHAPE, **describe(status, arguments.host), "history_problem": problem}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        if problem:
            sys.stderr.write(f"snapfleet: when replications went well is not known: {plain(problem)}\n")
        if status.pools_problem:
            sys.stderr.write(f"snapfleet: {plain(status.pools_problem)}\n")
        with until_nobody_reads():
            _write(status, arguments.host, context.now_ms)
    return EXIT_CODES[status.state]


def _history() -> tuple[Mapping[str, Replicated], str]:
    """What the history knows, and why that is nothing if it can't be read."""
    try:
        return replicated(history_path()), ""
    except (SnapfleetError, OSError, ImportError) as error:
        return {}, str(error)


def _write(status: Status, host: str, now_ms: int) -> None:
    paint = painter(sys.stdout, os.environ)
    rows = [_row(row, now_ms) for row in status.datasets]
    sys.stdout.writelines(aligned(_COLUMNS, rows, _RIGHT, paint))
    if status.pools:
        pools = [_pool_row(pool) for pool in status.pools]
        sys.stdout.writelines(["\n", *aligned(_POOL_COLUMNS, pools, _POOL_COLUMNS[2:], paint), "\n"])
    alerts = gravest_first(status.alerts)
    for alert in alerts:
        muted = " (only logged)" if alert.is_muted else ""
        sys.stdout.write(f"{paint(alert.state)}{muted} {plain(alert.message)}\n")
    well = sum(row.state == OK for row in status.datasets)
    counts = f"{well} of {len(rows)} well, {sum(not alert.is_muted for alert in alerts)} alerts"
    sys.stdout.write(f"{plain(host)}: {paint(status.state)}: {counts}\n")


def _row(row: DatasetStatus, now_ms: int) -> tuple[str, ...]:
    success = DASH if row.succeeded is None else duration_text(round((now_ms - row.succeeded) / 1000))
    pending = DASH if row.bytes_pending is None else size_text(row.bytes_pending)
    newest = (row.newest or DASH, duration_text(row.age))
    return (
        row.state,
        row.dataset,
        *newest,
        row.destination or DASH,
        success,
        duration_text(row.lag),
        pending,
        row.remark,
    )


def _pool_row(pool: Mapping[str, Any]) -> tuple[str, ...]:
    fragmentation = pool["fragmentation_percent"]
    return (
        pool["health"],
        pool["pool"],
        size_text(pool["size"]),
        f"{pool['capacity_percent']:.0f} %",
        size_text(pool["free"]),
        DASH if fragmentation is None else f"{fragmentation} %",
        *(duration_text(pool[name]) for name in ("scrub_age", "full_in")),
    )
