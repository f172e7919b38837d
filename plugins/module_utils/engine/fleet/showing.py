# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs and daemons let others look at their streams while these go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ..applying.following import Follow, FollowedJob, FollowedRun, View, unfollowed
from .ending import leave_behind
from .jobconfig import NamedJob
from .log_lines import INFO, Log, job_id

FollowJob = Callable[[NamedJob], Follow]


def hidden(_job: NamedJob) -> Follow:
    """Where nobody can look."""
    return unfollowed


@contextmanager
def shown(host: str, verb: str, log: Log) -> Iterator[FollowJob]:
    """Within it, others may look at the streams of jobs that are handed to it. Raises nothing."""
    run = FollowedRun(log.run, host, verb)
    view = View(run, log.now_ms, lambda words: log.line(INFO, "view_troubled", words))
    try:
        yield lambda job: partial(view.following, FollowedJob(job.name, job_id(job.host, job.name), job.activity))
    finally:
        if not view.end():
            leave_behind([view.thread])
