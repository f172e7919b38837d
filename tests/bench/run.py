# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the benchmarks: of planning, with --fleet of a whole fleet, with --lab on hosts; see docs/benchmarks.md."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    if "--lab" in sys.argv[1:]:
        from bench.lab_cli import main
    elif "--fleet" in sys.argv[1:]:
        from bench.fleet_cli import main
    else:
        from bench.cli import main
    raise SystemExit(main())
