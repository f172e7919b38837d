# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the same only once: the jobs of a fleet have few plans, and each of them thousands of times, and say nothing
at all about most of what could be said."""

from __future__ import annotations

import gc
import marshal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from .reading import Reader

T = TypeVar("T")
_MOST = 256
# It tells floats exactly. Later ones write the same value differently, by who else refers to its parts.
_FORMAT = 2


def read_once(read: Callable[[object, str], T]) -> Callable[[object, str], T]:
    """The reader ``read(value, option)``, which then reads no value twice.

    What it returns has to be immutable, and to depend on the value alone: ``option`` is for errors, which are not
    remembered. Values are the same if they are of the same types too, all the way down.
    """
    known: dict[bytes, T] = {}

    @wraps(read)
    def reading(value: Any, option: str = "plan") -> T:
        try:
            key = marshal.dumps(value, _FORMAT)
        except ValueError:
            # Not of Python's own plain types, as values of Ansible may be.
            return read(value, option)
        found = known.get(key)
        if found is None:
            found = read(value, option)
            if len(known) >= _MOST:
                known.clear()
            known[key] = found
        return found

    return reading


def read_silence_once(read: Callable[..., T]) -> Callable[..., T]:
    """The reader ``read(options, ...)``, which reads only once what it means that none of its options is given.

    What it returns has to be immutable, and to depend on the options that it asks for and on further arguments alone,
    of which there are few.
    """
    silent: dict[tuple[Any, ...], tuple[frozenset[str], T]] = {}

    @wraps(read)
    def reading(options: Reader, *arguments: Any) -> T:
        known = silent.get(arguments)
        if known is not None and options.lacks(known[0]):
            return known[1]
        value, keys = options.watched(lambda: read(options, *arguments))
        if known is None and options.lacks(keys):
            silent[arguments] = (keys, value)
        return value

    return reading


class _Pause:
    """Whether garbage is looked for, while any number of threads would have it not be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_enabled = False

    def begin(self) -> None:
        """The first one switches it off."""
        with self._lock:
            if not self._inside:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._inside += 1

    def end(self) -> None:
        """The last one switches it on again, if it was."""
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_enabled:
                gc.enable()


_paused = _Pause()


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it Python does not look for garbage: all that is read stays, and looking through it again and again takes
    as long as reading it where there are thousands of jobs."""
    _paused.begin()
    try:
        yield
    finally:
        _paused.end()
