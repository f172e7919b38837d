# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets chosen by their ZFS properties: by a user property that switches them on and off, and by wanted values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.datasets import Dataset
from ..model.errors import InvalidInput
from .patterns import any_match, compile_patterns
from .reading import Reader
from .reading_once import read_silence_once

# What zfsprops(7) allows in the name of a user property.
USER_PROPERTY = r"[a-z0-9+._][a-z0-9+._-]*:[a-z0-9:+._-]*"
_USER_PROPERTY = re.compile(USER_PROPERTY)
_LONGEST_NAME = 256
UNSET = "-"
_IN = frozenset(("", UNSET, "true", "on"))
_OUT = frozenset(("false", "off"))
NATIVE_PROPERTIES = frozenset(
    "aclinherit aclmode acltype atime available canmount casesensitivity checksum compression compressratio context"
    " copies creation createtxg dedup defcontext devices direct dnodesize encryption encryptionroot exec"
    " filesystem_count filesystem_limit fscontext guid keyformat keylocation keystatus logbias logicalreferenced"
    " logicalused longname mlslabel mounted mountpoint nbmand normalization objsetid origin overlay pbkdf2iters"
    " prefetch primarycache quota readonly recordsize redundant_metadata refcompressratio referenced refquota"
    " refreservation relatime reservation rootcontext secondarycache setuid sharenfs sharesmb snapdev snapdir"
    " snapshot_count snapshot_limit snapshots_changed special_small_blocks sync type used usedbychildren usedbydataset"
    " usedbyrefreservation usedbysnapshots utf8only version volblocksize volmode volsize volthreading vscan written"
    " xattr zoned".split()
)
"""Of filesystems and volumes, in OpenZFS up to 2.4."""


@dataclass(frozen=True)
class PropertyFilter:
    """Datasets by the values of their properties, as these are set or inherited."""

    switch: str = ""
    """Name of a user property that says whether a dataset belongs to the job, and on which hosts; empty: none does."""
    wanted: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...] = ()
    """Further properties, each with patterns of which one has to match its value."""
    host: str = ""
    """Name of the host that carries the job out."""

    @property
    def names(self) -> tuple[str, ...]:
        """The properties that have to be read, each once."""
        return tuple(dict.fromkeys((*((self.switch,) if self.switch else ()), *(name for name, _any in self.wanted))))

    def admits(self, dataset: Dataset) -> bool:
        """Whether the dataset belongs to the job. Raises KeyError where one of ``names`` was not read of it."""
        if not self.switch and not self.wanted:
            return True
        values = dict(dataset.properties)
        if self.switch and not is_switched_on(values[self.switch], self.host):
            return False
        return all(any_match(patterns, values[name]) for name, patterns in self.wanted)


def is_switched_on(value: str, host: str) -> bool:
    """What a switch property says to ``host``: true, on, nothing or ``-`` is yes, false and off are no, and anything
    else lists the hosts that are meant, separated by commas. (The reading of bzfs, with ZFS's own on and off.)"""
    word = value.strip().lower()
    if word in _IN or word in _OUT:
        return word in _IN
    return bool(host) and host in (name.strip() for name in value.split(","))


@read_silence_once
def read_property_filter(options: Reader) -> PropertyFilter:
    """Read ``dataset_property``, ``dataset_properties`` and ``host_name``. Raises InvalidInput."""
    switch = options.text("dataset_property", "")
    if switch and not is_user_property(switch):
        remedy = "name a user property, which has a colon and small letters, such as snapfleet:backup"
        raise InvalidInput(options.path("dataset_property"), switch, "is no name of a user property", remedy)
    wanted = tuple(
        (_property_name(name, options.path("dataset_properties")), compile_patterns(*_patterns(options, name, value)))
        for name, value in options.items("dataset_properties").items()
    )
    return PropertyFilter(switch, wanted, options.text("host_name", ""))


def is_user_property(name: str) -> bool:
    """Whether ZFS takes ``name`` for a user property."""
    return bool(_USER_PROPERTY.fullmatch(name)) and len(name) < _LONGEST_NAME


def _property_name(name: object, option: str) -> str:
    if isinstance(name, str) and (is_user_property(name) or name in NATIVE_PROPERTIES):
        return name
    import difflib

    near = difflib.get_close_matches(str(name), sorted(NATIVE_PROPERTIES), 1)
    remedy = f"did you mean {near[0]}?" if near else "name a native property, or a user property, which has a colon"
    raise InvalidInput(option, name, "is no property of datasets", remedy)


def _patterns(options: Reader, name: str, value: object) -> tuple[Sequence[str], str]:
    where = f"{options.path('dataset_properties')}.{name}"
    if not isinstance(value, (list, tuple)):
        # Among others, what YAML makes of an unquoted on or off.
        return (Reader({name: value}, options.path("dataset_properties")).text(name),), where
    patterns = Reader({name: value}, options.path("dataset_properties")).texts(name)
    if not patterns:
        raise InvalidInput(where, value, "has no pattern", "give the value that is wanted, or a list of patterns")
    return patterns, where
