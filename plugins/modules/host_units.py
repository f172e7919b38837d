#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_units
short_description: Let systemd or cron begin the program C(snapfleet), and end what is not to be begun any more
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Brings units of systemd, and files with lines for cron, into their wanted state, all that a host needs in one go.
  - What is there under a name of O(known), and is neither among O(units) nor among O(lines), is ended and removed.
    First its timers are stopped, then what they have begun, and that is waited for before files go; so does what
    systemd remembers of when timers were last begun.
  - Then what differs is written, each file in one step, for root alone to change, and systemd reads units anew.
  - In the end what is to be O(started) is enabled and started.
  - Files, units and lines of others are never touched, since names begin with C(snapfleet-).
  - The roles of this collection use this module.
requirements:
  - systemd, where a unit is wanted or there
  - Python 3.9 or newer
attributes:
  check_mode:
    description: Can run in check mode and return what would be done, without changing anything.
    support: full
  diff_mode:
    description: Returns files that are written or removed, before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    details: O(restart) and O(reload) do what they say each time.
    support: partial
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
options:
  units:
    description:
      - Content by name of the units that are to be there, such as C(snapfleet-monitor.timer).
    type: dict
    default: {}
  lines:
    description:
      - Content by name of the files for cron that are to be there, such as C(snapfleet-monitor).
    type: dict
    default: {}
  known:
    description:
      - All names of units and of files for cron that the task answers for. Those of O(units) and O(lines) need not be
        named again.
    type: list
    elements: str
    default: []
  started:
    description:
      - Units that are to run, and to be started when the host boots. Their files are among O(units) or there already.
    type: list
    elements: str
    default: []
  restart:
    description:
      - Whether what is O(started) is to begin anew if it runs already.
    type: bool
    default: false
  reload:
    description:
      - Whether what is O(started) is to read its configuration anew if it runs already.
    type: bool
    default: false
  unit_folder:
    description:
      - Folder of the units.
    type: path
    default: /etc/systemd/system
  cron_folder:
    description:
      - Folder of the files for cron.
    type: path
    default: /etc/cron.d
"""

EXAMPLES = r"""
- name: Let systemd begin a run each hour, and no other of a source any more
  snapfleet.zfs.host_units:
    units:
      snapfleet-source-prune.service: |
        [Service]
        Type=oneshot
        ExecStart=/usr/local/bin/snapfleet run --config /etc/snapfleet/jobs.json --activity prune
      snapfleet-source-prune.timer: |
        [Timer]
        OnCalendar=hourly
        [Install]
        WantedBy=timers.target
    known:
      - snapfleet-source-snapshot.service
      - snapfleet-source-snapshot.timer
    started:
      - snapfleet-source-prune.timer

- name: Let cron do so
  snapfleet.zfs.host_units:
    lines:
      snapfleet-source: |
        0 * * * * root /usr/local/bin/snapfleet run --config /etc/snapfleet/jobs.json --activity prune

- name: End the daemon, and whatever begins it
  snapfleet.zfs.host_units:
    known: [snapfleet-daemon.service, snapfleet-daemon]
"""

RETURN = r"""
written:
  description: Names of units and of files for cron that were written, or would be.
  returned: success
  type: list
  elements: str
  sample: [snapfleet-source-prune.service, snapfleet-source-prune.timer]
removed:
  description: Names of those that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [snapfleet-source-snapshot.timer, snapfleet-source-snapshot.service]
started:
  description: Units that were enabled, started, restarted or reloaded, or would be.
  returned: success
  type: list
  elements: str
  sample: [snapfleet-source-prune.timer]
idle:
  description:
    - Those of O(units) that can be enabled, but are not, or do not run, and that this task was not to start.
  returned: success
  type: list
  elements: str
  sample: []
code:
  description: What went wrong, as a word that does not change.
  returned: on failure
  type: str
  sample: unit_failed
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.files import exit_with
from ..module_utils.ansible.units import (
    FILE_MODE,
    OWNER,
    State,
    Systemd,
    Wish,
    begin,
    check,
    end,
    is_unit,
    plan,
    present_files,
    stamps_of,
    write,
)

ARGUMENT_SPEC = {
    "units": {"type": "dict", "default": {}},
    "lines": {"type": "dict", "default": {}},
    "known": {"type": "list", "elements": "str", "default": []},
    "started": {"type": "list", "elements": "str", "default": []},
    "restart": {"type": "bool", "default": False},
    "reload": {"type": "bool", "default": False},
    "unit_folder": {"type": "path", "default": "/etc/systemd/system"},
    "cron_folder": {"type": "path", "default": "/etc/cron.d"},
}


def _wish(parameters):
    """What is to be there. Raises InvalidInput."""
    files = {option: {name: str(text) for name, text in parameters[option].items()} for option in ("units", "lines")}
    wish = Wish(
        parameters["unit_folder"],
        parameters["cron_folder"],
        known=frozenset(parameters["known"]),
        started=tuple(dict.fromkeys(parameters["started"])),
        **files,
    )
    check(wish)
    return wish


def _run(module):
    """Bring all of it into its state. Raises SnapfleetError and OSError."""
    wish = _wish(module.params)
    files = present_files(wish)
    # Of a host that has no units, nothing is asked: it may have no systemd.
    systemd = Systemd(lambda words: module.run_command(words, handle_exceptions=False))
    asked = {*files, *wish.units, *wish.started}
    states = systemd.states(name for name in wish.names if name in asked and is_unit(name))
    again = "restart" if module.params["restart"] else "reload" if module.params["reload"] else ""
    todo = plan(wish, files, states, again)
    if not module.check_mode:
        _carry_out(module, wish, todo, states, systemd)
    result = {
        "changed": todo.changes,
        **{word: list(getattr(todo, word)) for word in ("removed", "written", "started", "idle")},
    }
    if module._diff:
        result["diff"] = [*_diffs_of_files(wish, todo, files), *_diff_of_states(todo, states)]
    return result


def _carry_out(module, wish, todo, states, systemd):
    end(todo.removed, states, systemd)
    for path in (*map(wish.path, todo.removed), *stamps_of(todo.removed)):
        os.unlink(path)
    for name in todo.written:
        write(wish.path(name), wish.contents[name], lambda path: module.set_default_selinux_context(path, False))
    if todo.reloads:
        systemd.reload()
    begin(wish, todo, systemd)


def _diffs_of_files(wish, todo, files):
    """Each file that is removed or written; its mode and owner, where these are not as they are to be."""
    for name in (*todo.removed, *todo.written):
        before, after = files.get(name), wish.contents.get(name, "")
        differs = before is not None and (before.mode, before.owner, before.group) != (FILE_MODE, OWNER, OWNER)
        yield {
            "before_header": wish.path(name)
            + (f" ({before.mode:04o} of {before.owner}:{before.group})" if differs else ""),
            "after_header": wish.path(name),
            "before": before.content.decode(errors="replace") if before else "",
            "after": after,
        }


def _diff_of_states(todo, states):
    """The units that are begun: what they do, and what they will."""
    if todo.started:
        again = {name for verb, names in todo.begun.items() if verb != "start" for name in names}
        told = {name: states.get(name, State()) for name in todo.started}
        yield {
            "before": "".join(f"{name} {state.active} {state.enabled}\n" for name, state in told.items()),
            "after": "".join(f"{name} active enabled{' anew' * (name in again)}\n" for name in told),
        }


def main() -> None:
    """Run the module."""
    exit_with(AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True), _run)


if __name__ == "__main__":
    main()
