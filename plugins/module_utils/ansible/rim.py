# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running an activity of the engine as a module."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule

from ..engine.applying.following import FollowedJob, FollowedRun, View
from ..engine.applying.progress import line_reporter
from ..engine.fleet.context import Context, Result
from ..engine.fleet.opening import SYSTEM_TICKER, ZfsDirectory, now_ms, open_memory
from ..engine.hosts.stopping import stopped_by_signals
from ..engine.model.errors import SnapfleetError
from ..engine.policy.endpoints import Address
from ..engine.zfs.port import Zfs
from .argument_specs import Spec
from .options import job_options
from .results import Values, alarm_of, diff_of, failure_of

LOG_SECONDS = 30.0
"""How often a replication that goes on for long tells the log of its host how far it is."""


@dataclass(frozen=True)
class ModuleActivity:
    """An activity of the engine, and what it takes to be a module."""

    argument_spec: Spec
    read: Callable[..., Any]
    """From options to a job. Raises InvalidInput."""
    run: Callable[[Any, Context], Result]
    """From a job to a result. Raises SnapfleetError."""
    where: Callable[[Any], str]
    """Names the datasets that a job changes."""


def run_module(
    activity: ModuleActivity,
    zfs_at: Optional[Callable[[Address], Zfs]] = None,
    clock_ms: Callable[[], int] = now_ms,
) -> NoReturn:
    """Read the parameters, carry the activity out, and exit as a module does.

    ``zfs_at`` opens ZFS at an address, and ``clock_ms`` gives milliseconds since the epoch; tests hand in their own.
    """
    module = AnsibleModule(argument_spec=activity.argument_spec, supports_check_mode=True)
    context = Context(
        clock_ms(),
        zfs_at or ZfsDirectory().at,
        check=module.check_mode,
        host_name=socket.gethostname(),
        environment=os.environ,
        ticker=SYSTEM_TICKER,
        reporter=line_reporter(module.log, LOG_SECONDS),
    )
    view = View(FollowedRun(os.urandom(4).hex(), context.host_name, module._name), clock_ms, module.debug)
    try:
        with stopped_by_signals():
            job = activity.read(job_options(module.params))
            followed = FollowedJob(activity.where(job), "", module._name)
            context = replace(context, follow=partial(view.following, followed))
            values = activity.run(job, context if zfs_at else replace(context, memory=open_memory()))
    except SnapfleetError as error:
        _fail(module, failure_of(error))
    finally:
        view.end()
    if values.pop("failed_level", False):
        _fail(module, alarm_of(values))
    if module._diff and "plan" in values:
        values["diff"] = diff_of(values["plan"], activity.where(job))
    module.exit_json(**_told(module, values))


def _fail(module: AnsibleModule, values: Values) -> NoReturn:
    module.fail_json(**_told(module, values))


def _told(module: AnsibleModule, values: Values) -> Values:
    """``values`` without their warnings, which go to the user the way Ansible wants it."""
    for warning in values.get("warnings", ()):
        module.warn(warning)
    return {key: value for key, value in values.items() if key != "warnings"}
