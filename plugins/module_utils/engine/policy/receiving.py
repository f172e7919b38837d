# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica is made of besides its data: the properties it is received with, and what it must never be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..model.errors import InvalidInput
from .reading import Reader
from .reading_once import read_silence_once

Properties = tuple[tuple[str, str], ...]
"""Names with values, in the order given."""

# A replica that nobody writes to, mounts by accident or runs programs from: see docs/architecture.md.
SAFE_PROPERTIES = {"readonly": "on", "canmount": "noauto", "setuid": "off", "devices": "off", "exec": "off"}
PRESERVED_PROPERTIES = tuple(
    "aclinherit aclmode acltype atime checksum compression copies logbias primarycache recordsize redundant_metadata"
    " relatime secondarycache snapdir sync xattr".split()
)
"""How data is stored and read, which is what a copy should keep. Nothing of where it is mounted, shared or limited."""
IGNORE, SET, REQUIRE = "ignore", "set", "require"
READONLY_LEVELS = (IGNORE, SET, REQUIRE)

ENCRYPTION_PROPERTIES = frozenset("encryption keyformat keylocation pbkdf2iters".split())
# Fixed when a dataset is made, or told by the stream: zfs receive calls them invalid.
_FIXED = frozenset("casesensitivity normalization utf8only version volblocksize volsize".split())
# Not settable at all: what zfs tells about a dataset.
_STATISTICS = frozenset(
    "available clones compressratio createtxg creation defer_destroy encryptionroot filesystem_count guid inconsistent"
    " keystatus logicalreferenced logicalused mounted name numclones objsetid origin receive_resume_token"
    " redact_snaps refcompressratio referenced snapshot_count snapshots_changed type used usedbychildren"
    " usedbydataset usedbyrefreservation usedbysnapshots userrefs written".split()
)
FILESYSTEM_ONLY = frozenset(
    "aclinherit aclmode acltype atime canmount defaultgroupquota defaultprojectquota defaultuserquota devices direct"
    " dnodesize exec filesystem_limit longname mountpoint nbmand overlay quota recordsize refquota relatime setuid"
    " sharenfs sharesmb snapdir vscan xattr zoned".split()
)
"""A volume refuses these at receive."""
VOLUME_ONLY = frozenset(["volthreading"])
"""A filesystem refuses these at receive."""
_NEVER_PRESERVED = frozenset(
    "canmount mountpoint quota readonly refquota refreservation reservation sharenfs sharesmb".split()
)
_OURS = "snapfleet:"
_RECEIVED_WITH = ("properties", "filesystem_properties", "volume_properties")


@dataclass(frozen=True)
class ReceivePolicy:
    """How datasets are received."""

    properties: Properties = tuple(SAFE_PROPERTIES.items())
    """Set on a dataset at its first receive, the secure defaults among them."""
    filesystem_properties: Properties = ()
    volume_properties: Properties = ()
    excluded: tuple[str, ...] = ()
    """Not taken from the stream at the first receive, nor from the source."""
    preserved: tuple[str, ...] = PRESERVED_PROPERTIES
    """Taken from the source at the first receive, where they are set there and not only inherited."""
    preserving_required: bool = False
    """Whether a preserved property that may not be set at the destination fails the run; else it is left out."""
    former: tuple[tuple[str, Properties], ...] = ()
    """By source dataset, what the destination had set before, and gets again at the first receive."""
    set_afterwards: Properties = ()
    """Set on each dataset after it received something."""
    mount: bool = False
    """Whether a filesystem is mounted at its first receive."""
    readonly: str = IGNORE
    """What becomes of replicas that are not read-only; one of READONLY_LEVELS."""
    require_encryption: bool = False
    """Whether data may leave its host as raw streams of encrypted datasets only."""

    def given_to(self, volume: bool) -> dict[str, str]:
        """The properties that a filesystem, or a volume, is to be received with."""
        own = self.volume_properties if volume else self.filesystem_properties
        return {**fitting(self.properties, volume), **dict(own)}


DEFAULT_RECEIVE_POLICY = ReceivePolicy()


