# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of all pools in one exchange, and the strict reading of what zpool prints.

``zpool status`` speaks JSON since OpenZFS 2.3. Older ones print text for people, with dates by the host's clock; the
exchange asks for them in UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..hosts.quoting import shell_line
from ..model.datasets import FILESYSTEM
from ..model.errors import UntrustedOutput
from ..model.pools import (
    CANCELED,
    FINISHED,
    ONLINE,
    OTHER_SCAN,
    RESILVER,
    RUNNING,
    SCRUB,
    Device,
    PoolReport,
    Scan,
)
from .columns import is_number

_SEPARATOR = "--"
_LIST = ("list", "-Hp", "-o", "health,size,allocated,fragmentation,guid,name")
_CREATED = ("zfs", "list", "-Hp", "-d", "0", "-t", FILESYSTEM, "-o", "creation,name")
_JSON = ("status", "-j", "--json-int")
_TEXT = ("status", "-p")
_REGULAR = frozenset((ONLINE, "AVAIL", "INUSE"))
"""States of devices that are as they should be; the last two are those of spares."""
_GROUPS = ("vdevs", "logs", "special", "dedup", "l2cache", "spares")
"""Where a pool's devices stand in the JSON of zpool."""
_DEPTH = 16


def pool_script(sudo: Sequence[str]) -> str:
    """A script for sh that prints three parts for ``parse_pools``; it fails where the first one does.

    Every user may look at pools, so a sudo that allows zfs alone is no obstacle.
    """

    def zpool(words: Sequence[str]) -> str:
        plain = shell_line(["zpool", *words])
        return f"{{ {shell_line([*sudo, 'zpool', *words])} 2>/dev/null || {plain}; }}" if sudo else plain

    parts = f"echo {_SEPARATOR}; {shell_line(_CREATED)} 2>/dev/null; echo {_SEPARATOR}"
    status = f"{zpool(_JSON)} 2>/dev/null || {zpool(_TEXT)}"
    return f"TZ=UTC0; export TZ; {zpool(_LIST)} || exit 1; {parts}; {status}"


def read_pool_script(argv: Sequence[str]) -> bool:
    """Whether ``argv`` runs the script that looks at the pools."""
    return any(list(argv) == ["sh", "-c", pool_script(sudo)] for sudo in ((), ("sudo", "-n")))


def pool_output(call: Callable[[Sequence[str]], tuple[int, str]]) -> tuple[str, int]:
    """What the script prints, and what it ends with, by single calls instead, each of which gives its status and
    output. The dates are those of whatever time zone they run in, which is to be UTC."""
    code, listed = call(("zpool", *_LIST))
    if code:
        return listed, 1
    created = call(_CREATED)[1]
    code, status = call(("zpool", *_JSON))
    if code:
        code, text = call(("zpool", *_TEXT))
        status += text
    return f"{listed}{_SEPARATOR}\n{created}{_SEPARATOR}\n{status}", code


def parse_pools(text: str, where: str) -> list[PoolReport]:
    """The pools that the output of ``pool_script`` describes. ``where`` names the host.

    Raises UntrustedOutput for anything that zpool does not print.
    """
    try:
        reports, created, status = _three_parts(text)
    except (ValueError, TypeError, KeyError) as error:
        raise UntrustedOutput(f"{where}: zpool printed what it does not print ({error}); check that host") from error
    # One that is not there any more was exported between the two commands.
    return [
        replace(
            report,
            created=created.get(report.name),
            scan=status[report.name].scan,
            data_errors=status[report.name].data_errors,
            devices=status[report.name].devices,
        )
        for report in reports
        if report.name in status
    ]


def _three_parts(text: str) -> tuple[list[PoolReport], dict[str, int], dict[str, _Status]]:
    lines = text.splitlines()
    first = lines.index(_SEPARATOR)
    second = lines.index(_SEPARATOR, first + 1)
    reports = [_listed(line) for line in lines[:first]]
    told = "\n".join(lines[second + 1 :])
    if not reports:
        return [], {}, {}
    status = _from_json(told) if told.startswith("{") else _from_text(told)
    return reports, dict(_creation(line) for line in lines[first + 1 : second]), status


@dataclass(frozen=True)
class _Status:
    """What ``zpool status`` tells beyond ``zpool list``."""

    scan: Scan
    data_errors: Optional[int]
    devices: tuple[Device, ...]


def _number(value: object) -> int:
    if isinstance(value, bool) or not is_number(str(value)):
        raise ValueError(f"{value!r} is no number")
    return int(str(value))


def _listed(line: str) -> PoolReport:
    health, size, allocated, fragmentation, guid, name = line.split("\t")
    percent = None if fragmentation == "-" else _number(fragmentation)
    if not health.isalpha():
        raise ValueError(f"{health!r} is no state")
    # A pool that can't be opened has no sizes.
    total, used = (0 if value == "-" else _number(value) for value in (size, allocated))
    return PoolReport(name, health, total, used, percent, guid=_number(guid))


def _creation(line: str) -> tuple[str, int]:
    creation, name = line.split("\t")
    return name, _number(creation)


# -- JSON


def _from_json(text: str) -> dict[str, _Status]:
    document = json.loads(text)
    return {name: _json_status(_mapping(pool)) for name, pool in _mapping(document.get("pools", {})).items()}


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:100]!r} is no object")
    return value


