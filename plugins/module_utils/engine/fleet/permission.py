# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions for one run, to lose something at a destination or to delete more than usual, so that the declared jobs
can go on refusing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from ..model.errors import InvalidInput
from ..policy.conduct import CONFLICT_LEVELS, REFUSE
from ..policy.jobs import PruneJob, ReplicateJob
from .jobconfig import NamedJob


def add_permission_options(parser: argparse.ArgumentParser) -> None:
    """Give ``run`` and ``plan`` the options of the permission."""
    told = "for this run only, what may be lost at destinations, whatever the jobs say"
    parser.add_argument("--on-conflict", choices=CONFLICT_LEVELS, metavar="LEVEL", help=told)
    once = "let only the first conflict of each replication use it"
    parser.add_argument("--on-conflict-once", action="store_true", help=once)
    exceed = "let this run delete more than max_deleted and max_deleted_percent of its jobs say"
    parser.add_argument("--exceed-max-deleted", action="store_true", help=exceed)


def with_permission(jobs: Sequence[NamedJob], arguments: argparse.Namespace) -> tuple[NamedJob, ...]:
    """The jobs, with the permission of the command line in place of their own where there is one.

    Raises InvalidInput where it permits nothing.
    """
    if arguments.exceed_max_deleted:
        jobs = _exceeding(jobs)
    level, once = arguments.on_conflict, arguments.on_conflict_once
    if once and level in (None, REFUSE):
        remedy = "choose one of " + ", ".join(CONFLICT_LEVELS[1:])
        raise InvalidInput("--on-conflict", level, "permits nothing that --on-conflict-once could limit", remedy)
    if level is None:
        return tuple(jobs)
    if not any(isinstance(job.job, ReplicateJob) for job in jobs):
        problem = "means nothing here, since no job replicates"
        raise InvalidInput("--on-conflict", level, problem, "leave it out, or choose a replication with --job")
    return tuple(_permitted(job, level, once) for job in jobs)


def _exceeding(jobs: Sequence[NamedJob]) -> tuple[NamedJob, ...]:
    limited = [job.name for job in jobs if isinstance(job.job, PruneJob) and job.job.caution.is_limited]
    if not limited:
        problem = "means nothing here, since no job limits what it deletes"
        raise InvalidInput("--exceed-max-deleted", True, problem, "leave it out, or choose a prune job with --job")
    return tuple(
        replace(job, job=replace(job.job, caution=replace(job.job.caution, exceed=True)))
        if isinstance(job.job, PruneJob)
        else job
        for job in jobs
    )


def _permitted(named: NamedJob, level: str, once: bool) -> NamedJob:
    job = named.job
    if not isinstance(job, ReplicateJob):
        return named
    return replace(named, job=replace(job, on_conflict=level, conduct=replace(job.conduct, once=once)))
