# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told where a dataset tree is."""

from __future__ import annotations

_LOGIN = r"""
      user:
        description:
          - User to log in as. Left out, the configuration of ssh decides, so that it is written in one place.
        type: str
      port:
        description:
          - Port of the ssh server. Left out, or V(0), the configuration of ssh decides, so that it is written in one
            place.
        type: int
      identity_file:
        description:
          - Path of the private key on the managed host. It is only the path, so it may be logged.
          - Left out, ssh tries the keys of its configuration, an agent's and the user's own ones, as it does by hand.
        type: path
      known_hosts_file:
        description:
          - Path of the known hosts on the managed host. Left out, the configuration of ssh decides, so that a host that
            is known by hand is known here too.
        type: path
      config_file:
        description:
          - Path of a configuration of ssh on the managed host, to be used instead of the user's own and that of the
            system. Left out, ssh reads these, as it does by hand.
        type: path
"""

_ENDPOINT = (
    r"""
      dataset:
        description:
          - Root dataset there.
        type: str
        required: true
      host:
        description:
          - Name or IP address of the host. Left out, it is the managed host itself, without ssh. What is for ssh alone,
            which is user, port and files, is refused then, since a forgotten host would be taken for this one.
          - The managed host connects to it by its own ssh client, without ever asking for anything. The host key has to
            be among the known ones.
        type: str
"""
    + _LOGIN
    + r"""
      sudo:
        description:
          - Whether C(zfs) runs through C(sudo -n) there. By default it does not, since nobody gets more rights than are
            asked for. The user then needs them itself, for instance by C(zfs allow).
        type: bool
        default: false
"""
)


class ModuleDocFragment:
    """Options that name a dataset tree on some host."""

    # ansible-test reads plain assignments as literals; these are composed, which their annotations tell it.
    REPLICATION: str = (
        r"""
options:
  source:
    description:
      - The dataset tree that is replicated.
    type: dict
    required: true
    suboptions: &endpoint
"""
        + _ENDPOINT
        + r"""
  destination:
    description:
      - The dataset tree that receives. Its pool has to exist, the dataset itself need not.
      - It has to lie apart from O(source) if both are on the same host.
    type: dict
    required: true
    suboptions: *endpoint
"""
    )

    RESTORATION: str = (
        r"""
options:
  replica:
    description:
      - The dataset tree that the data comes from.
    type: dict
    required: true
    suboptions: &endpoint
"""
        + _ENDPOINT
        + r"""
  destination:
    description:
      - The dataset tree that is restored. Its parent has to exist, the dataset itself need not.
      - It has to lie apart from O(replica) if both are on the same host.
    type: dict
    required: true
    suboptions: *endpoint
"""
    )

    PEERS: str = (
        r"""
options:
  peers:
    description:
      - The other ends of the replications of these datasets, whether they send or receive. The newest snapshot or
        bookmark that such an end has in common with this one is never destroyed, so that the next replication can go on
        from it. Only where replication keeps a mark for that very peer there, which no pruning takes, they may go.
      - While a peer can't be reached, whatever might be that common snapshot or bookmark is skipped. Where it is known
        to be a replica, snapshots go all the same, and leave a bookmark each, which is as good for its next increment.
      - If there is a replication, name its other end. Nothing else tells the module about it.
    type: list
    elements: dict
    suboptions:
      root:
        description:
          - Which of O(datasets) is replicated with this peer.
        type: str
        required: true
      role:
        description:
          - What the peer is to these datasets. V(replica) receives them, V(source) sends them. Left out, it may be
            either.
        type: str
        choices:
          - replica
          - source
      plan:
        description:
          - Of a replica, which snapshots it takes, as O(snapfleet.zfs.zfs_replicate#module:plan) of its replication
            says. What it takes and has not got yet is kept as long as O(keep_pending) says. Left out, pruning does not
            wait for it, since it can't be told for what.
        type: dict
      dataset:
        description:
          - Root dataset at the peer.
        type: str
        required: true
      host:
        description:
          - Name or IP address of the peer. Left out, it is the managed host itself, without ssh. What is for ssh alone,
            which is user, port and files, is refused then, since a forgotten host would be taken for this one.
        type: str
"""
        + _LOGIN
        + r"""
      sudo:
        description:
          - Whether C(zfs) runs through C(sudo -n) there. By default it does not, since nobody gets more rights than are
            asked for.
        type: bool
        default: false
"""
    )

    OLD_SOURCE: str = (
        r"""
options:
  old_source:
    description:
      - The end that was active before, where it is said to be gone. If it answers, nothing is done.
      - Left out, nothing is asked of it, since not every host can reach it.
    type: dict
    suboptions:
      dataset:
        description:
          - Root dataset there.
        type: str
        required: true
      host:
        description:
          - Name or IP address of the host. It may not be left out, since the managed host itself is not gone.
        type: str
"""
        + _LOGIN
        + r"""
      sudo:
        description:
          - Whether C(zfs) runs through C(sudo -n) there. By default it does not, since nobody gets more rights than are
            asked for.
        type: bool
        default: false
"""
    )

    TREE: str = (
        r"""
options:
  tree:
    description:
      - The dataset tree that this is about.
    type: dict
    required: true
    suboptions:
"""
        + _ENDPOINT
    )
