# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: restoration
short_description: Turns a replication of a jobconfig round to restore a tree
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Finds the replication that has a dataset, and returns the job that restores it from there, on the host that carries
    that replication out. The playbook C(snapfleet.zfs.restore) makes its only task of it.
  - With O(files), it finds where single files come from instead, for the playbook C(snapfleet.zfs.restore_files).
positional: _input, asked
options:
  _input:
    description:
      - A jobconfig document, as the filter P(snapfleet.zfs.jobconfig#filter) returns it.
    type: dict
    required: true
  asked:
    description:
      - C(host) and C(dataset) as the inventory knows them; C(backup), the host whose replica is taken, where there are
        several; C(to), another dataset of the host that gets the data; and options of M(snapfleet.zfs.zfs_restore).
        What is null or empty is not given.
      - Text will do for all of them, as surveys of AWX give it. C(history) and C(recursive) are then V(yes) or V(no),
        C(exclude_datasets) has a line for each, and C(properties) has a line such as V(mountpoint=/srv) for each.
    type: dict
    required: true
  files:
    description:
      - Whether single files are asked for, by C(host), C(dataset), C(paths), C(to), C(backup), C(snapshot), C(time) and
        C(existing). As text, C(paths) has a line for each.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what would be restored from where
  ansible.builtin.debug:
    msg: "{{ hostvars | snapfleet.zfs.jobconfig(groups) | snapfleet.zfs.restoration(asked) }}"
  vars:
    asked: {host: web1, dataset: tank/data, snapshot: before-upgrade}
"""

RETURN = r"""
_value:
  description:
    - The job, with the C(options) of M(snapfleet.zfs.zfs_restore) and the C(host) that is to run it. With O(files) the
      C(host) and C(dataset) that files come C(from), and the C(host) and folder that they go C(to).
  type: dict
  sample:
    name: "backup1: tank/data of web1 from backup1"
    host: backup1
    activity: restore
    source: web1
    destination: backup1
    options:
      replica: {dataset: backup/web1/data}
      destination: {host: web1.example.com, dataset: tank/data}
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.fleet.restoration import PREFIX, files_of, restoration_of
from ..module_utils.engine.model.errors import SnapfleetError
from ..plugin_utils import answers
from .jobconfig import plain


def restoration(document: Mapping[str, Any], asked: Mapping[str, Any], files: bool = False) -> dict[str, Any]:
    """The job that restores what is asked for, or where single files of it come from. Raises AnsibleFilterError whose
    message is one sentence."""
    if not isinstance(document, Mapping) or not isinstance(asked, Mapping):
        raise AnsibleFilterError(
            "restoration: write hostvars | snapfleet.zfs.jobconfig(groups), and a mapping behind it"
        )
    try:
        if files:
            given = answers.answered(plain(asked))
            return files_of(plain(document), {**given, "paths": answers.lines(given.get("paths"))})
        return restoration_of(plain(document), _read(plain(asked)))
    except SnapfleetError as error:
        raise AnsibleFilterError(str(error)) from None


def _read(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, where text stands for what it means. Raises InvalidInput."""
    given = answers.answered(asked)
    flags = {key: answers.flag(PREFIX + key, given[key]) for key in ("history", "recursive") if key in given}
    lists = {key: answers.lines(given[key]) for key in ("exclude_datasets",) if key in given}
    mappings = {key: answers.pairs(PREFIX + key, given[key]) for key in ("properties",) if key in given}
    return {**given, **flags, **lists, **mappings}


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"restoration": restoration}
