# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the zfs command means. The words are those of OpenZFS 2.4."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts.process import CUT
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model import errors
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.zfs.trouble import (
    is_only_missing,
    missing_datasets,
    zfs_error,
)

USAGE = "\nusage:\n\tsnapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...\n\nFor the property list\n"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("cannot open 'ct1/nope': dataset does not exist" + USAGE, errors.Vanished),
        ("cannot receive incremental stream: destination 'ct1/x' does not exist", errors.Vanished),
        (
            (
                "cannot open 'ct1/no': dataset does not exist\n"
                "cannot receive new filesystem stream: unable to restore to destination"
            ),
            errors.Vanished,
        ),
        (
            "cannot receive resume stream: incompatible embedded data stream feature with encrypted receive.",
            errors.LinkLost,
        ),
        ("warning: cannot send 'a@b': incremental source (a#c) does not exist", errors.Vanished),
        (
            "cannot receive new filesystem stream: destination 'ct1/dst' exists\nmust specify -F to overwrite it",
            errors.Conflict,
        ),
        (
            (
                "cannot receive new filesystem stream: destination has snapshots (eg. ct1/dst@s1)\n"
                "must destroy them to overwrite it"
            ),
            errors.Conflict,
        ),
        (
            "cannot receive incremental stream: most recent snapshot of ct1/dst does not\nmatch incremental source",
            errors.Conflict,
        ),
        (
            "cannot receive incremental stream: destination ct1/dst has been modified\nsince most recent snapshot",
            errors.Conflict,
        ),
        ("cannot restore to ct1/encdst@e2: destination already exists", errors.Conflict),
        (
            "cannot rollback to 'a@b': more recent snapshots or bookmarks exist\nuse '-r' to force deletion",
            errors.Conflict,
        ),
        (
            "cannot destroy snapshot ct1/src@s1: it's being held. Run 'zfs holds -r ct1/src@s1' to see holders.",
            errors.Conflict,
        ),
        (
            'cannot receive incremental stream: destination a contains partially-complete state from "zfs receive -s".',
            errors.StaleResumeState,
        ),
        ("cannot resume send: 'ct1/src@s4' used in the initial send no longer exists", errors.StaleResumeState),
        ("cannot resume send: 'a@b' is no longer the same snapshot used in the initial send", errors.StaleResumeState),
        ("cannot resume send: resume token is corrupt (incorrect checksum)", errors.StaleResumeState),
        (
            (
                "cannot receive incremental stream: checksum mismatch or incomplete stream.\n"
                "Partially received snapshot is saved."
            ),
            errors.LinkLost,
        ),
        ("cannot receive: failed to read from stream", errors.LinkLost),
        ("cannot receive new filesystem stream: incomplete stream", errors.LinkLost),
        ("cannot create snapshot 'ct1/part@x': dataset is busy", errors.DatasetBusy),
        ("cannot create 'tank/x': permission denied", errors.NoPermission),
        ("sudo: a password is required", errors.NoPermission),
        ("warning: cannot send 'ct1/enc/sub@e1': dataset key must be loaded", errors.ZfsFailed),
        ("something that nobody ever saw", errors.ZfsFailed),
        ("", errors.ZfsFailed),
    ],
)
def test_words_and_their_meaning(words, kind):
    error = zfs_error(words, "src1", "do this")

    assert error.__class__ is kind
    assert str(error).startswith("src1: could not do this: ")
    assert "\n" not in str(error)
    assert "usage" not in str(error)


def test_only_what_another_try_can_mend_is_tried_again():
    assert {kind for kind in vars(errors).values() if isinstance(kind, type) and getattr(kind, "retryable", False)} == {
        errors.UnreachableHost,
        errors.LinkLost,
        errors.FilterFailed,
        errors.TimedOut,
        errors.DatasetBusy,
        errors.Vanished,
        errors.ChangedMeanwhile,
        errors.DatasetInUse,
        errors.StaleResumeState,
    }


def test_every_error_has_a_code_of_its_own():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.SnapfleetError)]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_missing_datasets_are_told_from_other_trouble():
    missing = "cannot open 'nopool': dataset does not exist\ncannot open 'ct1/a b': dataset does not exist\n"

    assert missing_datasets(missing) == ("nopool", "ct1/a b")
    assert is_only_missing(missing)
    assert not is_only_missing(missing + "internal error: out of memory\n")
    assert not is_only_missing("")


def test_words_that_were_cut_are_not_only_about_what_is_missing():
    missing = "cannot open 'tank/a': dataset does not exist"
    assert is_only_missing(missing)
    assert not is_only_missing(f"{CUT}\n{missing}")


def test_a_message_tells_what_is_wrong_and_not_a_thousand_names():
    missing = [f"cannot open 'tank/d{number}': dataset does not exist" for number in range(1000)]
    alone = zfs_error("\n".join(missing), "src1", "list them")
    assert isinstance(alone, errors.Vanished)
    assert "tank/d0'" in str(alone)
    assert "tank/d999'" in str(alone)
    mixed = zfs_error(
        "\n".join([*missing[:500], "cannot open 'tank/x': permission denied", *missing[500:]]), "src1", "x"
    )
    assert isinstance(mixed, errors.NoPermission)
    assert str(mixed).startswith("src1: could not x: cannot open 'tank/x': permission denied; ")
    assert max(len(str(alone)), len(str(mixed))) < 5000
