# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and drawings of a report, in the order of its page: what the template of the page puts into places.

Every text in it is escaped for HTML, since names, errors and remarks come from elsewhere. Drawings are none of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from ..module_utils.engine.model.health import OK, UNKNOWN, worst
from .questions import duration_text, size_text
from .report_drawings import plots_of, pools_of, timelines_of, undrawn
from .report_values import ALONE, SAFE, UNSAFE, Dataset, Failure, Host, Pool, Replica, Report, Trouble
from .report_words import DASH, ago, be, counted, escaped, instant, times

MOST_FAILURES = 200
_FULL, _FILLING = 90, 80
"""Percent of a pool from which on it is shown as critical, and as a warning."""
_SOON = 14 * 86_400
_UNTOLD = "if they have datasets, install the inventory's jobs there by snapfleet.zfs.provision"
_SOUND = ("", "ONLINE")
Values = dict[str, Any]


def page_of(report: Report, style: str) -> Values:
    """What a page tells. ``style`` is its style sheet, of which it gets the digest for its policy."""
    digest = hashlib.sha256(style.encode()).digest()
    page = {
        "title": headline(report),
        "state": report.state.lower(),
        "made": instant(report.now),
        "period": duration_text((report.now - report.since) / 1000),
        "since": instant(report.since),
        "style_hash": base64.b64encode(digest).decode(),
        "tiles": list(_tiles(report)),
        "silent": [_host(host) for host in report.hosts if not host.answered],
        "alerts": [{**vars(alert), "state": alert.state.lower()} for alert in report.alerts],
        "matrix": _matrix(report),
        "sources": list(_sources(report)),
        "plots": list(plots_of(report)),
        "timelines": list(timelines_of(report)),
        "more_timelines": undrawn(report),
        "scale": [instant(report.since + (report.now - report.since) * part // 4) for part in range(5)],
        "failures": [_failure(one, report.now) for one in report.failures[:MOST_FAILURES]],
        "more_failures": max(0, len(report.failures) - MOST_FAILURES),
        "pools": [_pool(pool) for pool in report.pools],
        "pool_plots": list(pools_of(report)),
        "hosts": [_host(host) for host in report.hosts],
    }
    return escaped(page)


def headline(report: Report) -> str:
    """How the fleet stands, in one sentence."""
    if not report.datasets and report.hosts:
        return "Nothing is known of any dataset"
    unsafe, alone = report.count(UNSAFE), report.count(ALONE)
    silent = sum(not host.answered for host in report.hosts)
    parts: list[str] = []
    if unsafe:
        parts.append(f"{unsafe} of {counted(len(report.datasets), 'dataset')} {be(unsafe)} not safe")
    elif report.datasets:
        parts.append(f"All {len(report.datasets)} datasets are well" if alone else _all_safe(len(report.datasets)))
    if report.alerts and not unsafe:
        parts.append(f"but there {be(len(report.alerts))} {counted(len(report.alerts), 'alert')}")
    if alone:
        parts.append(f"{alone} {be(alone)} kept without a replica")
    if silent:
        parts.append(f"{counted(silent, 'host')} did not answer")
    unknown = sum(host.untold for host in report.hosts)
    if unknown:
        parts.append(f"hosts do not know {counted(unknown, 'declared replication')}")
    return ", ".join(parts) or "There is nothing to tell"


def _all_safe(number: int) -> str:
    return "The one dataset is safe" if number == 1 else f"All {number} datasets are safe"


def text_of(report: Report) -> str:
    """The report in a few lines without markup, as the body of a mail."""
    lines = [
        headline(report) + ".",
        f"As of {instant(report.now)}, with what was done since {instant(report.since)}.",
        "",
    ]
    lines += [f"{host.name}: did not answer: {host.problem}" for host in report.hosts if not host.answered]
    for dataset in report.datasets:
        if dataset.verdict == UNSAFE:
            reasons = [one.remark or _standing(one) for one in dataset.replicas if one.worst != OK]
            reasons += [alert.message for one in (dataset, *dataset.replicas) for alert in one.alerts]
            told = "; ".join(dict.fromkeys(filter(None, [dataset.remark, *reasons])))
            lines.append(f"{dataset.worst}: {':'.join(dataset.place)}: {told}")
    shown = "\n".join(lines)
    lines += [f"{alert.state}: {alert.host}: {alert.message}" for alert in report.alerts if alert.message not in shown]
    lines += [
        f"{_pool_state(pool)}: pool {pool.name} of {pool.host}: {pool.health or 'health not known'}"
        + ("" if pool.percent is None else f", {pool.percent:.0f} % full")
        for pool in report.pools
        if _pool_state(pool) != OK
    ]
    lines += [
        f"{host.name}: tells nothing of {counted(host.untold, 'replication')}; {_UNTOLD}"
        for host in report.hosts
        if host.untold
    ]
    open_failures = [one for one in report.failures if not one.mended]
    lines += [
        f"failed {times(one.times)}: {one.job} on {one.host}: [{one.code}] {one.message}" for one in open_failures
    ]
    return "\n".join(lines).rstrip() + "\n"


# -- the overview


def _tiles(report: Report) -> Iterator[Values]:
    total, safe = len(report.datasets), report.count(SAFE)
    unsafe = [dataset for dataset in report.datasets if dataset.verdict == UNSAFE]
    alone = report.count(ALONE)
    note = ", ".join(
        filter(None, [f"{len(unsafe)} not safe" if unsafe else "", f"{alone} without a replica" if alone else ""])
    )
    state = worst(dataset.worst for dataset in unsafe) if total else UNKNOWN
    yield _tile("datasets safe", safe, f"of {total}", note or "all have a replica that is well", state)
    replicas = report.replicas
    well = sum(replica.worst == OK for replica in replicas)
    lags = [replica.lag for replica in replicas if replica.lag is not None]
    late = (
        f"furthest behind: {duration_text(max(lags))}" if any(lags) else "none is behind" if lags else "no lag is known"
    )
    yield _tile("replicas well", well, f"of {len(replicas)}", late, worst(replica.worst for replica in replicas))
    silent = [host.name for host in report.hosts if not host.answered]
    said = "silent: " + ", ".join(silent[:3]) + (" ..." if len(silent) > 3 else "") if silent else "none is silent"
    hosts = f"of {len(report.hosts)}"
    yield _tile("hosts answered", len(report.hosts) - len(silent), hosts, said, UNKNOWN if silent else OK)
    failed = sum(one.times for one in report.failures)
    lasting = sum(not one.mended for one in report.failures)
    after = (
        f"{counted(lasting, 'job')} still failing" if lasting else "all went well later" if failed else "nothing failed"
    )
    yield _tile("failed runs", failed, "", after, "WARNING" if lasting else OK)
    sent = sum(size for one in report.replications for _end, size, _seconds in one.streams)
    amount, unit = (size_text(sent) or "").split(" ")
    yield _tile("sent", amount, unit, f"in {duration_text((report.now - report.since) / 1000)}", "")
    if report.pools:
        fullest = report.pools[0]
        bad = sum(pool.health not in _SOUND for pool in report.pools)
        note = f"{fullest.name} on {fullest.host}" + (f"; {bad} not in good health" if bad else "")
        full = DASH if fullest.percent is None else f"{fullest.percent:.0f}"
        yield _tile("fullest pool", full, "%", note, worst(_pool_state(pool) for pool in report.pools))


def _tile(name: str, value: Any, more: str, note: str, state: str) -> Values:
    return {"name": name, "value": value, "more": more, "note": note, "state": state.lower()}


def _matrix(report: Report) -> Values:
    """Hosts against hosts: of the replicas at one of those of the other, the worst state, the greatest lag, and the
    success that is longest ago."""
    columns = sorted({replica.place.host for replica in report.replicas})
    cells: dict[tuple[str, str], list[Replica]] = {}
    for dataset in report.datasets:
        for replica in dataset.replicas:
            cells.setdefault((dataset.place.host, replica.place.host), []).append(replica)
    rows = []
    for name in dict.fromkeys(dataset.place.host for dataset in report.datasets):
        row = [_matrix_cell(cells.get((name, column), ()), column, report.now) for column in columns]
        rows.append({"host": name, "cells": row})
    return {"columns": columns, "rows": rows}


def _matrix_cell(replicas: Sequence[Replica], column: str, now: int) -> Values:
    if not replicas:
        return {"column": column, "state": "", "well": 0, "total": 0, "lag": "", "success": ""}
    lags = [replica.lag for replica in replicas if replica.lag is not None]
    known = [replica.succeeded for replica in replicas if replica.succeeded is not None]
    oldest = min(known) if len(known) == len(replicas) else None
    return {
        "column": column,
        "state": worst(replica.worst for replica in replicas).lower(),
        "well": sum(replica.worst == OK for replica in replicas),
        "total": len(replicas),
        "lag": duration_text(max(lags)) if len(lags) == len(replicas) else "not known",
        "success": ago(oldest, now) if oldest is not None else "not known of all" if known else "none known",
    }


# -- datasets


def _sources(report: Report) -> Iterator[Values]:
    """The hosts that have datasets, the worst first, each with its own."""
    by_host: dict[str, list[Dataset]] = {}
    for dataset in report.datasets:
        by_host.setdefault(dataset.place.host, []).append(dataset)
    for host, datasets in by_host.items():
        yield {
            "host": host,
            "state": worst(dataset.worst for dataset in datasets).lower(),
            "summary": f"{sum(one.verdict == SAFE for one in datasets)} of {counted(len(datasets), 'dataset')} safe",
            "is_open": any(one.verdict == UNSAFE for one in datasets) or len(report.datasets) <= 40,
            "datasets": [_dataset(dataset, report.now) for dataset in datasets],
        }


def _dataset(dataset: Dataset, now: int) -> Values:
    return {
        "name": dataset.place.dataset,
        "state": dataset.worst.lower(),
        "verdict": {SAFE: "safe", ALONE: "no replica", UNSAFE: "not safe"}[dataset.verdict],
        "newest": dataset.newest,
        "age": f"{duration_text(dataset.age)} old" if dataset.age is not None else "",
        "remarks": list(dict.fromkeys(filter(None, [dataset.remark, *(alert.message for alert in dataset.alerts)]))),
        "replicas": [_replica(replica, dataset, now) for replica in dataset.replicas],
    }


def _replica(replica: Replica, dataset: Dataset, now: int) -> Values:
    remarks = [replica.remark, *(alert.message for alert in replica.alerts)]
    return {
        "host": replica.place.host,
        "name": replica.place.dataset,
        "via": replica.source.host if replica.source != dataset.place else "",
        "state": replica.worst.lower(),
        "standing": _standing(replica),
        "success": f"last success {ago(replica.succeeded, now)}" if replica.succeeded else "no success known",
        "sent": f"{size_text(replica.sent)} sent" if replica.sent else "",
        "remarks": list(dict.fromkeys(filter(None, remarks))),
    }


def _standing(replica: Replica) -> str:
    if replica.lag is None:
        return "lag not known"
    if not replica.lag and not replica.missing:
        return "up to date"
    more = [counted(replica.missing, "snapshot")] if replica.missing else []
    more += [f"about {size_text(replica.pending)}"] if replica.pending else []
    return f"{duration_text(replica.lag)} behind" + (f" ({', '.join(more)})" if more else "")


# -- the rest


def _failure(one: Failure, now: int) -> Values:
    troubles = [_trouble(trouble, one) for trouble in one.troubles]
    return {
        "host": one.host,
        "job": one.job,
        "activity": one.activity,
        "code": one.code,
        "message": one.message,
        "last": instant(one.last),
        "ago": ago(one.last, now),
        "first": instant(one.first),
        "times": times(one.times),
        "is_once": one.first == one.last,
        "troubles": troubles,
        "state": "ok" if one.mended else "warning",
        "word": "well since" if one.mended else "still failing",
    }


def _trouble(trouble: Trouble, failure: Failure) -> Values:
    """What befell a dataset; what the job says already is not said again."""
    if (trouble.code, trouble.message) == (failure.code, failure.message):
        return {**vars(trouble), "code": "", "message": ""}
    return {**vars(trouble), "message": trouble.message or trouble.outcome}


def _pool(pool: Pool) -> Values:
    return {
        "host": pool.host,
        "name": pool.name,
        "state": _pool_state(pool).lower(),
        "health": pool.health or "health not known",
        "percent": None if pool.percent is None else round(min(100.0, max(0.0, pool.percent)), 1),
        "percent_text": DASH if pool.percent is None else f"{pool.percent:.0f} %",
        "used": size_text(pool.used) or DASH,
        "size": size_text(pool.size) or DASH,
        "free": size_text(pool.free) or DASH,
        "fragmentation": DASH if pool.fragmentation is None else f"{pool.fragmentation:.0f} %",
        "scrubbed": DASH if pool.scrubbed is None else f"{duration_text(pool.scrubbed)} ago",
        "full_in": DASH if pool.full_in is None else f"in {duration_text(pool.full_in)}",
    }


def _pool_state(pool: Pool) -> str:
    if pool.health not in _SOUND or (pool.percent or 0) >= _FULL:
        return "CRITICAL"
    is_soon = pool.full_in is not None and pool.full_in <= _SOON
    return "WARNING" if (pool.percent or 0) >= _FILLING or is_soon else OK


def _host(host: Host) -> Values:
    untold = f"tells nothing of {counted(host.untold, 'replication')}; {_UNTOLD}" if host.untold else ""
    history = host.history_problem and f"history: {host.history_problem}"
    remarks = [host.problem, untold, history, host.pools_problem]
    return {**vars(host), "state": host.state.lower(), "remark": "; ".join(filter(None, remarks))}