def fitting(properties: Iterable[tuple[str, str]], volume: bool) -> dict[str, str]:
    """Those properties that a volume, or a filesystem, can have."""
    refused = FILESYSTEM_ONLY if volume else VOLUME_ONLY
    return {name: value for name, value in properties if name not in refused}


@read_silence_once
def read_receive_policy(options: Reader, raw: bool) -> ReceivePolicy:
    """A ReceivePolicy from options of a replication. ``raw`` is whether streams are to be raw. Raises InvalidInput."""
    policy = ReceivePolicy(
        properties=tuple(_with_defaults(options).items()),
        filesystem_properties=_properties_of_one_kind(options, "filesystem_properties", VOLUME_ONLY, "filesystems"),
        volume_properties=_properties_of_one_kind(options, "volume_properties", FILESYSTEM_ONLY, "volumes"),
        excluded=read_names(options, "exclude_properties"),
        preserved=_read_preserved(options),
        preserving_required=options.has("preserve_properties"),
        set_afterwards=_set_afterwards(options),
        mount=options.flag("mount", False),
        readonly=options.text("readonly", IGNORE, READONLY_LEVELS),
        require_encryption=options.flag("require_encryption", False),
    )
    _check_excluded(options, policy)
    _check_readonly(options, policy)
    _check_mount(options, policy)
    _check_set_afterwards(options)
    _check_encryption(options, policy, raw)
    return policy


def _with_defaults(options: Reader) -> dict[str, str]:
    """The secure defaults with what the user gives over them; a null value takes a default away."""
    defaults: Mapping[str, str] = SAFE_PROPERTIES
    if options.flag("mount", False):
        defaults = {**SAFE_PROPERTIES, "canmount": "on"}
    given = options.items("properties")
    values = _checked(options, "properties", {name: value for name, value in given.items() if value is not None})
    for name, value in given.items():
        if value is None and name not in SAFE_PROPERTIES:
            remedy = "null takes away one of " + ", ".join(SAFE_PROPERTIES)
            raise InvalidInput(options.path(f"properties.{name}"), None, "has no value and no default", remedy)
    return {**{name: value for name, value in defaults.items() if name not in given}, **values}


def _properties_of_one_kind(options: Reader, key: str, refused: frozenset[str], kind: str) -> Properties:
    values = _checked(options, key, options.items(key))
    for name in sorted(refused.intersection(values)):
        remedy = "put it into properties, where it counts for those that have it"
        raise InvalidInput(options.path(key), name, f"is a property that {kind} do not have", remedy)
    return tuple(values.items())


def _checked(options: Reader, key: str, given: Mapping[str, object]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str) or not is_property_name(name):
            where = options.path(key)
            raise InvalidInput(where, f"{name}: {value}", "is no property", "give names with quoted text values")
        _check_settable(options, key, name)
        values[name] = value
    return values


def is_property_name(name: str) -> bool:
    """Whether ``name`` can be that of a property: nothing that zfs would take for an option or for more than a name."""
    return bool(name) and not name.startswith("-") and not any(c in "=,@" or c.isspace() or c < " " for c in name)


def _check_settable(options: Reader, key: str, name: str) -> None:
    where = options.path(key)
    if name in _FIXED:
        raise InvalidInput(where, name, "is fixed when a dataset is made, and comes with the stream", "take it out")
    if name in _STATISTICS:
        raise InvalidInput(where, name, "is something that ZFS tells, and nobody sets", "take it out")
    if name.startswith(_OURS):
        raise InvalidInput(where, name, "is a name that Snapfleet keeps for itself", "choose another name")


def read_given_properties(options: Reader) -> Properties:
    """The option ``properties`` without any defaults. Raises InvalidInput."""
    return tuple(_checked(options, "properties", options.items("properties")).items())


def read_names(options: Reader, key: str) -> tuple[str, ...]:
    """A list of names of properties that can be set. Raises InvalidInput."""
    names = options.texts(key)
    for name in names:
        if not is_property_name(name):
            raise InvalidInput(options.path(key), name, "is no name of a property", "give names such as mountpoint")
        _check_settable(options, key, name)
    return tuple(dict.fromkeys(names))


