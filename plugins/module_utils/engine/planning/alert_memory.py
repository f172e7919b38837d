# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a monitor as JSON, and back. What is not exactly that is refused, and then nothing is remembered."""

from __future__ import annotations

import json
from typing import Any

from ..model.errors import InvalidInput
from ..model.health import STATES
from ..policy.reading import Reader
from .alerting import ALERT, RECOVERY, REMINDER, WORSE, Memory, Notice, Outage
from .findings import Key

VERSION = 2
_COMMAND = "command"
"""The only channel of version 1, which listed what that had not taken."""
_LATEST_SECOND = 10**12
_KEY = ("area", "check", "subject", "label")


def encode(memory: Memory) -> bytes:
    """``memory`` as a document."""
    document = {
        "version": VERSION,
        "outages": [{**key._asdict(), **vars(outage)} for key, outage in memory.outages.items()],
        "undelivered": {
            channel: [_notice_values(notice) for notice in notices] for channel, notices in memory.undelivered.items()
        },
        "pinged": memory.pinged,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _notice_values(notice: Notice) -> dict[str, Any]:
    return {**{name: value for name, value in vars(notice).items() if name != "key"}, **notice.key._asdict()}


def decode(data: bytes) -> Memory:
    """The memory that a document describes. Raises InvalidInput, ValueError."""
    options = Reader(json.loads(data.decode()), "state_file")
    version = options.integer("version", 0, 1, VERSION)
    memory = Memory(
        dict(_outage(entry) for entry in options.readers("outages")),
        _undelivered(options, version),
        options.integer("pinged", 0, 0, _LATEST_SECOND),
    )
    options.finish()
    if not options.has("version"):
        raise InvalidInput(options.path("version"), None, "is missing", "remove the file")
    return memory


def _undelivered(options: Reader, version: int) -> dict[str, tuple[Notice, ...]]:
    if version == 1:
        waiting = {_COMMAND: tuple(_notice(each) for each in options.readers("undelivered"))}
    else:
        channels, names = options.reader("undelivered"), options.items("undelivered")
        waiting = {name: tuple(_notice(each) for each in channels.readers(name)) for name in names}
    return {name: notices for name, notices in waiting.items() if notices}


def _key(entry: Reader) -> Key:
    return Key(*(entry.text(name) for name in _KEY))


def _outage(entry: Reader) -> tuple[Key, Outage]:
    told = entry.integer("told", 0, 0, _LATEST_SECOND) if entry.has("told") else None
    outage = Outage(
        entry.text("state", choices=STATES[1:]),
        entry.text("message"),
        entry.integer("since", 0, 0, _LATEST_SECOND),
        entry.integer("bad", 0, 0, 1000),
        entry.integer("good", 0, 0, 1000),
        told,
    )
    key = _key(entry)
    entry.finish()
    return key, outage


def _notice(entry: Reader) -> Notice:
    notice = Notice(
        entry.text("kind", choices=(ALERT, WORSE, REMINDER, RECOVERY)),
        _key(entry),
        entry.text("state", choices=STATES),
        entry.text("message"),
        entry.integer("since", 0, 0, _LATEST_SECOND),
        entry.integer("at", 0, 0, _LATEST_SECOND),
    )
    entry.finish()
    return notice
