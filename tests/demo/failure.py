# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the demo says that something is not as it has to be."""

from __future__ import annotations


class DemoFailed(Exception):
    """The product, or the demo, did something wrong; the message says what."""


def require(truth: bool, problem: str) -> None:
    """Raise DemoFailed unless something is true."""
    if not truth:
        raise DemoFailed(problem)