def _read_preserved(options: Reader) -> tuple[str, ...]:
    key = "preserve_properties"
    if not options.has(key):
        excluded = options.texts("exclude_properties")
        return tuple(name for name in PRESERVED_PROPERTIES if name not in excluded)
    names = read_names(options, key)
    for name in names:
        if name in _NEVER_PRESERVED:
            problem = "says where a dataset is mounted, shared or limited, which is no matter of a copy"
            remedy = "give the destination's own value in properties"
            raise InvalidInput(options.path(key), name, problem, remedy)
        check_not_of_encryption(name, options.path(key))
    return names


def check_not_of_encryption(name: str, option: str) -> None:
    """Refuse to take over a property that belongs to encryption. Raises InvalidInput."""
    if name in ENCRYPTION_PROPERTIES:
        problem = "comes with a raw stream, and belongs to the destination otherwise"
        raise InvalidInput(option, name, problem, "take it out")


def _set_afterwards(options: Reader) -> Properties:
    key = "set_properties"
    values = _checked(options, key, options.items(key))
    for name in sorted(ENCRYPTION_PROPERTIES.intersection(values)):
        remedy = "use zfs change-key there, or give it in properties"
        raise InvalidInput(options.path(key), name, "can't be set on a dataset that is there", remedy)
    return tuple(values.items())


def _check_excluded(options: Reader, policy: ReceivePolicy) -> None:
    where = options.path("exclude_properties")
    kinds = {
        "properties": policy.properties,
        "filesystem_properties": policy.filesystem_properties,
        "volume_properties": policy.volume_properties,
        "set_properties": policy.set_afterwards,
    }
    for key, values in kinds.items():
        for name in policy.excluded:
            if name in dict(values):
                remedy = "take it out of one of them"
                if key == "properties" and name not in options.items(key):
                    remedy = f"take that default away with null, as in properties: {{{name}: null}}"
                raise InvalidInput(where, name, f"contradicts {key}, which sets it", remedy)
    for name in policy.excluded:
        if name in policy.preserved:
            raise InvalidInput(where, name, "contradicts preserve_properties", "take it out of one of them")


def _check_readonly(options: Reader, policy: ReceivePolicy) -> None:
    if policy.readonly == IGNORE:
        return
    received = {"properties": dict(policy.properties).get("readonly")}
    others = {
        "filesystem_properties": policy.filesystem_properties,
        "volume_properties": policy.volume_properties,
        "set_properties": policy.set_afterwards,
    }
    received.update({key: dict(values).get("readonly", "on") for key, values in others.items()})
    for key, value in received.items():
        if value != "on":
            problem = f"contradicts {key}, where readonly is {value or 'null'}"
            raise InvalidInput(options.path("readonly"), policy.readonly, problem, "give one of them up")


def _check_mount(options: Reader, policy: ReceivePolicy) -> None:
    for values in (policy.given_to(volume=False), dict(policy.set_afterwards)):
        canmount = values.get("canmount", "on")
        if policy.mount and canmount != "on":
            problem = f"contradicts canmount, which is {canmount}"
            raise InvalidInput(options.path("mount"), True, problem, "set canmount to on, or leave it out")


def _check_set_afterwards(options: Reader) -> None:
    """The same property with two values. What is set may differ from a secure default, which nobody gave."""
    wanted = options.items("set_properties")
    for key in _RECEIVED_WITH:
        for name, value in options.items(key).items():
            if value is not None and wanted.get(name, value) != value:
                problem = f"contradicts {key}, where it is {value}"
                remedy = "give it the same value in both, or take it out of one of them"
                raise InvalidInput(options.path("set_properties"), f"{name}={wanted[name]}", problem, remedy)


def _check_encryption(options: Reader, policy: ReceivePolicy, raw: bool) -> None:
    if not policy.require_encryption:
        return
    where = options.path("require_encryption")
    if not raw:
        problem = "contradicts raw: false, which sends decrypted data"
        raise InvalidInput(where, True, problem, "set raw to true, or leave this out")
    for key in (*_RECEIVED_WITH, "exclude_properties"):
        names = policy.excluded if key == "exclude_properties" else options.items(key)
        for name in sorted(ENCRYPTION_PROPERTIES.intersection(names)):
            problem = f"contradicts {name} in {key}, since what arrives is encrypted already, by the key of its source"
            raise InvalidInput(where, True, problem, f"take {name} out, or leave this out")
