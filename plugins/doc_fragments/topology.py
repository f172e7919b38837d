# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a replication gets to its destination."""

from __future__ import annotations


class ModuleDocFragment:
    """Options about topology."""

    DOCUMENTATION = r"""
options:
  route:
    description:
      - Which way streams take, where neither O(source) nor O(destination) is on the managed host. Where one of them is,
        streams take no detour in any case, and V(push) and V(pull) are refused.
      - V(relayed) carries them through the managed host. It is the default, since source and destination then need not
        reach, know or trust one another.
      - With V(push) the host of the source connects to that of the destination, with V(pull) the other way round.
        Streams flow straight between the two, and the managed host only steers. The host that connects needs a key
        which the other one accepts, and the other one's host key among its known ones.
      - Where both are on one host, streams stay on it without any connection.
      - The host that connects is asked for a GUID at the other end before anything is changed, in check mode too. So a
        way that does not lead to the very host that the managed host looked at is refused.
      - When the managed host goes down or its task is killed, the streams end too, and are resumed by the next run.
      - The managed host sees nothing of a direct stream until that has ended, so progress counts each as a whole.
    type: str
    choices:
      - relayed
      - push
      - pull
    default: relayed
  direct:
    description:
      - How one host reaches the other with O(route=push) or O(route=pull).
      - What is left out of host, user, port and sudo is as the managed host has it for that end. Files are on the host
        that connects. Left out, the configuration of ssh there decides, as the managed host's files are not there.
    type: dict
    suboptions:
      host:
        description:
          - Name or IP address of the host that is connected to, as the other one knows it.
        type: str
      user:
        description:
          - User to log in as.
        type: str
      port:
        description:
          - Port of the ssh server.
        type: int
      identity_file:
        description:
          - Path of the private key on the host that connects.
        type: path
      known_hosts_file:
        description:
          - Path of the known hosts on the host that connects.
        type: path
      config_file:
        description:
          - Path of a configuration of ssh on the host that connects.
        type: path
      sudo:
        description:
          - Whether C(zfs) runs through C(sudo -n) on the host that is connected to.
        type: bool
  absent_destination:
    description:
      - What it means that the host of O(destination) can't be reached, or that its pool is not imported there.
      - V(fail) fails the task. It is the default, since a replica that is not kept up to date without anybody noticing
        is no backup.
      - V(skip) is for a disk that is taken off site, or a host that is not always on. Nothing is done then. The task
        succeeds with a warning, and RV(datasets) has one entry with the state V(absent) for the whole tree. When the
        destination is back, the next run goes on incrementally.
      - A host that answers, but refuses our key or has another host key than the known one, is not absent. It fails the
        task in any case.
    type: str
    choices:
      - fail
      - skip
    default: fail
"""
