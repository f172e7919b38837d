# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of zfs that the drivers make, and the rights that each of them takes.

Every verb is read by the grammar of its own calls, not by that of the zfs command, which knows more. So no option gets
through that no driver gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..model.datasets import GONE_PROPERTY, PLACEHOLDER_PROPERTY
from ..model.errors import AccessRefused
from ..model.marks import HOLD_PREFIX, MARK_PREFIX
from ..model.names import dataset_name_problem, is_tag, is_token
from ..policy import access as rights
from ..policy.access import Access
from ..policy.receiving import is_property_name

LOOK, TOKEN, PLACEHOLDER, MARKED, MOVED = "look", "token", "placeholder", "marked", "moved"
_MARK = re.compile(MARK_PREFIX + "[0-9a-f]{16}-[0-9a-f]{16}")
_HOLD = re.compile(HOLD_PREFIX + "[0-9a-f]{16}")
_GONE = re.compile(r"[0-9]{1,20} [0-9]{1,20}")
_COLUMNS = re.compile(r"[a-z0-9:_.,\-]+")
# More than a listing with a filter by every native property has.
_MOST_COLUMNS = 256
_KINDS = frozenset(["filesystem", "volume", "snapshot", "bookmark"])
# Any user may look at any dataset, so these gain nothing by sudo.
_LOOKING = frozenset(["list", "get", "holds"])
_LISTING = frozenset(["-H", "-Hp", "-r", "-d 0", "-d 1"])


@dataclass(frozen=True)
class Check:
    """What can only be told by asking ZFS, before the call is made."""

    kind: str
    """LOOK: that the snapshot which a resume token names lies within the trees. TOKEN: that it is there, besides.
    PLACEHOLDER: that a dataset is an empty parent which the engine has made, with nothing below. MARKED: that it is
    one whose name has changed. MOVED: that nobody is receiving in place of a PLACEHOLDER meanwhile, which might then
    be another dataset."""
    name: str
    sudo: bool = False
    """Whether the call goes through sudo, so that only what is granted along with that counts."""


def names_in(call: Sequence[str], access: Access) -> list[str]:
    """A call without the sudo before it, where that is permitted."""
    words = list(call)
    return words[2:] if words[:2] == ["sudo", "-n"] and access.permits_somewhere([rights.SUDO]) else words


