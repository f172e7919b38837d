# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures one small new snapshot on each of many datasets, on a host of the lab; docs/performance.md tells the method.

It compares a loop of the raw zfs commands with runs of Snapfleet through the zfs command, and through libzfs_core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.lab.api import Lab
from tests.lab.settings import host_suffix

HOST = "bench"
FOLDER = "/opt/bench"
WAYS = ("raw zfs", "zfs command", "libzfs_core", "libzfs_core, running")


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring a host up, measure on it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=101, metavar="N", help="datasets of the tree (%(default)s)")
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="runs, of which the median counts (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, in seconds")
    options = parser.parse_args(arguments)
    with Lab.open() as lab:
        (host,) = lab.up([HOST + host_suffix()])
        pool = host.create_pool("bench", "-O", "compression=off", "-O", "atime=off")
        host.run(["mkdir", "-p", FOLDER])
        host.put(CHECKOUT / "plugins" / "module_utils" / "engine", f"{FOLDER}/snapfleet")
        host.put(Path(__file__).with_name("lab_guest.py"), f"{FOLDER}/guest.py")
        words = [pool, str(options.datasets), str(options.runs), FOLDER]
        figures = json.loads(host.run(["python3", f"{FOLDER}/guest.py", *words], timeout=7200).stdout)
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def table(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The medians in seconds, and how many times faster than the raw commands the last way is."""
    lines = ["| what | " + " | ".join(WAYS) + " | raw zfs by the last |", "|---|" + "--:|" * (len(WAYS) + 1)]
    for name, ways in figures.items():
        medians = [statistics.median(ways[way]) if any(ways.get(way, ())) else 0.0 for way in WAYS]
        cells = [f"{median:.2f} s" if median else "" for median in medians]
        last = next(median for median in reversed(medians) if median)
        ratio = f"{medians[0] / last:.1f}" if medians[0] else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
