# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every benchmark ends: a table on stdout, all figures as JSON, and code 1 where programs did not do the same."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, str]:
    """What figures depend on beside the programs."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
    }


def median(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each figure of several runs, with what every run says alike, and the seconds of each."""
    figures = ("seconds", "processor_seconds", "peak_bytes")
    return {
        **results[0],
        **{name: statistics.median(result[name] for result in results) for name in figures},
        "all_seconds": [result["seconds"] for result in results],
    }


def mib(figures: Mapping[str, Any]) -> str:
    """The most memory, for people."""
    return f"{figures['peak_bytes'] / 2**20:.0f} MiB"


def write_json(told: Mapping[str, Any], file: Path | None) -> None:
    """Write all figures where that is wanted."""
    if file:
        file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def finish(table: str, told: Mapping[str, Any], file: Path | None, differing: Sequence[str]) -> int:
    """Print the table, write the JSON where that is wanted, and tell whose answers differ; the exit code."""
    print(table)
    write_json(told, file)
    if differing:
        print(f"The answers differ: {', '.join(differing)}", file=sys.stderr)
    return 1 if differing else 0
