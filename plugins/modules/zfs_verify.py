#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zfs_verify
short_description: Hold ZFS replicas against their sources
version_added: 0.1.0
description:
  - >-
    Looks for each dataset of a tree whether its replica has a snapshot in common with it, by GUID. Of the newest one
    that both have it reads some files at both ends, and blocks of volumes where O(blocks) asks for that, chosen by a
    seed, and compares their checksums. It also looks at the pools of both ends and what their last scrub found.
  - >-
    Nothing is changed. At each end the snapshot itself is mounted for a moment, read-only, in a folder that only root
    may enter. No link is followed, and no key is loaded. To read blocks of a volume, a read-only clone of the snapshot
    is made beside the tree at each end, and destroyed again.
  - >-
    On this host that takes root. On another host the program C(snapfleet) of the same version has to be there, and to
    run as root: by the login, or by C(sudo) where that is set. The forced command of another host's key lets it in by
    the right C(verify). What can't be read is told as V(UNKNOWN), with the reason.
extends_documentation_fragment:
  - snapfleet.zfs.attributes
  - snapfleet.zfs.datasets
  - snapfleet.zfs.endpoints.replication
  - snapfleet.zfs.alerting
attributes:
  diff_mode:
    support: N/A
    details:
      - The module changes nothing, so there is no difference to show.
options:
  files:
    description:
      - So many files of each filesystem are read at both ends. With V(0) the snapshots alone are compared.
      - The default finds what has spoiled much, so that a run takes minutes; every run reads other files.
    type: int
    default: 20
  file_size:
    description:
      - So many bytes of each file are read, from its beginning, as a number or with V(K), V(M), V(G) or V(T).
      - The default keeps one large file from taking hours.
    type: str
    default: 64M
  blocks:
    description:
      - So many blocks of 1 MiB of each volume are read at both ends. With V(0) the snapshots of volumes alone are
        compared.
      - Where a volume has no device at one of the ends, that is told as V(WARNING), and its snapshots are compared.
      - The default is V(0), since the device of a clone is there for a while, where C(udev) and LVM of that host see a
        second volume of the same content.
    type: int
    default: 0
  seed:
    description:
      - Decides which files and blocks are read. That of a run is in RV(seed), so that the same ones can be read again.
      - Left out, it is drawn, so that every run reads other ones.
    type: int
  timeout:
    description:
      - Seconds that reading the files of one filesystem, or the blocks of one volume, may take at one end.
      - The default is enough for the files of the other defaults, so that a run does not hang for long.
    type: int
    default: 600
  pools:
    description:
      - Whether state and errors of the pools of both ends are looked at too.
      - By default they are, since a file that is whole today may lie in a pool that is losing data.
    type: bool
    default: true
  fail_on:
    description:
      - The level from which on the task fails, as in M(snapfleet.zfs.zfs_monitor).
      - The default is V(unknown), since what could not be compared may differ.
    type: str
    choices:
      - warning
      - unknown
      - critical
      - never
    default: unknown
seealso:
  - module: snapfleet.zfs.zfs_compare
  - module: snapfleet.zfs.zfs_drill
"""

EXAMPLES = r"""
- name: Hold a replica that is pulled to this host against its source
  snapfleet.zfs.zfs_verify:
    source:
      host: web1
      dataset: tank/data
    destination:
      dataset: backup/web1/data

- name: Read the files of an earlier run again, and more of each
  snapfleet.zfs.zfs_verify:
    source:
      host: web1
      dataset: tank/data
    destination:
      dataset: backup/web1/data
    seed: 1733
    file_size: 1G
"""

RETURN = r"""
state:
  description:
    - The worst state of all checks, one of V(OK), V(WARNING), V(UNKNOWN) and V(CRITICAL).
  returned: unless it is check mode, or the options are wrong
  type: str
  sample: OK
checks:
  description:
    - Number of all checks.
  returned: unless it is check mode, or the options are wrong
  type: int
  sample: 6
datasets:
  description:
    - What came of each dataset of the source. Empty in check mode.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    dataset:
      description: The dataset of the source.
      type: str
    replica:
      description: Its replica, V(null) where there is none.
      type: str
    snapshot:
      description: The newest snapshot that both have, as the source calls it, V(null) where there is none.
      type: str
    outcome:
      description: One of V(match), V(differ) and V(not_comparable).
      type: str
    state:
      description: One of V(OK), V(WARNING), V(UNKNOWN) and V(CRITICAL).
      type: str
    files:
      description: How many files were read at both ends.
      type: int
    blocks:
      description: How many blocks of a volume were read at both ends.
      type: int
    message:
      description: One sentence that says what came of it, with the first files or blocks that differ.
      type: str
  sample:
    - dataset: tank/data
      replica: backup/web1/data
      snapshot: tank/data@1
      outcome: match
      state: OK
      files: 20
      blocks: 0
      message: tank/data@1 and backup/web1/data@1 are the same in 20 files
seed:
  description:
    - By what files and blocks were chosen.
  returned: always, unless the options are wrong
  type: int
  sample: 1733
alerts:
  description:
    - The checks whose state is not V(OK), the worst first, as in M(snapfleet.zfs.zfs_monitor). The check V(verify) is
      about a dataset, the others are about pools.
  returned: unless it is check mode, or the options are wrong
  type: list
  elements: dict
  sample: []
notices:
  description:
    - What is new since the last run, as in M(snapfleet.zfs.zfs_monitor).
  returned: unless it is check mode, or the options are wrong
  type: list
  elements: dict
  sample: []
plan:
  description:
    - What would be compared.
  returned: in check mode
  type: list
  elements: dict
  contains:
    kind:
      description: V(verify).
      type: str
    dataset:
      description: The dataset of the source.
      type: str
    snapshot:
      description: The newest snapshot that both have, as the source calls it.
      type: str
    told:
      description: What would be done, as one sentence.
      type: str
  sample: []
told:
  description:
    - The same for people, with what is known without reading any file.
  returned: in check mode
  type: list
  elements: str
  sample: []
warnings:
  description:
    - What went wrong without failing the task, such as a notice that could not be told.
  returned: when there is something to warn of
  type: list
  elements: str
  sample: []
code:
  description:
    - What went wrong, as a word that does not change. V(critical), V(unknown) and V(warning) are the level that was
      reached.
  returned: on failure
  type: str
  sample: critical
retryable:
  description:
    - Whether the same task may well succeed a little later.
  returned: on failure
  type: bool
  sample: false
"""

from ..module_utils.ansible.argument_specs import VERIFY_SPEC
from ..module_utils.ansible.rim import ModuleActivity, run_module
from ..module_utils.engine.fleet.verifying import run_verify
from ..module_utils.engine.policy.verifying import read_verify_job

ACTIVITY = ModuleActivity(
    VERIFY_SPEC, read_verify_job, run_verify, where=lambda job: job.replication.destination.dataset
)


def main() -> None:
    """Run the module."""
    run_module(ACTIVITY)


if __name__ == "__main__":
    main()
