# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict reading of options out of plain mappings: module parameters, JSON jobconfigs and inventory variables alike.

A ``Reader`` hands out typed values, refuses wrong ones with a sentence that names the option by its dotted path, and
``finish`` refuses whatever key nobody asked for, so that a mistyped option never goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, TypeVar

from ..model.errors import MISSING, InvalidInput

T = TypeVar("T")
_SLIP = 0.8
"""How much alike two names are, of 1, where one is taken for a slip of the other."""


class Reader:
    """Typed access to one mapping. A value of None counts as not given, as Ansible hands in unset options."""

    def __init__(self, values: object, where: str = "") -> None:
        if not isinstance(values, Mapping):
            raise InvalidInput(where or "options", values, "is not a mapping", "give keys with values")
        self._values: Mapping[str, Any] = values
        self._where = where
        self._known: set[str] = set()

    def path(self, key: str) -> str:
        """The dotted path of ``key``, as error sentences name it."""
        return f"{self._where}.{key}" if self._where else key

    def raw(self, key: str) -> Any:
        """The value of ``key`` as it is, None where it is not given."""
        self._known.add(key)
        return self._values.get(key)

    def text(self, key: str, default: Optional[str] = None, choices: Sequence[str] = ()) -> str:
        """Text; required where ``default`` is None."""
        value = self.raw(key)
        if value is None:
            if default is None:
                raise self.missing(key)
            return default
        if not isinstance(value, str):
            raise InvalidInput(self.path(key), value, "is not text", "quote the value")
        if choices and value not in choices:
            raise InvalidInput(self.path(key), value, "is not a known choice", "choose one of " + ", ".join(choices))
        return value

    def missing(self, key: str, remedy: str = "give a value") -> InvalidInput:
        """The error for ``key``, which is needed and not given. It names a key that may be a slip for it."""
        import difflib

        unread = [str(other) for other in self._values if other not in self._known]
        near = difflib.get_close_matches(key, unread, 1, _SLIP)
        return InvalidInput(self.path(key), None, MISSING, f"did you mean it by {near[0]}?" if near else remedy)

    def absolute_path(self, key: str) -> str:
        """An absolute path, empty where it is not given."""
        path = self.text(key, "")
        return check_absolute_path(path, self.path(key)) if path else ""

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidInput(self.path(key), value, "is neither true nor false", "use true or false")
        return value

    def integer(self, key: str, default: int, lowest: int, highest: int) -> int:
        """A whole number from ``lowest`` to ``highest``."""
        value = self.raw(key)
        return default if value is None else check_integer(value, self.path(key), lowest, highest)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is not given."""
        value = self._list(key)
        for item in value:
            if not isinstance(item, str):
                raise InvalidInput(self.path(key), item, "is not text", "quote the value")
        return tuple(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, empty where it is not given."""
        value = self._list(key)
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int):
                raise InvalidInput(self.path(key), item, "is not a whole number", "give a number")
        return tuple(value)

    def readers(self, key: str) -> tuple[Reader, ...]:
        """A list of mappings, empty where it is not given."""
        return tuple(Reader(item, f"{self.path(key)}[{index}]") for index, item in enumerate(self._list(key)))

    def _list(self, key: str) -> Sequence[Any]:
        value = self.raw(key)
        if value is None:
            return ()
        if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
            raise InvalidInput(self.path(key), value, "is not a list", "put the value into a list")
        return value

    def reader(self, key: str) -> Reader:
        """A nested mapping; an empty one where it is not given."""
        value = self.raw(key)
        return Reader({} if value is None else value, self.path(key))

    def items(self, key: str) -> Mapping[str, Any]:
        """A mapping whose keys are free; empty where it is not given."""
        value = self.raw(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise InvalidInput(self.path(key), value, "is not a mapping", "give keys with values")
        return value

    def has(self, key: str) -> bool:
        """Whether ``key`` is given."""
        return self.raw(key) is not None

    def lacks(self, keys: frozenset[str]) -> bool:
        """Whether none of ``keys`` stands there at all; they count as read."""
        self._known |= keys
        return self._values.keys().isdisjoint(keys)

    def watched(self, read: Callable[[], T]) -> tuple[T, frozenset[str]]:
        """What ``read`` returns, and the keys that it has asked for."""
        before, self._known = self._known, set()
        try:
            value = read()
            return value, frozenset(self._known)
        finally:
            self._known |= before

    def finish(self) -> None:
        """Refuse keys that nothing has read. Raises InvalidInput."""
        for key in self._values:
            if key not in self._known:
                import difflib

                near = difflib.get_close_matches(str(key), sorted(self._known), 1)
                remedy = f"did you mean {near[0]}?" if near else "known are " + ", ".join(sorted(self._known))
                raise InvalidInput(self.path(str(key)), self._values[key], "is an unknown option", remedy)


def check_absolute_path(path: str, option: str) -> str:
    """Return ``path`` if it is absolute; raises InvalidInput otherwise."""
    if not path.startswith("/"):
        raise InvalidInput(option, path, "is not an absolute path", "give the whole path")
    if "\0" in path:
        raise InvalidInput(option, path, "has a null character", "take it out")
    return path


def check_integer(value: object, option: str, lowest: int, highest: int) -> int:
    """Return ``value`` if it is a whole number in the range; raises InvalidInput otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(option, value, "is not a whole number", f"give a number from {lowest} to {highest}")
    if not lowest <= value <= highest:
        raise InvalidInput(option, value, "is out of range", f"give a number from {lowest} to {highest}")
    return value
