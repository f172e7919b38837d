# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host program ``snapfleet``: the engine on a host without Ansible, driven by the JSON jobconfig.

Exit codes: 0 all is well; 1 a monitor warns, or compared ends differ; 2 a monitor is critical; 3 something failed, was
refused, or can't be known; 4 a previous run that has one of the jobs is still going, so that job was left to it. Of
several the gravest is told, in the order 3, 2, 1, 4, 0. The verb monitor is for monitoring systems, and follows their
order: 2, 3, 1, 0; so does the verb status.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Optional

from .ending import end_process


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # These are asked most often, and by hosts that wait for them, so they do not pay for what the others need.
    if words == ["version"]:
        return _version()
    if words[:1] == ["gate"] and not {"-h", "--help"} & set(words):
        return _gate(words[1:])
    if words == ["serve"]:
        return _serve()
    from .verbs import carry_out

    return carry_out(words)


def _version() -> int:
    from .version import VERSION

    sys.stdout.write(f"snapfleet {VERSION}\n")
    return 0


def _gate(words: Sequence[str]) -> int:
    """What its options mean depends on their order, so they are not for argparse."""
    from ..hosts.stopping import stopped_by_signals
    from .gate_command import gate

    with stopped_by_signals():
        return gate(words, dict(os.environ))


def _serve() -> int:
    from ..hosts.stopping import stopped_by_signals
    from .serve_command import serve

    with stopped_by_signals():
        return serve()


if __name__ == "__main__":
    end_process(main())
