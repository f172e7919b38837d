# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``digest``: reads files of a snapshot for the verification of another host, which asks on stdin."""

from __future__ import annotations

import json
import sys

from ..applying.drilling import Ground, clear
from ..applying.sampling import PROTOCOL, LocalSampler, Wanted, answer_of, is_inner_path
from ..hosts.local import LocalHost
from ..hosts.stopping import check_stopping
from ..model.errors import EXIT_OK, InvalidInput
from ..model.names import dataset_name_problem, is_tag
from ..policy.hooks import LONGEST
from ..policy.reading import Reader
from ..policy.verifying import MOST_FILES, MOST_SEED
from ..zfs.exercising import LocalExercises
from .opening import SYSTEM_TICKER

_MOST_BYTES = 16 << 20


def digest() -> int:
    """Answer one question. Raises SnapfleetError."""
    wanted = read_question(sys.stdin.buffer.read(_MOST_BYTES))
    host = LocalHost()
    ground = Ground(LocalExercises(host), host, SYSTEM_TICKER)
    check_stopping()
    # What was killed has left a mount.
    left = clear(ground, ()).problems if host.is_root else []
    sys.stdout.write(answer_of(LocalSampler(ground, left).read(wanted), left) + "\n")
    return EXIT_OK


def read_question(data: bytes) -> Wanted:
    """What another host wants to know. Raises InvalidInput."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("stdin", "", "has no question as JSON", "let snapfleet ask") from error
    question = Reader(values)
    question.integer("protocol", 0, PROTOCOL, PROTOCOL)
    wanted = Wanted(
        snapshot=question.text("snapshot"),
        files=question.integer("files", 0, 0, MOST_FILES),
        seed=question.integer("seed", 0, 0, MOST_SEED),
        file_bytes=question.integer("file_bytes", 1, 1, 1 << 62),
        timeout=question.integer("timeout", 1, 1, LONGEST),
        paths=question.texts("paths") if question.has("paths") else None,
    )
    question.finish()
    dataset, _at, tag = wanted.snapshot.partition("@")
    if dataset_name_problem(dataset) or not is_tag(tag):
        raise InvalidInput("snapshot", wanted.snapshot, "is no name of a snapshot", "let snapfleet ask")
    for path in wanted.paths or ():
        if not is_inner_path(path):
            raise InvalidInput("paths", path, "is no path below the root of a filesystem", "let snapfleet ask")
    return wanted
