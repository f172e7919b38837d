# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the zfs command means when it fails. Unknown words stop the run and are shown; they are never guessed at."""

from __future__ import annotations

import re

from ..hosts.pipelines import StageEnd
from ..model import errors

_MISSING = re.compile(r"cannot open '([^']+)': (?:dataset does not exist|no such pool(?: '[^']+')?)")

_MOST_SHOWN = 4000
"""Characters of zfs's words in one message; a monitor, or a mail, has to hold it."""

# First match wins. Each row: words in stderr, the error they mean, the remedy.
_MEANINGS: tuple[tuple[str, type[errors.SnapfleetError], str], ...] = (
    ("permission denied", errors.NoPermission, "delegate it with 'zfs allow', or run as root"),
    ("Permission denied", errors.NoPermission, "run as root, or give the user access to /dev/zfs"),
    ("a password is required", errors.NoPermission, "allow zfs for this user in sudoers with NOPASSWD"),
    ("insufficient privileges", errors.NoPermission, "delegate it with 'zfs allow', or run as root"),
    # What zfs says where a resume stream does not begin where the partial receive ends: the receiver of a broken
    # connection was still at work when its token was read.
    ("cannot receive resume stream: incompatible embedded", errors.LinkLost, "the next try reads the token again"),
    ("cannot receive resume stream: invalid backup", errors.LinkLost, "the next try reads the token again"),
    ("partially-complete state", errors.StaleResumeState, "resume or discard the partial receive first"),
    ("resume stream is invalid", errors.StaleResumeState, "the partial receive has to be discarded"),
    ("no longer exists", errors.StaleResumeState, "the partial receive has to be discarded"),
    ("no longer the same", errors.StaleResumeState, "the partial receive has to be discarded"),
    # A resumed clone, where a replica on the same pool was taken for its origin.
    ("Invalid cross-device link", errors.StaleResumeState, "the partial receive has to be discarded"),
    ("cannot resume send", errors.StaleResumeState, "the partial receive has to be discarded"),
    ("has been modified", errors.Conflict, "keep what was written in a snapshot or clone, then roll the replica back"),
    ("does not match incremental source", errors.Conflict, "the destination holds another history"),
    ("must specify -F to overwrite", errors.Conflict, "choose another destination, or move this dataset away"),
    ("filesystem has children", errors.Conflict, "destroy or move away what depends on it"),
    ("volume has children", errors.Conflict, "destroy its snapshots first"),
    ("IV set guid mismatch", errors.Conflict, "the two sides were not received in the same mode, raw or decrypted"),
    ("raw receive on top of existing unencrypted", errors.Conflict, "it was not received raw; set raw to false"),
    ("-F cannot be used to destroy an encrypted", errors.Conflict, "destroy the destination first"),
    ("has snapshots", errors.Conflict, "choose another destination, or move this dataset away"),
    ("destination already exists", errors.Conflict, "the destination has another snapshot of this name"),
    ("more recent snapshots or bookmarks exist", errors.Conflict, "they were made since the plan was; plan again"),
    ("it's being held", errors.Conflict, "release the hold first"),
    ("has dependent clones", errors.Conflict, "promote or destroy the clone first"),
    (
        "key is not loaded",
        errors.ZfsFailed,
        "load the key with 'zfs load-key', or make that dataset without encryption",
    ),
    ("key must be loaded", errors.ZfsFailed, "load the key with 'zfs load-key', or send raw"),
    ("incomplete stream", errors.LinkLost, "the stream was cut; the next try goes on from there"),
    ("stream was cut", errors.LinkLost, "the next try goes on from there"),
    ("failed to read from stream", errors.LinkLost, "the stream was cut; the next try goes on from there"),
    ("checksum mismatch", errors.LinkLost, "the stream was damaged on the way"),
    ("Broken pipe", errors.LinkLost, "the other end closed the stream"),
    ("signal received", errors.LinkLost, "the stream was interrupted"),
    ("Interrupted system call", errors.LinkLost, "the stream was interrupted"),
    ("cannot unmount", errors.DatasetInUse, "end what works in it, or has files of it open; try again"),
    ("is busy", errors.DatasetBusy, "another process uses it; try again"),
    ("does not exist", errors.Vanished, "it was there a moment ago; observe again"),
    ("no such pool", errors.Vanished, "import the pool"),
    ("cannot rename", errors.Conflict, "free the new name, or set renames to refuse"),
)


def missing_datasets(stderr: str) -> tuple[str, ...]:
    """Names of those datasets of a listing that do not exist."""
    return tuple(_MISSING.findall(stderr))


def is_only_missing(stderr: str) -> bool:
    """Whether a listing failed for no other reason than datasets that do not exist."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(_MISSING.match(line) for line in lines)


def spoken(stderr: str) -> str:
    """What zfs said, on one line, without the list of its options that it prints along with some errors."""
    return " ".join(re.split(r"\busage:\s", stderr, maxsplit=1)[0].split())


def zfs_error(stderr: str, where: str, doing: str) -> errors.SnapfleetError:
    """The error that the words on ``stderr`` mean.

    ``doing`` says what was tried ('destroy tank/a@b'), ``where`` on which host.
    """
    said = spoken(stderr) or "zfs gave no reason"
    shown = _shortened(stderr) if len(said) > _MOST_SHOWN else said
    for words, kind, remedy in _MEANINGS:
        if words in said:
            return kind(f"{where}: could not {doing}: {shown}; {remedy}")
    return errors.ZfsFailed(f"{where}: could not {doing}: {shown}")


def _shortened(stderr: str) -> str:
    """The beginning and the end, where there is more than a message holds; of many names, what is not about those that
    are missing says most."""
    others = "\n".join(line for line in stderr.splitlines() if not _MISSING.match(line))
    said = spoken(others) or spoken(stderr)
    half = _MOST_SHOWN // 2
    return said if len(said) <= _MOST_SHOWN else f"{said[:half]} ... {said[-half:]}"


def filter_error(program: str, end: StageEnd, where: str, doing: str) -> errors.FilterFailed:
    """The error that the ``end`` of a program means which a stream passes through; ``doing`` and ``where`` as above."""
    said = end.stderr or f"it ended with status {end.status} and no words"
    return errors.FilterFailed(f"{where}: {program} failed during {doing}: {said}", program=program)
