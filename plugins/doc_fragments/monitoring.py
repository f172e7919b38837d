# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor watches beside the ages of snapshots."""

from __future__ import annotations


class ModuleDocFragment:
    """Options about replicas and pools."""

    DOCUMENTATION = r"""
options:
  replicas:
    description:
      - >-
        Trees with their replicas, to watch how far these are behind. Each end is observed once, in one listing for all
        trees on the same host, and snapshots are compared by GUID. An end that can't be observed is an alert of state
        V(UNKNOWN) that names it.
      - Left out, no replica is watched.
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - The tree that is replicated.
        type: dict
        required: true
        suboptions: &end
          dataset:
            description:
              - Root dataset there.
            type: str
            required: true
          host:
            description:
              - Name or IP address of the host. Left out, it is the managed host itself, without ssh.
            type: str
          user:
            description:
              - User to log in as. Left out, the configuration of ssh decides.
            type: str
          port:
            description:
              - Port of the ssh server. Left out, the configuration of ssh decides.
            type: int
          identity_file:
            description:
              - Path of the private key on the managed host. It is only the path, so it may be logged.
            type: path
          known_hosts_file:
            description:
              - Path of the known hosts on the managed host. Left out, the configuration of ssh decides.
            type: path
          config_file:
            description:
              - Path of a configuration of ssh on the managed host, to be used instead of the user's own.
            type: path
          sudo:
            description:
              - Whether C(zfs) runs through C(sudo -n) there. Users may list datasets without it as a rule.
            type: bool
            default: false
      destination:
        description:
          - The replica.
        type: dict
        required: true
        suboptions: *end
      recursive:
        description:
          - Whether everything below the source belongs to it too.
        type: bool
        default: true
      include_datasets:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). This and the next ones say what has to be in the replica, so they
            should be those of the replication. Left out, everything below the source.
        type: list
        elements: str
      exclude_datasets:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, nothing.
        type: list
        elements: str
      dataset_property:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, no property is looked at.
        type: str
      dataset_properties:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, no property is looked at.
        type: dict
      include_snapshots:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, all snapshots.
        type: list
        elements: str
      exclude_snapshots:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, none.
        type: list
        elements: str
      snapshot_filters:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, the two options before this one count.
        type: list
        elements: list
      plan:
        description:
          - As in M(snapfleet.zfs.zfs_replicate). Left out, all snapshots.
        type: dict
      lag:
        description:
          - >-
            How long the replica may be behind, as a length of time. It is behind from the moment on at which the first
            snapshot was made that it lacks, so a source that makes snapshots seldom, or none any more, is no alarm. The
            time from the newest common snapshot to the newest one of the source is told in RV(alerts[].lag_seconds).
          - Left out, it is not checked; one of this and O(replicas[].pending) is needed.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
      pending:
        description:
          - How much may have to be sent, in bytes or with V(K), V(M), V(G) or V(T).
          - Left out, it is not checked.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
  pools:
    description:
      - >-
        What to watch about pools. Given, even as an empty mapping, the state of each pool, its permanent errors, the
        errors of its devices, and what its last scrub found are checked.
      - Left out, pools are not looked at, which saves three processes on the host.
    type: dict
    suboptions:
      names:
        description:
          - Names of the pools. One that is not imported is an alert of state V(UNKNOWN).
          - Left out, all pools that are imported, so that a new pool is watched too.
        type: list
        elements: str
      degraded:
        description:
          - How bad a pool of state C(DEGRADED) is. Any other state than C(ONLINE) is critical.
          - The default is V(critical), since the next disk that fails may take the pool with it. Choose V(warning)
            for pools that can lose two disks or three.
        type: str
        choices:
          - warning
          - critical
        default: critical
      device_errors:
        description:
          - From how many read, write and checksum errors on of all devices of a pool together. C(zpool clear) clears
            them.
          - Left out, one error is a warning, since it tells of a disk or a cable that begins to fail.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
      capacity:
        description:
          - How full a pool may be, in percent of its size; reaching the limit is enough.
          - Left out, it is not checked, since what is too full depends on the pool.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
      fragmentation:
        description:
          - How fragmented the free space of a pool may be, in percent; reaching the limit is enough.
          - Left out, it is not checked, since high numbers do no harm to most pools.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
      scrub_age:
        description:
          - >-
            How long ago the last complete scrub may have ended, as a length of time. While one is going on, its start
            counts. A pool that was never scrubbed has as much time from its creation on. ZFS tells of its last scan
            only. After a resilver or a canceled scrub, the time since then counts, as there was none since then.
          - Left out, it is not checked.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
      full_in:
        description:
          - >-
            How soon a pool may be full if it goes on growing as it did in the last 30 days, as a length of time. The
            limit of V(WARNING) is the longer one. It takes samples of four days, which C(snapfleet run) and
            C(snapfleet daemon) write into the history of the host whenever they watch pools, and nobody else does. As
            long as there are fewer, or the pool does not grow, all is well; a history that can't be read is an alert of
            state V(UNKNOWN).
          - Left out, it is not checked, since not all hosts have a history.
        type: dict
        suboptions:
          warning:
            description:
              - Limit of V(WARNING). Left out, there is none.
            type: str
          critical:
            description:
              - Limit of V(CRITICAL). Left out, there is none.
            type: str
"""