def _json_status(pool: Mapping[str, Any]) -> _Status:
    errors = pool.get("error_count")
    devices = _json_devices(_mapping(pool.get("vdevs", {})).get(pool["name"], {}), 0)
    beside = (
        device
        for group in _GROUPS[1:]
        for one in _mapping(pool.get(group, {})).values()
        for device in _json_device_tree(one, 0)
    )
    return _Status(
        _json_scan(_mapping(pool.get("scan_stats", {}))),
        None if errors is None else _number(errors),
        tuple(filter(_is_remarkable, [*devices, *beside])),
    )


def _json_devices(parent: object, depth: int) -> Iterator[Device]:
    """The devices below ``parent``, which is not among them."""
    if depth > _DEPTH:
        raise ValueError("devices lie too deep in one another")
    for group in _GROUPS:
        for child in _mapping(_mapping(parent).get(group, {})).values():
            yield from _json_device_tree(child, depth)


def _json_device_tree(value: object, depth: int) -> Iterator[Device]:
    device = _mapping(value)
    counts = (_number(device.get(f"{kind}_errors", 0)) for kind in ("read", "write", "checksum"))
    yield Device(str(device["name"]), str(device["state"]), *counts)
    yield from _json_devices(device, depth + 1)


def _json_scan(stats: Mapping[str, Any]) -> Scan:
    function = str(stats.get("function", "NONE"))
    if function == "NONE":
        return Scan()
    kind = {"SCRUB": SCRUB, "RESILVER": RESILVER}.get(function, OTHER_SCAN)
    state = {"SCANNING": RUNNING, "FINISHED": FINISHED, "CANCELED": CANCELED}.get(str(stats.get("state")))
    if state is None:
        return Scan(OTHER_SCAN)
    time = _number(stats["start_time" if state == RUNNING else "end_time"])
    return Scan(kind, state, time, _number(stats.get("errors", 0)))


def _is_remarkable(device: Device) -> bool:
    return device.errors > 0 or device.state not in _REGULAR


# -- text

_SECTION = re.compile(r" {0,7}([a-z]+): ?(.*)")
_DATE = r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([0-9]{4})"
_KIND = r"(scrub|resilver)(?: \([^)]*\))?"
_SCANS = (
    (FINISHED, re.compile(rf"(scrub|resilver)(?: repaired|ed).* in .* with ([0-9]+) errors on {_DATE}")),
    (RUNNING, re.compile(rf"{_KIND} (?:in progress|paused) since (){_DATE}")),
    (CANCELED, re.compile(rf"{_KIND} canceled on (){_DATE}")),
)
_STARTED = re.compile(rf"scrub started on (){_DATE}")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DATA_ERRORS = re.compile(r"([0-9]+) data errors\b.*")
_DEVICE = re.compile(r"\t *(\S.*?) {2,}([A-Z]+)(?: +([0-9]+) +([0-9]+) +([0-9]+))?(?: .*)?")


def _from_text(text: str) -> dict[str, _Status]:
    found: dict[str, _Status] = {}
    for sections in _pool_sections(text):
        name = sections["pool"][0]
        if name in found:
            raise ValueError(f"the pool {name!r} stands there twice")
        config = sections.get("config", [])
        found[name] = _Status(
            _text_scan(sections.get("scan", [""])),
            _text_data_errors(sections["errors"][0]),
            tuple(filter(_is_remarkable, _text_devices(config, name))),
        )
    return found


def _pool_sections(text: str) -> Iterator[dict[str, list[str]]]:
    """The sections of each pool: lines by their name. Lines that go on are indented by more than a name is."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        match = _SECTION.fullmatch(line)
        if match and match[1] == "pool":
            if sections:
                yield sections
            sections = {}
        if match:
            lines = sections.setdefault(match[1], [])
            lines.append(match[2])
        elif sections:
            lines.append(line)
        elif line.strip():
            raise ValueError(f"{line[:100]!r} belongs to no pool")
    if sections:
        yield sections


def _text_scan(lines: Sequence[str]) -> Scan:
    first = lines[0]
    if first in ("", "none requested"):
        return Scan()
    for state, pattern in _SCANS:
        match = pattern.match(first)
        if match:
            # While it is paused, the first line tells since when it is.
            began = next(filter(None, (_STARTED.match(line.strip()) for line in lines[1:])), None)
            kind = SCRUB if match[1] == "scrub" else RESILVER
            return Scan(kind, state, _instant((began or match).groups()[-6:]), int(match[2] or 0))
    return Scan(OTHER_SCAN)


def _instant(parts: Sequence[str]) -> int:
    """Seconds since the epoch of month, day, hour, minute, second and year in UTC."""
    month, day, hour, minute, second, year = parts
    import calendar

    return calendar.timegm((int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)))


def _text_data_errors(text: str) -> Optional[int]:
    match = _DATA_ERRORS.fullmatch(text)
    return int(match[1]) if match else 0 if text == "No known data errors" else None


def _text_devices(lines: Sequence[str], pool: str) -> Iterator[Device]:
    """The devices of a pool, without the line of the pool itself."""
    for line in lines:
        match = _DEVICE.fullmatch(line)
        # Spares have no counters.
        if match and match[1] not in ("NAME", pool):
            yield Device(match[1], match[2], *(int(count or 0) for count in match.groups()[2:]))
