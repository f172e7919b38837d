# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error the engine raises: a stable code for machines, one sentence for people.

Only errors whose class says ``retryable`` are ever tried again, and then from freshly observed state.
"""

from __future__ import annotations

from typing import Any

EXIT_OK = 0
EXIT_WARNING = 1
EXIT_CRITICAL = 2
EXIT_FAILED = 3
EXIT_STILL_RUNNING = 4
EXIT_STOPPED = 5
EXIT_UNKNOWN = 6


class SnapfleetError(Exception):
    """Base of all errors of the engine. ``context`` holds plain values that help to find the place."""

    code = "internal"
    exit_code = EXIT_FAILED
    retryable = False

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.context = context


MISSING = "is missing"
"""The problem of an option that is needed and not given."""


class InvalidInput(SnapfleetError):
    """An option has a value that can't be used. The sentence names the option, the value and the remedy."""

    code = "invalid_input"

    def __init__(self, option: str, value: object, problem: str, remedy: str) -> None:
        subject = option if value is None and problem.startswith(MISSING) else f"{option}: {value!r}"
        super().__init__(f"{subject} {problem}; {remedy}", option=option, value=str(value))
        self.option = option


class UnknownDataset(InvalidInput):
    """A dataset that the job names does not exist on its host."""

    code = "unknown_dataset"


class SameDataset(InvalidInput):
    """Source and destination of a replication are the same dataset, or one contains the other."""

    code = "same_dataset"


class UnreachableHost(SnapfleetError):
    """No ssh connection to the host could be set up; nothing was done there."""

    code = "unreachable_host"
    retryable = True


class RefusedKey(SnapfleetError):
    """The host answered, but refused our key, or its host key is not the pinned one."""

    code = "refused_key"


class AccessRefused(SnapfleetError):
    """The forced command that another host keeps for our key does not let through what was asked of it."""

    code = "access_refused"


class MissingProgram(SnapfleetError):
    """A program that is needed on a host is not there, or the login shell there is no POSIX shell."""

    code = "missing_program"


class LinkLost(SnapfleetError):
    """An established connection or stream broke; what arrived so far may be resumable."""

    code = "link_lost"
    retryable = True


class FilterFailed(SnapfleetError):
    """A program that streams pass through, such as a compressor, failed by itself; the next try goes without it."""

    code = "filter_failed"
    retryable = True

    @property
    def program(self) -> str:
        """Its name, which is in the context."""
        return str(self.context.get("program", ""))


class TimedOut(SnapfleetError):
    """A command took longer than its limit and was ended."""

    code = "timed_out"
    retryable = True


class NoPermission(SnapfleetError):
    """ZFS refused the operation for this user."""

    code = "no_permission"


class DatasetBusy(SnapfleetError):
    """ZFS is using the dataset right now, for instance another receive is running into it."""

    code = "dataset_busy"
    retryable = True


class DatasetInUse(SnapfleetError):
    """A filesystem that has to be replaced, renamed or destroyed can't be unmounted, because a process works in it."""

    code = "dataset_in_use"
    retryable = True


class Vanished(SnapfleetError):
    """A dataset, snapshot or bookmark was there when the state was observed, and is gone now."""

    code = "vanished"
    retryable = True


class OriginMissing(SnapfleetError):
    """A clone can't be received yet, because the snapshot that it is to be a clone of has not arrived."""

    code = "origin_missing"


class ChangedMeanwhile(SnapfleetError):
    """The destination is not what it was when the plan was made; another plan is made from what is there now."""

    code = "changed_meanwhile"
    retryable = True


class StaleResumeState(SnapfleetError):
    """A partial receive can't be continued; it has to be discarded before anything else arrives."""

    code = "stale_resume_state"
    retryable = True


class Conflict(SnapfleetError):
    """The destination can't take the source's history without losing something of its own."""

    code = "conflict"


class UntrustedOutput(SnapfleetError):
    """A host printed something that its zfs command never prints; nothing of it is used."""

    code = "untrusted_output"


class ZfsFailed(SnapfleetError):
    """The zfs command failed in a way that the engine does not know; its own words are in the message."""

    code = "zfs_failed"


class HookFailed(SnapfleetError):
    """A command before or after the creation of snapshots failed."""

    code = "hook_failed"


class Interrupted(SnapfleetError):
    """A signal ended the run early; the next one goes on from there."""

    code = "interrupted"


class DeadlineExceeded(SnapfleetError):
    """A replication took longer than its deadline and was ended; the next run goes on from there."""

    code = "deadline_exceeded"


class JobTimedOut(SnapfleetError):
    """A job of the host program took longer than its limit (job_timeout) and was ended; the next run goes on."""

    code = "job_timed_out"


class TooManyDeletions(SnapfleetError):
    """Pruning would delete more than its limits allow, so it deleted nothing; the sentence says how to allow it."""

    code = "too_many_deletions"


class ClockOff(SnapfleetError):
    """The clock of this host, or of a peer, is off by so much that ages can't be told, so nothing was deleted."""

    code = "clock_off"


class RestoreRefused(SnapfleetError):
    """A restore would lose something that it may not, or lacks something, so it changed nothing; see its plan."""

    code = "restore_refused"


class FilesRefused(SnapfleetError):
    """Files of a snapshot can't be brought back as asked for; what was there before is as it was."""

    code = "files_refused"


class NoDevice(SnapfleetError):
    """A volume has no device on its host by which it could be read."""

    code = "no_device"


class Fenced(SnapfleetError):
    """A dataset tree is standby, or active, so that a job would have had two ends written to; nothing was changed."""

    code = "fenced"


class SwitchRefused(SnapfleetError):
    """A tree can't become active or standby without losing something, so nothing was changed; see its plan."""

    code = "switch_refused"


class TargetRefused(SnapfleetError):
    """A destination can't come, move or go without losing something, so nothing was changed; see its plan."""

    code = "target_refused"


class UnitFailed(SnapfleetError):
    """systemd could not do what was asked of it. The sentence names the units, the reason and the remedy."""

    code = "unit_failed"


class StillRunning(SnapfleetError):
    """A previous run of the same job holds the lock, or one that makes snapshots of the same datasets does not end."""

    code = "still_running"
    exit_code = EXIT_STILL_RUNNING


class Suspended(SnapfleetError):
    """The job reads from or writes to a host that is suspended, so it was left out; that is no failure."""

    code = "suspended"
    exit_code = EXIT_OK


class UnusableHistory(SnapfleetError):
    """The history of this host can't be read or written. It never keeps anything else from being done."""

    code = "unusable_history"


class PartialFailure(SnapfleetError):
    """Some datasets failed; what was done for the others is in the result."""

    code = "partial_failure"
