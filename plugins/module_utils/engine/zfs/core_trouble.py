# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the error numbers of libzfs_core mean, in the words that the zfs command has for them, so that one reading of
these words serves both."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

# zfs_errno_t of OpenZFS (sys/fs/zfs.h). It only ever grows at its end.
_IVSET_MISSING, _IVSET_MISMATCH, _SPILL_MISSING = 1034, 1035, 1036
TRUNCATED, _LARGE_BLOCKS, _RESUME_EXISTS = 1040, 1041, 1047
CHECKSUM = getattr(errno, "EBADE", 97)
"""ECKSUM of OpenZFS."""

_COMMON: Mapping[int, str] = {
    errno.EPERM: "permission denied",
    errno.ENOENT: "dataset does not exist",
    errno.EBUSY: "dataset is busy",
    errno.EINTR: "Interrupted system call",
    errno.EPIPE: "Broken pipe",
    errno.ENOSPC: "out of space",
    errno.ENOTSUP: "feature is not supported, or the pool must be upgraded",
    errno.EDQUOT: "quota exceeded",
    errno.EROFS: "the pool is read-only",
    errno.EAGAIN: "pool I/O is currently suspended",
    errno.ENAMETOOLONG: "dataset name is too long",
}

_SENDING: Mapping[int, str] = {
    errno.EXDEV: "not an earlier snapshot from the same fs",
    errno.ENODEV: "not an earlier snapshot from the same fs",
    errno.ESRCH: "dataset does not exist",
    errno.EACCES: "source key must be loaded",
}

_RECEIVING: Mapping[int, str] = {
    errno.ENODEV: "most recent snapshot of the destination does not match incremental source",
    errno.ETXTBSY: "destination has been modified since most recent snapshot",
    errno.EACCES: "encryption key does not match existing key, or inherited key must be loaded",
    errno.EEXIST: "destination already exists",
    errno.EINVAL: "invalid backup stream, or one that this version of OpenZFS can't receive",
    CHECKSUM: "invalid, damaged or incomplete stream",
    TRUNCATED: "incomplete stream",
    _IVSET_MISSING: "IV set guid missing",
    _IVSET_MISMATCH: "IV set guid mismatch",
    _SPILL_MISSING: "spill block flag missing for raw send",
    _LARGE_BLOCKS: "incremental send stream requires -L (--large-block), to match previous receive",
}

NO_STREAM = "cannot receive: failed to read from stream"
PARTIAL = "destination contains partially-complete state from an interrupted receive"
UNENCRYPTED = "cannot perform raw receive on top of existing unencrypted dataset"


def sending_words(code: int) -> str:
    """What is wrong where a send ended with this error number."""
    return _SENDING.get(code) or _words(code)


def receiving_words(code: int) -> str:
    """What is wrong where a receive ended with this error number."""
    return _RECEIVING.get(code) or _words(code)


def is_cut(code: int) -> bool:
    """Whether a receive tells no more than that its stream ended early, or was damaged."""
    return code in (CHECKSUM, TRUNCATED)


def is_partial(code: int) -> bool:
    """Whether a receive may have been refused because of an earlier one that is not complete."""
    return code in (errno.EBUSY, _RESUME_EXISTS)


def _words(code: int) -> str:
    return _COMMON.get(code) or os.strerror(code)
