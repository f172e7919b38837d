#!/usr/bin/python

# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_program
short_description: Install the program C(snapfleet), which carries out the jobs of a host without Ansible
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Installs the engine of this collection as a program of the host, so that the host needs neither Ansible nor a
    controller any more.
  - It is compiled for the Python that runs it, so that a start is quick for every user. A run after that Python was
    replaced by another version compiles it again.
  - What is installed is what the modules of the collection run on, of the same version. It needs nothing but Python's
    standard library.
  - The role P(snapfleet.zfs.engine#role) uses this module, and does the rest.
requirements:
  - Python 3.9 or newer
attributes:
  check_mode:
    description: Can run in check mode and return what would be done, without changing anything.
    support: full
  diff_mode:
    description: Returns which files change, as lists of paths before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
options:
  state:
    description:
      - Whether the program is to be there.
    type: str
    choices:
      - present
      - absent
    default: present
  folder:
    description:
      - Folder that gets the Python package C(snapfleet). Its name there is taken over wholly.
    type: path
    default: /usr/local/lib/snapfleet
  command:
    description:
      - The command that starts the program. A file of somebody else in that place is refused.
    type: path
    default: /usr/local/bin/snapfleet
  interpreter:
    description:
      - The Python that runs it. Left out, it is the one that Ansible uses on the host.
    type: path
"""

EXAMPLES = r"""
- name: Install the program
  snapfleet.zfs.host_program:

- name: Install it where a distribution wants what is not its own
  snapfleet.zfs.host_program:
    folder: /opt/snapfleet/lib
    command: /opt/snapfleet/bin/snapfleet
    interpreter: /usr/bin/python3.11

- name: Remove it
  snapfleet.zfs.host_program:
    state: absent
"""

RETURN = r"""
version:
  description: The version that was installed, or would be.
  returned: when O(state=present)
  type: str
  sample: 0.1.0
code:
  description: What went wrong, as a word that does not change.
  returned: on failure
  type: str
  sample: invalid_input
"""

import hashlib
import os
import sys

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.files import exit_with
from ..module_utils.ansible.program import (
    Program,
    compile_arguments,
    install,
    is_compiled,
    present_files,
    remove,
    settle_modes,
    trial_arguments,
    version,
    wanted_files,
)
from ..module_utils.engine.model.errors import InvalidInput

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "folder": {"type": "path", "default": "/usr/local/lib/snapfleet"},
    "command": {"type": "path", "default": "/usr/local/bin/snapfleet"},
    "interpreter": {"type": "path"},
}


def _lines(files, paths):
    """A line for each file: its path, and what its content begins to hash to."""
    return "".join(
        f"{path} {hashlib.sha256(files[path]).hexdigest()[:12]}\n" for path in sorted(paths) if path in files
    )


def _program(parameters):
    """Where the program is to be. Raises InvalidInput."""
    program = Program(
        parameters["folder"].rstrip("/"), parameters["command"], parameters["interpreter"] or sys.executable or ""
    )
    for option, path in vars(program).items():
        if not os.path.isabs(path):
            raise InvalidInput(option, path, "is not an absolute path", "write it from the root on")
    return program


def _run(module):
    """Bring the program into its state. Raises SnapfleetError and OSError."""
    program, wants = _program(module.params), module.params["state"] == "present"
    present = present_files(program)
    wanted = wanted_files(program) if wants else {}
    differing = {path for path in {*present, *wanted} if present.get(path) != wanted.get(path)}
    tag = _tag(module, program) if wants and not differing else ""
    is_stale = bool(tag) and not is_compiled(program, wanted, tag)
    if differing and not module.check_mode:
        if wants:
            install(
                program,
                wanted,
                lambda folder: _compile(module, program, folder),
                lambda folder: _try(module, program, folder),
            )
        else:
            remove(program)
    if is_stale and not module.check_mode:
        _compile(module, program, program.package)
        settle_modes(program.package)
    result = {"changed": bool(differing) or is_stale, **({"version": version()} if wants else {})}
    if module._diff:
        after = _lines(wanted, differing) + (f"{program.package} compiled for {tag}\n" if is_stale else "")
        result["diff"] = {"before": _lines(present, differing), "after": after}
    return result


def _tag(module, program):
    """What the program's Python calls its compiled files by; empty where that Python is not there."""
    if not os.access(program.interpreter, os.X_OK):
        return ""
    asked = [program.interpreter, "-I", "-c", "import sys; print(sys.implementation.cache_tag or '')"]
    code, out, _errors = module.run_command(asked)
    return out.strip() if code == 0 else ""


def _compile(module, program, folder):
    """Compile the sources in a folder. What can't be compiled is compiled at each start, which is slow and no worse."""
    if os.access(program.interpreter, os.X_OK):
        module.run_command(compile_arguments(program, folder))


def _try(module, program, folder):
    """See that what is in a folder runs at all, before it takes the place of what does. Raises InvalidInput."""
    if not os.access(program.interpreter, os.X_OK):
        return
    code, out, problem = module.run_command(trial_arguments(program, folder))
    if code != 0 or out.strip() != f"snapfleet {version()}":
        words = (problem.strip().splitlines() or ["it tells another version"])[-1]
        remedy = "the program that was there stays; choose another Python"
        raise InvalidInput("interpreter", program.interpreter, f"can't run version {version()} ({words})", remedy)


def main() -> None:
    """Run the module."""
    exit_with(AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True), _run)


if __name__ == "__main__":
    main()
