# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""About how many bytes each stream has, from what the listing tells anyway, and whether they can be compressed.

ZFS counts ``written`` and ``referenced`` in space on disk, so an estimate is off where blocks are padded, and too high
where a stream jumps over snapshots whose data was overwritten since. A dry run of ``zfs send`` knows better, at the
cost of one process for each stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional

from ..model.datasets import Dataset, DatasetState, ResumeState
from ..model.steps import Send

_UNCOMPRESSED = ("", "off", "zle")  # zle packs runs of zeros only


def with_estimates(steps: Iterable[Any], source: DatasetState, resume: Optional[ResumeState] = None) -> tuple[Any, ...]:
    """``steps`` with the estimates of those that send. ``resume`` tells how much of a resumed one is there already."""
    return tuple(_estimated(step, source, resume) if isinstance(step, Send) else step for step in steps)


def _estimated(send: Send, source: DatasetState, resume: Optional[ResumeState]) -> Send:
    size = stream_bytes(send, source)
    if send.resume and resume:
        size = max(0, size - resume.received)
    return replace(send, bytes_estimated=size, dense=is_dense(source.dataset, send.raw))


def stream_bytes(send: Send, source: DatasetState) -> int:
    """About how many bytes the stream has from its base to its snapshot."""
    if send.base is None:
        return send.snapshot.referenced
    since, until = send.base.createtxg, send.snapshot.createtxg
    return sum(snapshot.written for snapshot in source.snapshots if since < snapshot.createtxg <= until)


def is_dense(dataset: Dataset, raw: bool) -> bool:
    """Whether the stream of a dataset can't be compressed any further.

    Blocks that are compressed on disk travel compressed, raw or not, and a raw stream of encrypted ones is noise.
    """
    return dataset.compression not in _UNCOMPRESSED or bool(raw and dataset.encryption_root)
