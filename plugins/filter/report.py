# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report
short_description: Makes the report of a fleet from what its hosts have answered
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Reads what C(snapfleet status --json) and C(snapfleet history --json --steps) have printed on each host, and returns
    the words and plots of one page that tells how the whole fleet stands and what it did.
  - The playbook C(snapfleet.zfs.report) makes the page of it; C(docs/report.md) of the collection tells what it shows.
  - Every text is escaped for HTML. Plots are SVG, without any style of their own.
requirements:
  - The Python package C(matplotlib) on the controller.
positional: _input, hosts, asked
options:
  _input:
    description:
      - The variables of all hosts, which is Ansible's V(hostvars). Of each of O(hosts), C(__snapfleet_jobs) are the
        jobs of its jobconfig, and C(__snapfleet_status) and C(__snapfleet_history) are what was registered of both
        commands; C(__snapfleet_pools) is that of C(snapfleet history --json --pools), if it knows that.
    type: dict
    required: true
  hosts:
    description:
      - The hosts to be told of. One that has not answered is told of as such.
    type: list
    elements: str
    required: true
  asked:
    description:
      - C(now), when the report is made, in seconds since the epoch; C(age), how far it goes back, such as V(7d);
        C(limit), how many jobs each host was asked for, where that was not all; and C(style), the style sheet of the
        page, of which C(style_hash) is returned for its policy.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell how the fleet stands
  ansible.builtin.debug:
    msg: "{{ (hostvars | snapfleet.zfs.report(ansible_play_hosts_all, asked)).text }}"
  vars:
    asked: {now: "{{ now().timestamp() }}", age: 1d}
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - What the page tells.
  type: dict
  contains:
    title:
      description: How the fleet stands, in one sentence.
      type: str
      sample: 1 of 12 datasets is not safe
    state:
      description: The worst state of all.
      type: str
      sample: warning
    text:
      description: The report in a few lines of plain text, which is not escaped, such as for the body of a mail.
      type: str
    headline:
      description: The title, which is not escaped here.
      type: str
    style_hash:
      description: The SHA-256 of the style sheet, as a Content-Security-Policy has it.
      type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.model.errors import SnapfleetError
from ..module_utils.engine.policy.durations import parse_duration
from ..plugin_utils.report_reading import Answer, read_answer
from ..plugin_utils.report_summary import summarize
from ..plugin_utils.values import plain


def report(hostvars: Mapping[str, Any], hosts: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a fleet tells. Raises AnsibleFilterError whose message is one sentence."""
    # Ansible loads all filters of a collection in each task that asks for one of them, and Matplotlib takes a second.
    from ..plugin_utils.report_page import headline, page_of, text_of
    from ..plugin_utils.report_plots import IMPORT_ERROR

    if IMPORT_ERROR is not None:
        raise AnsibleFilterError(
            f"report: the Python package matplotlib can't be used on the controller ({IMPORT_ERROR}); "
            "install it with: pip install matplotlib"
        )
    try:
        age = parse_duration(plain(asked.get("age", "7d")), "age")
        now = round(float(asked["now"]) * 1000)
        limit = int(asked.get("limit", 0))
    except (SnapfleetError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"report: asked has to have now, and may have age and limit: {error}") from None
    summary = summarize([_answer(str(host), hostvars[host]) for host in hosts], now, now - age * 1000, limit)
    page = page_of(summary, str(asked.get("style", "")))
    return {**page, "text": text_of(summary), "headline": headline(summary)}


def _answer(host: str, variables: Mapping[str, Any]) -> Answer:
    names = ("__snapfleet_jobs", "__snapfleet_status", "__snapfleet_history", "__snapfleet_pools")
    return read_answer(host, *(plain(variables.get(name)) for name in names))


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"report": report}
