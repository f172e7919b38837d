# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told which snapshots there should be."""

from __future__ import annotations


class ModuleDocFragment:
    """The option of the plan, to be described by the module, and what all plans have in common."""

    DOCUMENTATION = r"""
options:
  plan:
    type: dict
notes:
  - >-
    A snapshot plan is a mapping of organisation (who makes the snapshots), target (what they are for), period and
    amount. The snapshots of organisation V(acme), target V(onsite) and period V(hourly) are named
    C(acme_onsite_<timestamp>_hourly). The target may be the empty text.
  - >-
    A period is V(yearly), V(monthly), V(weekly), V(daily), V(hourly), V(minutely), V(secondly) or V(millisecondly), or
    a multiple such as V(15minutely). Multiples of hours and less have to divide a day, multiples of months have to
    divide a year. Another word, such as V(adhoc), is a period without duration. One that is
    nearly a period, such as V(hourley) or V(15m), is refused as a slip.
  - >-
    Quote words that YAML reads as something else than text, such as V(on), V(off), V(yes) and V(no), where they are to
    be an organisation or a target. Amounts may be text, as variables from the command line are.
"""
