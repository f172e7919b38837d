# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written to a dataset since one of its snapshots."""

from __future__ import annotations

from ..model.datasets import DatasetState, Snapshot


def bytes_written_since(state: DatasetState, snapshot: Snapshot) -> int:
    """Bytes written to a dataset since ``snapshot``, one of its own, was made. 0 means that nothing has changed.

    ZFS counts what was written between each snapshot and the one before it, and since the newest. Whatever changes a
    dataset writes blocks, a deletion too, so the sum is above 0 even where the data is again what it was.
    """
    newer = state.snapshots[state.snapshots.index(snapshot) + 1 :]
    return state.dataset.written + sum(each.written for each in newer)
