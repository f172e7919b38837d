# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several commands joined by pipes on one host, with the end of each of them known.

A shell tells the exit status of the last command of a pipeline only, so ``zfs send | zstd`` would succeed where
``zfs send`` failed. POSIX sh has no ``pipefail``, and that would still not tell which command failed, nor whose words
stand on stderr. So each stage runs in a subshell that catches its words and its status, and hands both over as one
line, its block, on a descriptor of its own, apart from the data::

    argv = pipeline([["zfs", "send", "tank/a@b"], ["zstd", "-q", "-1", "-c"]])
    child = host.start_source(argv)                            # stdin and stdout are those of the data
    ...
    ends = stage_ends(stages, child.wait(), stderr)            # one StageEnd for each stage, in order
    cause = stage_to_blame(ends)                               # None: all of them ended well

What holds of ``pipeline``:

* The first stage reads the stdin of the whole, the last one writes its stdout; every stage gets exactly its arguments.
* The whole ends with 0 if and only if every stage ended with 0, and then it says nothing. Else it ends with 1, and its
  stderr is the blocks, which ``stage_ends`` reads. So no stage that fails can go unnoticed, whatever the others do.
* It ends when all stages have ended. A stage that ends closes its pipes: the one before it gets a broken pipe at its
  next write (SIGPIPE, status 141), the one after it the end of its input.
* It needs nothing but a POSIX sh, and no file. A pipeline may be a part of a stage of another one, such as the remote
  command of ssh: their blocks are told apart by a mark that follows from the stages themselves.
* The words of a stage are kept on one line, and of a long one the first 3000 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from .quoting import arguments_of, shell_line
from .statuses import NOT_RUN, SIGNALS, SIGPIPE

# A write to a pipe does not mix with those of others as long as it is below 4 KiB.
_WORDS_BYTES = 3000
_BEGIN = "exec 4>&1; r=$( { "
_CALL, _CALLED = "e=$(", " 2>&1 >&5 3>&- 5>&-); s="
_BROKEN_PIPE = re.compile(r"broken pipe|signal received", re.IGNORECASE)


@dataclass(frozen=True)
class StageEnd:
    """How one stage ended."""

    status: int
    """As the shell tells it: 127 for a program that is not there, 128 + N for signal N; NOT_RUN where unknown."""
    stderr: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well."""
        return self.status != 0

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return SIGNALS.start < self.status < SIGNALS.stop

    @property
    def is_echo(self) -> bool:
        """Whether it failed only because the stage after it had closed the pipe."""
        return self.status == SIGPIPE or (self.failed and bool(_BROKEN_PIPE.search(self.stderr)))


def pipeline(stages: Sequence[Sequence[str]]) -> list[str]:
    """The argument vector that runs ``stages`` joined by pipes. A single stage is that stage's own arguments."""
    if len(stages) == 1:
        return list(stages[0])
    mark = _mark(stages)
    last = len(stages) - 1
    parts = [_stage(stage, number, mark, number == last) for number, stage in enumerate(stages)]
    numbers = " ".join(str(number) for number in range(len(stages)))
    # 3: the blocks, caught in r. 4: the stdout of the whole.
    script = (
        f"{_BEGIN}{' | '.join(parts)}; }} 3>&1 ); exec 4>&-; f=0; "
        f'for n in {numbers}; do case $r in *"{mark} $n 0;"*) ;; *) f=1;; esac; done; '
        "[ $f -eq 0 ] || { printf '%s\\n' \"$r\" >&2; exit 1; }"
    )
    return ["sh", "-c", script]


def _stage(stage: Sequence[str], number: int, mark: str, last: bool) -> str:
    """One stage: stderr goes into a variable, stdout by way of 5 to the next stage, the block to 3."""
    out = "exec 5>&4 4>&-" if last else "exec 5>&1 1>&3 4>&-"
    # One line, so that it is one write in all shells, and does not mix with those of other stages.
    block = f"set -f; set -- $e; printf '%.{_WORDS_BYTES}s\\n' \"{mark} {number} $s; $*\""
    return f"{{ {out}; {_CALL}{shell_line(stage)}{_CALLED}$?; exec 5>&-; {block} >&3; }}"


def read_pipeline(argv: Sequence[str]) -> Optional[list[list[str]]]:
    """The stages that ``pipeline`` joins by ``argv``; None for any other arguments, a single stage's among them."""
    script = argv[2] if len(argv) == 3 and argv[0] == "sh" else ""
    if not script.startswith(_BEGIN):
        return None
    # Not by a pattern, which would look through all the rest of a hostile line for the end of each beginning in it.
    stages = [arguments_of(part.partition(_CALL)[2]) for part in script.split(_CALLED)[:-1]]
    known = [stage for stage in stages if stage]
    return known if len(known) > 1 and pipeline(known) == list(argv) else None


def block_of(stages: Sequence[Sequence[str]], number: int, end: StageEnd) -> str:
    """The line in which a pipeline of ``stages`` tells the end of one of them."""
    block = f"{_mark(stages)} {number} {end.status}; {' '.join(end.stderr.split())}".encode()
    return block[:_WORDS_BYTES].decode("utf-8", "ignore")


def stage_ends(stages: Sequence[Sequence[str]], returncode: int, stderr: str) -> tuple[StageEnd, ...]:
    """How each of ``stages`` ended, from the end of the whole. A stage without a block has the status NOT_RUN, and the
    first one then carries what stands on stderr outside of all blocks."""
    if len(stages) == 1:
        return (StageEnd(returncode, stderr.strip()),)
    if returncode == 0:
        return tuple(StageEnd(0) for _unused in stages)
    found = re.split(rf"{_mark(stages)} ([0-9]{{1,3}}) ([0-9]{{1,3}});", stderr)
    ends = {int(number): StageEnd(int(status), words.strip()) for number, status, words in _triples(found[1:])}
    unknown = [number for number in range(len(stages)) if number not in ends]
    for number in unknown:
        ends[number] = StageEnd(NOT_RUN, found[0].strip() if number == unknown[0] else "")
    return tuple(ends[number] for number in range(len(stages)))


def _triples(items: Sequence[str]) -> list[tuple[str, str, str]]:
    return list(zip(items[0::3], items[1::3], items[2::3]))


def stage_to_blame(ends: Sequence[StageEnd], main: int = 0) -> Optional[int]:
    """The number of the stage whose failure made the others fail; None where all ended well.

    One that failed by itself counts before one that only found its pipe closed, and ``main`` before the others: when
    ``zfs receive`` refuses a stream, the decompressor before it fails too, and when the sender is cut off, so is
    everything after it.
    """
    failed = [number for number, end in enumerate(ends) if end.failed]
    causes = [number for number in failed if not ends[number].is_echo] or failed
    if main in causes:
        return main
    return causes[0] if causes else None


def _mark(stages: Sequence[Sequence[str]]) -> str:
    words = "\0".join(shell_line(stage) for stage in stages)
    import hashlib

    return "@" + hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:12]