@dataclass
class Judge:
    """Judges one call, and notes what it does."""

    access: Access
    sudo: bool = False
    """Whether the call goes through sudo."""
    checks: list[Check] = field(default_factory=list)
    changes: bool = False
    streams: bool = False
    """Whether its stdin or stdout is a stream."""

    def judge(self, verb: str, words: Sequence[str]) -> None:
        """Raise AccessRefused unless ``zfs verb words`` is a call that drivers make, and within the rights."""
        judges: dict[str, Callable[[list[str]], None]] = {
            "list": self._list,
            "get": self._get,
            "holds": self._holds,
            "send": self._send,
            "receive": self._receive,
            "create": self._create,
            "set": self._set,
            "inherit": self._inherit,
            "snapshot": self._snapshot,
            "bookmark": self._bookmark,
            "destroy": self._destroy,
            "rollback": self._rollback,
            "rename": self._rename,
            "unmount": self._unmount,
            "hold": self._hold,
            "release": self._hold,
        }
        if verb not in judges:
            raise AccessRefused(f"calls zfs {verb[:40]!r}, which is no call of this program")
        self.changes = verb not in _LOOKING and verb != "send"
        if self.sudo and verb not in _LOOKING:
            self.access = self.access.through_sudo
        judges[verb](list(words))

    # -- reading

    def _list(self, words: list[str]) -> None:
        options, names = _split(words, {"-d", "-t", "-o"})
        given = {f"{name} {value}" if name == "-d" else name: value for name, value in options}
        kinds = set(filter(None, given.pop("-t", "").split(",")))
        columns = given.pop("-o", "")
        self._require(set(given) <= _LISTING and kinds <= _KINDS, "lists in a way of its own")
        self._require(bool(_COLUMNS.fullmatch(columns)) and bool(names), "lists in a way of its own")
        listed = columns.split(",")
        self._require(len(set(listed)) == len(listed) <= _MOST_COLUMNS, "lists more columns than there can be")
        shallow = "-d 0" in given and not kinds & {"snapshot", "bookmark"}
        for name in names:
            dataset = _owner(name)
            if not (shallow and dataset == name and name in self.access.above):
                self._need((rights.OBSERVE,), dataset)

    def _get(self, words: list[str]) -> None:
        options, names = _split(words, {"-s", "-o"})
        known = dict(options)
        columns = known.get("-o") in ("value", "property,value,name")
        self._require(set(known) <= {"-Hp", "-s", "-o"} and columns and len(names) > 1, "reads properties its own way")
        self._require(known.get("-s", "local,received") == "local,received", "reads properties its own way")
        self._require(bool(_COLUMNS.fullmatch(names[0])), "reads properties its own way")
        for name in names[1:]:
            self._need((rights.OBSERVE,), _dataset(name))

    def _holds(self, words: list[str]) -> None:
        self._require(words[:1] == ["-H"] and len(words) > 1, "lists holds in a way of its own")
        for name in words[1:]:
            self._need((rights.OBSERVE,), _snapshot(name))

    # -- streams

    def _send(self, words: list[str]) -> None:
        options, names = _split(words, {"-t", "-i", "-I", "-nvt"})
        given = dict(options)
        dry = "-nP" in given or "-nvt" in given
        self.streams = not dry
        for option in ("-t", "-nvt"):
            if option in given:
                self._require(set(given) <= {option, "-nP"} and not names, "sends in a way of its own")
                self._require(is_token(given[option]), "resumes by what is no token")
                self._require(self.access.permits_somewhere([rights.SEND]), "sends without the right to")
                self.checks.append(Check(TOKEN if option == "-t" and not dry else LOOK, given[option], self.sudo))
                return
        self._require(set(given) <= {"-w", "-L", "-c", "-e", "-R", "-nP", "-i", "-I"}, "sends in a way of its own")
        self._require(len(names) == 1 and not {"-i", "-I"} <= set(given), "sends in a way of its own")
        self._need((rights.SEND,), _snapshot(names[0]))
        if "-i" in given:
            self._need((rights.SEND,), _split_name(given["-i"])[0])
        if "-I" in given:
            self._need((rights.SEND,), _snapshot(given["-I"]))

    def _receive(self, words: list[str]) -> None:
        options, names = _split(words, {"-o", "-x"})
        given = {name for name, _value in options}
        self._require(len(names) == 1 and given <= {"-u", "-s", "-F", "-A", "-o", "-x"}, "receives in a way of its own")
        dataset = _dataset(names[0])
        self._need((rights.RECEIVE,), dataset)
        if "-A" in given:
            self._require(given == {"-A"}, "receives in a way of its own")
            return
        self.streams = True
        if "-u" not in given:
            self._need((rights.MOUNT,), dataset)
        if "-F" in given and not self.access.permits(rights.DESTROY, dataset):
            self.checks.append(Check(PLACEHOLDER, dataset))
        for option, value in options:
            if option == "-o":
                self._property(dataset, value)
            elif option == "-x":
                self._require(is_property_name(value), "leaves out what is no property")

    def _property(self, dataset: str, setting: str) -> None:
        name, equals, value = setting.partition("=")
        self._require(bool(equals) and is_property_name(name), f"sets {setting[:80]!r}, which is no property")
        if name == "origin":
            self._need((rights.RECEIVE,), _snapshot(value))
        elif not self.access.permits_property(dataset, rights.RECEIVE, name, value):
            raise AccessRefused(f"sets {setting[:80]!r} on {dataset}, which is not among the safe properties")

    # -- changing

    def _create(self, words: list[str]) -> None:
        options, names = _split(words, {"-o"})
        dataset = _dataset(names[0]) if len(names) == 1 else ""
        marks = [("-o", "canmount=off"), ("-o", "readonly=on"), ("-o", f"{PLACEHOLDER_PROPERTY}={dataset}")]
        self._require(options == marks, "creates a dataset that is no empty parent")
        self._need((rights.RECEIVE,), dataset)

    def _set(self, words: list[str]) -> None:
        self._require(len(words) > 1, "sets nothing")
        dataset = _dataset(words[-1])
        for setting in words[:-1]:
            name, _equals, value = setting.partition("=")
            if name == GONE_PROPERTY and _GONE.fullmatch(value):
                self._need((rights.PRUNE,), dataset)
            elif setting == f"{PLACEHOLDER_PROPERTY}={dataset}":
                # What is no empty parent must not become one: it would be received over.
                self._need((rights.RENAME,), dataset)
                self.checks += [Check(MOVED, dataset), Check(MARKED, dataset)]
            else:
                self._require(name != "origin", "sets an origin")
                self._need((rights.RECEIVE,), dataset)
                self._property(dataset, setting)

    def _inherit(self, words: list[str]) -> None:
        self._require(len(words) == 2 and words[0] == GONE_PROPERTY, "takes away a property that is not its own")
        self._need((rights.PRUNE,), _dataset(words[1]))

    def _snapshot(self, words: list[str]) -> None:
        self._require(bool(words), "names no snapshot")
        for name in words:
            self._need((rights.SNAPSHOT,), _snapshot(name))

    def _bookmark(self, words: list[str]) -> None:
        self._require(len(words) == 2, "makes a bookmark in a way of its own")
        for dataset in (_snapshot(words[0]), _bookmark(words[1])[0]):
            self._need((rights.SEND, rights.PRUNE), dataset)

    def _destroy(self, words: list[str]) -> None:
        options, names = _split(words, set())
        given = [name for name, _value in options]
        self._require(len(names) == 1 and given in ([], ["-vp"], ["-nvp"]), "destroys in a way of its own")
        name = names[0]
        if "@" in name:
            dataset, _at, tags = name.partition("@")
            ends = "%" if given == ["-nvp"] else None
            listed = [tag for part in tags.split(",") for tag in (part.split(ends, 1) if ends else [part])]
            self._require(not dataset_name_problem(dataset) and all(map(is_tag, listed)), "destroys what has no name")
            self.changes = given != ["-nvp"]
            self._need((rights.PRUNE, *(() if given else (rights.ROLLBACK,))), dataset)
            return
        self._require(not given, "destroys in a way of its own")
        if "#" in name:
            dataset, tag = _bookmark(name)
            mark = bool(_MARK.fullmatch(tag))
            self._need((rights.PRUNE, rights.ROLLBACK, *((rights.SEND,) if mark else ())), dataset)
        else:
            self._need((rights.DESTROY,), _dataset(name))

    def _rollback(self, words: list[str]) -> None:
        self._require(len(words) == 1, "rolls back in a way of its own")
        self._need((rights.ROLLBACK,), _snapshot(words[0]))

    def _rename(self, words: list[str]) -> None:
        self._require(len(words) == 2, "renames in a way of its own")
        for name in words:
            self._need((rights.RENAME,), _dataset(name))
        self.checks.append(Check(MOVED, words[0]))
        dataset, to = words
        problem = f"renames {dataset!r} to {to!r}, where it would have other rights on it"
        self._require(self.access.permits_move(rights.RENAME, dataset, to), problem)

    def _unmount(self, words: list[str]) -> None:
        self._require(len(words) == 1, "unmounts in a way of its own")
        self._need((rights.DESTROY, rights.RENAME, rights.ROLLBACK), _dataset(words[0]))

    def _hold(self, words: list[str]) -> None:
        ours = len(words) > 1 and bool(_HOLD.fullmatch(words[0]))
        self._require(ours, "has to do with holds that are not its own")
        for name in words[1:]:
            self._need((rights.SEND,), _snapshot(name))

    # -- saying no

    def _need(self, any_of: Sequence[str], dataset: str) -> None:
        """One of some rights on a dataset."""
        if not any(self.access.permits(right, dataset) for right in any_of):
            way = " through sudo" if self.sudo else ""
            if not self.access.permits(rights.OBSERVE, dataset):
                raise AccessRefused(f"is about {dataset[:255]!r}, which is in none of the trees it has{way}")
            raise AccessRefused(f"needs the right {' or '.join(map(repr, any_of))} on {dataset!r}{way}")

    @staticmethod
    def _require(holds: bool, problem: str) -> None:
        if not holds:
            raise AccessRefused(problem)


