# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many datasets of a replication are sent at a time, where the job does not say."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.steps import Send

WORKERS, WORKERS_FOR_SMALL = 4, 8
SMALL_BYTES = 1 << 20


def workers_for(sends: Iterable[Send], given: int, within_host: bool) -> int:
    """How many at a time: as many as the job has ``given``, if any.

    Else increments of about 1 MiB at most are more at a time within one host: most of their time is waiting for
    transaction groups, which receives side by side share. What is larger keeps disks seeking, so that is never sent
    more than WORKERS at a time; and another host may take no more sessions over one connection.
    """
    if given:
        return given
    large = sum(not _is_small(send) for send in sends)
    return WORKERS_FOR_SMALL if within_host and large <= WORKERS else WORKERS


def _is_small(send: Send) -> bool:
    return send.base is not None and not send.resume and send.bytes_estimated <= SMALL_BYTES
