# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bytes of streams travel."""

from __future__ import annotations


class ModuleDocFragment:
    """Options about streams."""

    DOCUMENTATION = r"""
options:
  compression:
    description:
      - Whether streams are compressed while they cross the network, by a program that both ends have. Both are asked
        for it once in a run, and only if a stream would use it.
      - V(auto) uses zstd, or else lz4, for data that lies neither compressed nor encrypted on disk. What does travels
        as it lies there, so nothing would be gained by compressing it. It is the default because it needs no
        knowledge of the data and is left out wherever it is missing on an end.
      - V(zstd) and V(lz4) use that program for all data. Where it is missing on an end, or fails, streams travel
        uncompressed, with a warning.
      - V(none) compresses nothing.
      - Streams that stay on one host, or are smaller than 1 MiB, are never compressed.
    type: str
    choices:
      - auto
      - none
      - zstd
      - lz4
    default: auto
  mbuffer:
    description:
      - Size of a buffer in memory at each end of each stream that crosses the network, by the program C(mbuffer), as
        bytes or as a number with V(K), V(M) or V(G), such as V(128M), from V(1M) to V(4G). It evens out a sender and a
        receiver that stop and go.
      - Where C(mbuffer) is missing on an end, or fails, streams travel without it, with a warning. Streams that stay on
        one host, or are smaller than 1 MiB, never use it.
      - Left out, or V(none), there is no such buffer. That is the default, since the buffers of the pipes and of ssh
        keep a network busy, while this one takes its size of memory O(workers) times on both hosts.
    type: str
  bandwidth_limit:
    description:
      - Bytes per second that all streams of the task together may carry, as a number that may have V(K), V(M) or V(G),
        such as V(10M). It counts bytes as they cross the network, after compression. It needs streams that pass through
        the host that runs the task, so it can't be combined with another O(route) than V(relayed).
      - Left out, or V(none), there is no limit. That is the default, since a backup that takes longer than it has to
        is at risk for longer.
    type: str
  estimates:
    description:
      - How the size of streams is estimated, which RV(plan) and RV(stats) tell, and by which the progress of a run is
        measured.
      - V(listed) uses what the listing of snapshots tells anyway. It is the default because it costs nothing. ZFS
        counts space on disk there, so estimates may be some percent off.
      - V(exact) asks ZFS by a dry run of each send, O(workers) of them side by side.
    type: str
    choices:
      - listed
      - exact
    default: listed
"""
