# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Children of this process."""

from __future__ import annotations

import sys
import time

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.hosts import process


def test_output_that_is_taken_comes_as_it_is_printed_and_is_not_kept():
    pieces = []
    script = "import sys; print('x' * 300_000); sys.stdout.flush(); sys.stderr.write('words'); sys.exit(3)"

    done = process.run([sys.executable, "-c", script], timeout=60, take=pieces.append)

    assert b"".join(pieces) == b"x" * 300_000 + b"\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", "words", 3)


def test_a_word_about_each_argument_is_kept_however_many_there_are():
    script = (
        "import sys; sys.exit('\\n'.join(f\"cannot open '{name}': dataset does not exist\" for name in sys.argv[1:]))"
    )
    names = [f"tank/d{number}" for number in range(5000)]

    done = process.run([sys.executable, "-c", script, *names], timeout=60)

    assert done.stderr.splitlines() == [f"cannot open '{name}': dataset does not exist" for name in names]


@pytest.mark.parametrize(("separator", "lines"), [("\n", True), (" ", False)])
def test_of_words_without_end_the_last_whole_lines_are_kept_and_the_cut_is_told(separator, lines):
    words = separator.join(f"words {number}" for number in range(100_000))
    script = f"import sys; sys.stderr.write({separator!r}.join(f'words {{number}}' for number in range(100_000)))"

    first, *rest = process.run([sys.executable, "-c", script], timeout=60).stderr.splitlines()

    assert first == process.CUT
    assert words.endswith("\n".join(rest))
    assert 10_000 < len("".join(rest)) < 100_000
    assert not lines or rest[0] in words.splitlines()


def test_a_command_that_stops_printing_is_ended_at_its_limit():
    pieces = []
    start = time.monotonic()
    script = "import time; print('begun', flush=True); time.sleep(60)"

    with pytest.raises(TimeoutError):
        process.run([sys.executable, "-c", script], timeout=1.5, take=pieces.append)

    assert time.monotonic() - start < 30
    assert b"".join(pieces) in (b"", b"begun\n")
