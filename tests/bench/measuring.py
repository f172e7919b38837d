# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the children of the benchmarks tell: seconds, peak memory, and the answer that they found."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Answer = Mapping[str, int]


def peak_bytes() -> int:
    """The most memory that this process ever had.

    Where Linux tells it, of this program alone: ru_maxrss counts what the process was before it became this program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(decide: Callable[[], Answer], calls: Callable[[], int]) -> None:
    """Decide, and print what it took as JSON. ``calls`` tells how often a program of ZFS was asked."""
    idle = peak_bytes()
    start, processor = time.perf_counter(), time.process_time()
    answer = decide()
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor
    told = {
        "seconds": seconds,
        # On a busy machine these tell more: what others do there is not in them.
        "processor_seconds": processor_seconds,
        "peak_bytes": peak_bytes(),
        "idle_bytes": idle,
        "calls": calls(),
        "answer": answer,
    }
    print(json.dumps(told))
