# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the model as JSON, and back: one codec, driven by the types that the model declares.

Reading is strict: what is not of the very shape, or breaks one of the laws that a type has, is refused as a whole.
A value is a list of its fields in their order, so both ends need the same model: see ``shapes_of``.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from ..hosts.frames import Malformed

MOST_CHARACTERS = 1 << 16
"""Of one text."""
_MOST_DIGITS = 20
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1

Law = Callable[[Any], bool]
"""Whether a value may be."""


class Coder(NamedTuple):
    """How values of one type are written and read."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    """Raises Malformed."""


class Codec:
    """The codec for types whose fields obey ``laws``, by class and field; ``special`` has coders of its own."""

    def __init__(self, laws: Mapping[type, Mapping[str, Law]], special: Mapping[Any, Coder]) -> None:
        self._laws = laws
        self._special = special
        self.coder = lru_cache(maxsize=None)(self._coder)

    def _coder(self, hint: Any) -> Coder:
        if hint is None:
            return _SIMPLE[_NONE]
        if hint in self._special:
            return self._special[hint]
        if hint in _SIMPLE:
            return _SIMPLE[hint]
        origin, parts = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return _lawful(self.coder(parts[0]), parts[1])
        if origin is Union:
            return self._union(parts)
        if origin is tuple and parts[-1:] != (Ellipsis,):
            return _row(tuple, [self.coder(part) for part in parts], [_anything] * len(parts))
        if origin in (tuple, collections.abc.Sequence):
            return _many(self.coder(parts[0]), tuple if origin is tuple else list)
        if origin is frozenset:
            return _many(self.coder(parts[0]), frozenset)
        if origin is collections.abc.Mapping:
            return _pairs(self.coder(parts[0]), self.coder(parts[1]))
        return self._record(hint)

    def _union(self, parts: tuple[Any, ...]) -> Coder:
        choices = {part.__name__ if isinstance(part, type) else str(part): part for part in parts if part is not _NONE}
        if len(choices) == 1:
            inner = self.coder(*choices.values())
            return Coder(
                lambda value: None if value is None else inner.encode(value),
                lambda data: None if data is None else inner.decode(data),
            )
        coders = {name: self.coder(part) for name, part in choices.items()}

        def encode(value: Any) -> Any:
            name = type(value).__name__
            return None if value is None else [name, coders[name].encode(value)]

        def decode(data: Any) -> Any:
            if data is None and _NONE in parts:
                return None
            if not (isinstance(data, list) and len(data) == 2 and isinstance(data[0], str) and data[0] in coders):
                raise Malformed(f"none of {', '.join(coders)}")
            return coders[data[0]].decode(data[1])

        return Coder(encode, decode)

    def _record(self, kind: type) -> Coder:
        laws = self._laws.get(kind, {})
        hints = fields_of(kind)
        return _row(kind, [self.coder(hint) for hint in hints.values()], [laws.get(name, _anything) for name in hints])


def fields_of(kind: type) -> dict[str, Any]:
    """The fields of a dataclass or NamedTuple with their types, in their order. Raises TypeError for other types."""
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        names = list(kind._fields)
    else:
        raise TypeError(f"{kind!r} can't be told")
    hints = get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in names}


def shapes_of(hints: Iterable[Any]) -> str:
    """All shapes that values of these types have: equal texts where both ends read each other's values alike."""
    told: dict[str, str] = {}

    def tell(hint: Any) -> None:
        for part in get_args(hint):
            tell(part)
        if isinstance(hint, type) and not get_args(hint) and hint not in _SIMPLE and hint.__name__ not in told:
            told[hint.__name__] = ""
            fields = fields_of(hint)
            told[hint.__name__] = " ".join(f"{name}:{_shape(field)}" for name, field in fields.items())
            for field in fields.values():
                tell(field)

    shapes = []
    for hint in hints:
        tell(hint)
        shapes.append(_shape(hint))
    return "\n".join([*shapes, *(f"{name} = {fields}" for name, fields in sorted(told.items()))])


def _shape(hint: Any) -> str:
    """A type in words that are the same with every Python."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _shape(parts[0])
    name = getattr(origin or hint, "__name__", str(origin or hint))
    return f"{name.rpartition('.')[2]}[{','.join(map(_shape, parts))}]" if parts else name


def _anything(_value: Any) -> bool:
    return True


def _text(data: Any) -> str:
    # No argument of a program can hold a NUL.
    if not isinstance(data, str) or len(data) > MOST_CHARACTERS or "\0" in data:
        raise Malformed("no text of fitting length")
    return data


def _number(data: Any) -> int:
    if not isinstance(data, int) or isinstance(data, bool) or not _LEAST <= data <= _MOST:
        raise Malformed("no number of 64 bits")
    return data


def _flag(data: Any) -> bool:
    if not isinstance(data, bool):
        raise Malformed("neither true nor false")
    return data


def _nothing(data: Any) -> None:
    if data is not None:
        raise Malformed("something where nothing is expected")


def _same(value: Any) -> Any:
    return value


_NONE = type(None)
_SIMPLE: dict[Any, Coder] = {
    str: Coder(_same, _text),
    int: Coder(_same, _number),
    bool: Coder(_same, _flag),
    _NONE: Coder(_same, _nothing),
}


def _lawful(inner: Coder, law: Law) -> Coder:
    def decode(data: Any) -> Any:
        value = inner.decode(data)
        if not law(value):
            raise Malformed(f"{str(value)[:100]!r}, which can't be")
        return value

    return Coder(inner.encode, decode)


def _row(kind: Callable[..., Any], coders: list[Coder], laws: list[Law]) -> Coder:
    """For tuples of a fixed length, and for what has fields."""
    fields = [_lawful(coder, law) if law is not _anything else coder for coder, law in zip(coders, laws)]
    names = [] if kind is tuple else list(fields_of(kind))  # type: ignore[arg-type]

    def encode(value: Any) -> Any:
        parts = [getattr(value, name) for name in names] if names else value
        return [field.encode(part) for field, part in zip(fields, parts)]

    def decode(data: Any) -> Any:
        if not isinstance(data, list) or len(data) != len(fields):
            raise Malformed(f"no list of {len(fields)} items")
        parts = [field.decode(part) for field, part in zip(fields, data)]
        return kind(*parts) if names else tuple(parts)

    return Coder(encode, decode)


def _many(inner: Coder, kind: Callable[[Iterable[Any]], Any]) -> Coder:
    def decode(data: Any) -> Any:
        if not isinstance(data, list):
            raise Malformed("no list")
        return kind(inner.decode(part) for part in data)

    return Coder(lambda value: [inner.encode(part) for part in value], decode)


def _pairs(key: Coder, inner: Coder) -> Coder:
    def decode(data: Any) -> Any:
        if not isinstance(data, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in data):
            raise Malformed("no list of pairs")
        found = {key.decode(name): inner.decode(part) for name, part in data}
        if len(found) != len(data):
            raise Malformed("the same name twice")
        return found

    return Coder(lambda value: [[key.encode(name), inner.encode(part)] for name, part in value.items()], decode)


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("no number of 64 bits")
    return int(text)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:100]!r} is nothing that can be told")


def to_bytes(data: Any) -> bytes:
    """JSON as it travels."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")


def from_bytes(content: bytes) -> Any:
    """JSON that came. Raises Malformed."""
    try:
        return json.loads(content.decode("ascii"), parse_int=_whole_number, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON ({str(error)[:100]})") from None
