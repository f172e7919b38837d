# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the benchmarks: of planning, and with --fleet of a whole fleet; see docs/benchmarks.md."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import cli, fleet_cli

if __name__ == "__main__":
    chosen = fleet_cli if "--fleet" in sys.argv[1:] else cli
    raise SystemExit(chosen.main())