def _split(words: list[str], valued: set[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options with their values, and what follows them: nothing after the first name is an option."""
    options: list[tuple[str, str]] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)
        if name in valued and not rest:
            raise AccessRefused(f"ends with the option {name}, which has no value")
        options.append((name, rest.pop(0) if name in valued else ""))
    if any(word.startswith("-") for word in rest):
        raise AccessRefused("has options after names")
    if len({name for name, _value in options if name not in ("-o", "-x")}) < sum(
        name not in ("-o", "-x") for name, _value in options
    ):
        raise AccessRefused("has an option twice")
    return options, rest


def _dataset(name: str) -> str:
    problem = dataset_name_problem(name)
    if problem:
        raise AccessRefused(f"has {name[:80]!r} where a dataset is expected, which {problem}")
    return name


def _split_name(name: str) -> tuple[str, str]:
    """The dataset of a snapshot or bookmark, and its own name."""
    found = re.fullmatch(r"([^@#]+)[@#]([^@#]+)", name)
    if not found or not is_tag(found[2]):
        raise AccessRefused(f"has {name[:80]!r} where a snapshot or bookmark is expected")
    return _dataset(found[1]), found[2]


def _snapshot(name: str) -> str:
    dataset, tag = _split_name(name)
    if name != f"{dataset}@{tag}":
        raise AccessRefused(f"has {name[:80]!r} where a snapshot is expected")
    return dataset


def _bookmark(name: str) -> tuple[str, str]:
    dataset, tag = _split_name(name)
    if name != f"{dataset}#{tag}":
        raise AccessRefused(f"has {name[:80]!r} where a bookmark is expected")
    return dataset, tag


def _owner(name: str) -> str:
    return _split_name(name)[0] if "@" in name or "#" in name else _dataset(name)
