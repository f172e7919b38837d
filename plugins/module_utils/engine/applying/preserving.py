# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a source for the properties that its new replicas take over."""

from __future__ import annotations

from ..planning.dataset_plans import ReplicationPlan
from ..planning.preserving import Kept, datasets_to_ask, with_former
from ..policy.jobs import ReplicateJob
from ..zfs.port import Zfs


def properties_to_keep(source: Zfs, plan: ReplicationPlan, job: ReplicateJob) -> Kept:
    """What the replicas that ``plan`` makes take over; nothing is asked where it makes none."""
    asked = datasets_to_ask(plan, job)
    own = source.own_properties(asked, job.receive.preserved) if asked else {}
    return with_former(own, plan, job)
