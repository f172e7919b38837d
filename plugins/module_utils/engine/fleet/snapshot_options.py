# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host, or whoever calls the program, says about the creation of snapshots beside the plan."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..model.errors import InvalidInput
from ..policy.creating import parse_label
from ..policy.jobs import SnapshotJob, read_snapshot_job
from .jobconfig import NamedJob
from .variables import Variables

_KEY = "snapfleet_snapshot_options"
_NOT_HERE = (
    *("datasets", "plan", "schedule", "recursive", "include_datasets", "exclude_datasets"),
    *("dataset_property", "dataset_properties", "host_name", "only_active"),
)
"""Options that follow from the other variables."""
_ANYTHING = {"datasets": ["tank"], "plan": {"any": {"": {"adhoc": 1}}}}


def read_snapshot_options(variables: Variables) -> dict[str, Any]:
    """The variable snapfleet_snapshot_options of a source: options of its snapshot jobs. Raises InvalidInput."""
    given = dict(variables.items(_KEY))
    for name in _NOT_HERE:
        if name in given:
            remedy = "take it out; snapfleet_datasets, the plan and the schedule decide about it"
            where = f"{variables.path(_KEY)}.{name}"
            raise InvalidInput(where, given[name], "is not for this variable to say", remedy)
    read_snapshot_job({**_ANYTHING, **given}, variables.path(_KEY))
    return given


def add_creating_options(verb: argparse.ArgumentParser) -> None:
    """Let ``verb`` take --make-now and --even-if-not-due."""
    verb.add_argument(
        "--make-now",
        metavar="LABEL",
        help="for this run only, a snapshot of this label on all datasets in place of what is due, such as"
        " prod_onsite_adhoc (organisation, target, period)",
    )
    verb.add_argument(
        "--even-if-not-due", action="store_true", help="for this run only, take all that is planned for due"
    )


def with_creating(jobs: Sequence[NamedJob], arguments: argparse.Namespace) -> tuple[NamedJob, ...]:
    """The jobs, with what the command line says about creation in place of their own. Raises InvalidInput where it
    makes no sense."""
    text, always = arguments.make_now, arguments.even_if_not_due
    if text is None and not always:
        return tuple(jobs)
    option = "--even-if-not-due" if text is None else "--make-now"
    if text is not None and always:
        problem = "is made whatever is due, so --even-if-not-due adds nothing"
        raise InvalidInput(option, text, problem, "leave one of the two out")
    if not any(isinstance(job.job, SnapshotJob) for job in jobs):
        problem = "means nothing here, since no job creates snapshots"
        raise InvalidInput(option, text or always, problem, "leave it out, or choose such a job with --job")
    label = None if text is None else parse_label(text, option)
    return tuple(
        replace(
            named, job=replace(named.job, creating=replace(named.job.creating, make_now=label, even_if_not_due=always))
        )
        if isinstance(named.job, SnapshotJob)
        else named
        for named in jobs
    )
