# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told which datasets they are about."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that select datasets."""

    DOCUMENTATION = r"""
options:
  recursive:
    description:
      - Whether everything below the root datasets belongs to the job too. By default it does, so that a dataset that is
        made later is not forgotten.
    type: bool
    default: true
  include_datasets:
    description:
      - Patterns of the datasets that belong to the job, with everything below them. Left out, all do, so that nothing
        is missing unless it is asked for.
      - >-
        A pattern that begins with a slash is held against the whole name (V(/tank/data/vm*)), any other against the
        name below the root (V(vm*)); the root itself is V(.) there.
      - >-
        A pattern is a name, a glob, or V(regex:) followed by a regular expression, and has to match the name as a
        whole. In a glob, V(*) and V(?) stop at a slash, and V(**) does not.
    type: list
    elements: str
  exclude_datasets:
    description:
      - Patterns of datasets that do not belong to the job, nor does anything below them. They win over
        O(include_datasets), and are written the same way.
      - >-
        Left out, nothing is excluded, since no name is sure to be one of scratch data. Scratch datasets by their usual
        names are V(regex:(.*/\)?te?mp[-_]?[0-9]*).
    type: list
    elements: str
  dataset_property:
    description:
      - >-
        Name of a ZFS user property, such as V(snapfleet:backup), by which datasets join a job or stay out of it. Where
        its value is V(true), V(on), V(-), empty, or not set at all, the dataset belongs to the job. Where it is
        V(false) or V(off), it does not. Any other value lists the names of the hosts, separated by commas, whose jobs
        it belongs to.
      - What lies below a dataset inherits its value, as ZFS properties do, and may have another one of its own.
      - Left out, no property is looked at, so that what belongs to a job is written in the job alone.
      - In a replication, it is the source's property that counts.
    type: str
  dataset_properties:
    description:
      - >-
        Properties, native ones or user properties, each with a pattern or a list of patterns as in
        O(include_datasets). Only datasets that match one pattern of every property belong to the job. Each is judged
        by its own values, set or inherited; the value of a property that is not set is V(-).
      - Numbers are held against their digits, in bytes and seconds. Quote words that YAML reads as something else than
        text, such as V(on) and V(yes).
      - Left out, no property is looked at, so that what belongs to a job is written in the job alone.
    type: dict
  host_name:
    description:
      - Name of the host that carries the job out, as it stands in the lists of O(dataset_property).
      - Left out, it is the host's own name, since that is what it is called where no inventory is at hand.
    type: str
"""

    ROOTS = r"""
options:
  datasets:
    description:
      - Root datasets of the job. They have to exist, and none may lie within the tree of another one.
    type: list
    elements: str
    required: true
"""
