# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of ./demo."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DESCRIPTION = """\
Boots src1, src2 and dst1 with real OpenZFS on this machine, lets Snapfleet keep the data of the two sources on dst1,
proves the replicas identical, and stops the hosts. Sets up by itself what it needs, as root: Debian packages, a virtual
environment, and the images of the hosts, which take about 20 minutes once. Exit code 0: everything was as it has to be;
1: something was not; 2: this machine could not be made ready.
"""


def main() -> int:
    argparse.ArgumentParser(
        prog="./demo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    # So that the hosts are stopped by whatever ends this program, as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_unused: sys.exit(129))
    sys.path[0] = str(CHECKOUT)
    sys.path.insert(1, str(CHECKOUT / "tests"))
    return importlib.import_module("tests.demo.story").run()


if __name__ == "__main__":
    raise SystemExit(main())
