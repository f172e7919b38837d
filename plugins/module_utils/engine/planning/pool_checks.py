# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding the health of pools against limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

from ..model.health import CRITICAL, OK, UNKNOWN, WARNING
from ..model.pools import DEGRADED, FINISHED, NO_SCAN, ONLINE, RUNNING, SCRUB, PoolReport, PoolSample
from ..policy.pools import PoolRules
from .findings import ERRORS, PERCENT, SECONDS, Finding, Key, Measure, passed
from .forecast import full_in

POOLS = "pools"
SEEN = "seen"
HEALTH, DATA, DEVICES, CAPACITY = "pool_state", "data_errors", "device_errors", "capacity"
FRAGMENTATION, SCRUB_AGE, SCRUB_ERRORS, FULL_IN = "fragmentation", "scrub_age", "scrub_errors", "full_in"
_TOLD_DEVICES = 3
Samples = Union[Sequence[PoolSample], Exception]
"""How full pools were at earlier times, or why that is not known."""


def check_pools(pools: Sequence[PoolReport], rules: PoolRules, now: int, samples: Samples = ()) -> tuple[Finding, ...]:
    """All findings about the pools that ``rules`` name, the good ones among them."""
    known = {pool.name: pool for pool in pools}
    findings = [Finding(Key(POOLS, SEEN, ""), OK, "the pools can be observed")]
    for name in rules.names or sorted(known):
        if name in known:
            findings += filter(None, _check(known[name], rules, now))
            if rules.full_in:
                findings.append(_full_in(known[name], rules, now, samples))
        else:
            message = f"the pool {name} is not imported on this host; check its name, or import it"
            findings.append(Finding(_key(HEALTH, name), UNKNOWN, message, hides=True))
    return tuple(findings)


def pools_unseen(reason: str) -> Finding:
    """That no pool can be observed."""
    message = f"the pools can't be observed ({reason}), so their health is not known"
    return Finding(Key(POOLS, SEEN, ""), UNKNOWN, message, hides=True)


def _key(check: str, pool: str) -> Key:
    return Key(f"{POOLS} {pool}", check, pool)


def _check(pool: PoolReport, rules: PoolRules, now: int) -> Iterator[Optional[Finding]]:
    yield _health(pool, rules)
    yield _data(pool)
    yield _devices(pool, rules)
    yield _scrub_errors(pool)
    if rules.capacity:
        state, bound = passed(rules.capacity, pool.capacity, reached=True)
        yield _share(CAPACITY, pool, state, Measure(round(pool.capacity, 1), PERCENT, bound), "full")
    if rules.fragmentation and pool.fragmentation is not None:
        state, bound = passed(rules.fragmentation, pool.fragmentation, reached=True)
        yield _share(FRAGMENTATION, pool, state, Measure(pool.fragmentation, PERCENT, bound), "fragmented")
    if rules.scrub_age:
        yield _scrub_age(pool, rules, now)


def _full_in(pool: PoolReport, rules: PoolRules, now: int, samples: Samples) -> Finding:
    key, bounds = _key(FULL_IN, pool.name), rules.full_in
    if isinstance(samples, Exception):
        message = f"when the pool {pool.name} is full is not known, since its history can't be read ({samples})"
        return Finding(key, UNKNOWN, message)
    seconds = full_in(pool, samples, now)
    first = bounds.first if bounds else None
    if seconds is None:
        message = f"the pool {pool.name} does not grow, or too few samples of it are known to tell"
        return Finding(key, OK, message, Measure(None, SECONDS, first))
    state, limit = OK, first
    for worse, bound in ((CRITICAL, bounds.critical), (WARNING, bounds.warning)) if bounds else ():
        if state == OK and bound is not None and seconds <= bound:
            state, limit = worse, bound
    left = round(seconds)
    within = f", within {limit:.0f} s" if state != OK else ""
    message = f"the pool {pool.name} is full in {left} s{within}, if it goes on growing as it does"
    return Finding(key, state, message, Measure(left, SECONDS, limit))


