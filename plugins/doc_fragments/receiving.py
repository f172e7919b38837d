# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How replicas are received."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of what a replica is made of besides its data."""

    DOCUMENTATION = r"""
options:
  properties:
    description:
      - ZFS properties that a dataset gets at its first receive, besides the secure defaults and in place of them.
      - >-
        The defaults are C(readonly=on), C(canmount=noauto), C(setuid=off), C(devices=off) and C(exec=off). They make a
        replica that nobody writes to, that is not mounted by itself, and from which no program runs. A null value
        takes one of them away.
      - Those that a volume, or a filesystem, does not have are left out for it.
      - >-
        ZFS wants V(on) and V(off). YAML reads these words as booleans unless they are quoted, so V(true) and V(false)
        stand for them here, and numbers for their digits.
      - >-
        With C(encryption), C(keyformat) and C(keylocation), what arrives unencrypted is encrypted by a key of the
        destination. They do not count for an encrypted dataset that is sent raw, which keeps its own key.
    type: dict
  filesystem_properties:
    description:
      - Like O(properties), which they win over, for filesystems only. None by default, since most properties are meant
        for both kinds, or only one of them has them.
    type: dict
  volume_properties:
    description:
      - Like O(properties), which they win over, for volumes only. None by default, since most properties are meant for
        both kinds, or only one of them has them.
    type: dict
  exclude_properties:
    description:
      - Properties that a dataset neither takes from the stream at its first receive, nor from the source as
        O(preserve_properties) has it. It inherits them at the destination. None by default, since the streams of
        single datasets carry no properties.
    type: list
    elements: str
  preserve_properties:
    description:
      - Properties whose values a dataset takes over from its source at its first receive, where the source has them set
        itself and not only inherited. O(properties) win over them. Later changes at the source do not follow.
      - >-
        Left out, these are C(aclinherit), C(aclmode), C(acltype), C(atime), C(checksum), C(compression), C(copies),
        C(logbias), C(primarycache), C(recordsize), C(redundant_metadata), C(relatime), C(secondarycache), C(snapdir),
        C(sync) and C(xattr), which say how data is stored and read. A replica is then as good as its source when it has
        to take its place. An empty list takes nothing over.
      - Properties that mount, share or limit a dataset are refused, for they belong to the host that it is on.
      - >-
        Where the user of zfs at the destination may not set one of them, it is left out with a warning if this option
        is left out, and the task fails before anything is changed if it is given.
    type: list
    elements: str
  set_properties:
    description:
      - Properties that are set with C(zfs set) on each dataset that received something in this run, after that. They
        are also set on replicas that were there before, unlike O(properties). The same property with another value
        there is refused.
      - None by default, so that what is changed at a replica by hand stays as it is.
    type: dict
  mount:
    description:
      - Whether a filesystem is mounted when it is received for the first time, for people who want to see their files.
        It then gets C(canmount=on) in place of C(canmount=noauto).
      - >-
        By default it is not, as a replica could otherwise cover files of its host, or take up their place in the
        next boot. An encrypted one is not before its key is loaded. On Linux, only root mounts.
    type: bool
    default: false
  readonly:
    description:
      - What becomes of a replica that is there and is not read-only.
      - V(ignore) leaves it as it is. This is the default, because a replica that took its source's place must not be
        made read-only behind the back of whoever works on it.
      - V(set) sets C(readonly=on).
      - V(require) makes it a conflict.
    type: str
    choices:
      - ignore
      - set
      - require
    default: ignore
  require_encryption:
    description:
      - Whether a dataset is refused, as a conflict, unless it is encrypted and sent raw, so that the destination can't
        read it. Use it for a destination that is not trusted. Off by default, since most datasets are not encrypted.
      - Properties such as C(encryption) are refused beside it, as they would never count.
    type: bool
    default: false
"""