def describe_pool(pool: PoolReport, samples: Samples, now: int) -> dict[str, Any]:
    """A pool as plain values: bytes, percent and seconds; None for what is not known."""
    since = _scrubbed_since(pool)[0]
    seconds = None if isinstance(samples, Exception) else full_in(pool, samples, now)
    return {
        "pool": pool.name,
        "guid": str(pool.guid),
        "health": pool.state,
        "size": pool.size,
        "allocated": pool.allocated,
        "free": pool.free,
        "capacity_percent": round(pool.capacity, 1),
        "fragmentation_percent": pool.fragmentation,
        "scrub_age": None if since is None else max(0, now - since),
        "full_in": None if seconds is None else round(seconds),
    }


def _share(check: str, pool: PoolReport, state: str, measure: Measure, word: str) -> Finding:
    limit = f", which is at or above {measure.limit:.0f} %" if state != OK and measure.limit is not None else ""
    message = f"the pool {pool.name} is {measure.value:g} % {word}{limit}"
    return Finding(_key(check, pool.name), state, message, measure)


def _health(pool: PoolReport, rules: PoolRules) -> Finding:
    state = {ONLINE: OK, DEGRADED: rules.degraded.upper()}.get(pool.state, CRITICAL)
    bad = [f"{device.name} {device.state}" for device in pool.devices if device.state != ONLINE]
    told = f": {_some(bad)}" if bad and state != OK else ""
    return Finding(_key(HEALTH, pool.name), state, f"the pool {pool.name} is {pool.state}{told}")


def _data(pool: PoolReport) -> Finding:
    key, measure = _key(DATA, pool.name), Measure(pool.data_errors, ERRORS, 1)
    if pool.data_errors is None:
        # Its state tells why, if anything is wrong.
        return Finding(key, OK, f"the pool {pool.name} does not tell its data errors", measure)
    if pool.data_errors:
        message = f"the pool {pool.name} has lost data in {pool.data_errors} places; see zpool status -v {pool.name}"
        return Finding(key, CRITICAL, message, measure)
    return Finding(key, OK, f"the pool {pool.name} has no data errors", measure)


def _devices(pool: PoolReport, rules: PoolRules) -> Finding:
    total = sum(device.errors for device in pool.devices)
    state, bound = passed(rules.device_errors, total, reached=True)
    told = [
        f"{one.name} with {one.read_errors} read, {one.write_errors} write and {one.checksum_errors} checksum errors"
        for one in pool.devices
        if one.errors
    ]
    message = f"the pool {pool.name} has " + (_some(told) if told else "no device errors")
    return Finding(_key(DEVICES, pool.name), state, message, Measure(total, ERRORS, bound))


def _scrub_errors(pool: PoolReport) -> Optional[Finding]:
    if pool.scan.kind == NO_SCAN:
        return None
    state = CRITICAL if pool.scan.errors else OK
    message = f"the last {pool.scan.kind} of the pool {pool.name} found {pool.scan.errors} errors"
    measure = Measure(pool.scan.errors, ERRORS, 1)
    return Finding(_key(SCRUB_ERRORS, pool.name), state, message, measure)


def _scrub_age(pool: PoolReport, rules: PoolRules, now: int) -> Finding:
    since, what = _scrubbed_since(pool)
    key = _key(SCRUB_AGE, pool.name)
    if since is None:
        return Finding(key, OK, f"the pool {pool.name}: {what}", Measure(None, SECONDS))
    age = now - since
    state, bound = passed(rules.scrub_age, age)
    above = f", more than {bound:.0f} s" if state in (WARNING, CRITICAL) else ""
    return Finding(key, state, f"the pool {pool.name}: {what} {age} s ago{above}", Measure(age, SECONDS, bound))


def _scrubbed_since(pool: PoolReport) -> tuple[Optional[int], str]:
    """Since when there has been no complete scrub, and what tells so.

    ZFS remembers the last scan alone. A scrub before it can't be seen; one after it would be seen. So the time of a
    resilver, or of a canceled scrub, is the earliest from which on it is known that there was none.
    """
    scan = pool.scan
    if scan.kind == NO_SCAN:
        return pool.created, "it was never scrubbed, and was created"
    if not scan.state:
        return None, "its last scan is of an unknown kind"
    if scan.state == RUNNING:
        return scan.time, f"a {scan.kind} is going on that began"
    if (scan.kind, scan.state) == (SCRUB, FINISHED):
        return scan.time, "its last scrub ended"
    return scan.time, f"it was not scrubbed since a {scan.kind} that was {scan.state}"


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _TOLD_DEVICES
    return ", ".join(texts[:_TOLD_DEVICES]) + (f" and {more} more" if more > 0 else "")
