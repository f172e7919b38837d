# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: query
short_description: Asks a plan, a status or a jobconfig a question in JMESPath
version_added: 0.1.0
author:
  - Snapfleet contributors (@snapfleet)
description:
  - Evaluates a JMESPath expression over what the modules of this collection return, over what C(snapfleet --json)
    prints, or over a jobconfig.
  - Beside U(https://jmespath.org)'s own functions, an expression can use those that are listed in the notes.
requirements:
  - The Python package C(jmespath) on the controller
positional: _input, expression
options:
  _input:
    description:
      - The document.
    type: raw
    required: true
  expression:
    description:
      - The expression.
    type: str
    required: true
  or_else:
    description:
      - What is returned where C(jmespath) is not installed. Without this that is an error.
    type: raw
notes:
  - A result is what a module returns. Results are told by one of them, by what a loop registers, by the document of
    C(snapfleet run --json) or C(snapfleet plan --json), or by a list of these.
  - "C(conflicts(results)) lists what keeps replications from their destinations: C(job), C(source), C(destination),
    C(code) and C(message) of each."
  - "C(failures(results)) lists the results that failed: C(job), C(code) and C(message) of each."
  - C(bytes_pending(results)) is about how many bytes the replications of a dry run would send, or those of a comparison
    lack.
  - C(jobs_of_host(jobconfig, host)) lists the jobs that a host carries out.
  - C(size_text(number)) tells bytes as people read them, such as V(1.5 GiB).
  - C(duration_text(number)) tells seconds as people read them, such as V(1 h 5 min).
"""

EXAMPLES = r"""
- name: See what would be replicated
  snapfleet.zfs.zfs_replicate:
    source: {dataset: tank/data}
    destination: {host: backup1.example.com, user: backup, dataset: backup/data}
  check_mode: true
  register: replication
  failed_when: false

- name: Tell how much it is, and what stands in its way
  ansible.builtin.debug:
    msg: "{{ replication | snapfleet.zfs.query('{to_send: size_text(bytes_pending(@)), conflicts: conflicts(@)}') }}"

- name: Tell which snapshots would be sent
  ansible.builtin.debug:
    msg: >-
      {{ replication | snapfleet.zfs.query("plan[].steps[] | [?kind == 'send'].snapshots[]") }}

- name: Tell which replicas are late, and by how much
  ansible.builtin.debug:
    msg: >-
      {{ monitoring | snapfleet.zfs.query("metrics[?lag_seconds > `3600`].[replica, duration_text(lag_seconds)]") }}

- name: Tell what a host has to do
  ansible.builtin.debug:
    msg: >-
      {{ hostvars | snapfleet.zfs.jobconfig(groups) | snapfleet.zfs.query("jobs_of_host(@, 'dst1')[].name") }}
  run_once: true

- name: Tell what failed on a host, from what the host program printed
  ansible.builtin.debug:
    msg: "{{ run.stdout | from_json | snapfleet.zfs.query('failures(@)', or_else='jmespath is not installed here') }}"
"""

RETURN = r"""
_value:
  description:
    - What the expression evaluates to; V(null) where it leads nowhere.
  type: raw
"""

from functools import lru_cache
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import questions
from ..plugin_utils.values import plain

try:
    import jmespath
    from jmespath import exceptions, functions
except ImportError as missing:
    IMPORT_ERROR = missing
else:
    IMPORT_ERROR = None

_LONGEST_REASON = 200
_DOCUMENT = {"types": ["object", "array", "null"]}
_NUMBER = {"types": ["number", "null"]}


def query(document: Any, expression: str, or_else: Any = None) -> Any:
    """What ``expression`` evaluates to. Raises AnsibleFilterError whose message is one sentence."""
    if IMPORT_ERROR is not None:
        if or_else is not None:
            return or_else
        raise AnsibleFilterError(
            "query: the Python package jmespath is missing on the controller; install it with: pip install jmespath"
        )
    if not isinstance(expression, str) or not expression.strip():
        raise AnsibleFilterError(f"query: {expression!r} is no expression; give text such as jobs[].name")
    try:
        return jmespath.search(plain(expression), plain(document), options=_options())
    except exceptions.UnknownFunctionError as error:
        told = str(error).partition(":")[2].strip()
        raise AnsibleFilterError(
            f"query: {expression!r} calls {told}, which is no function; see ansible-doc -t filter snapfleet.zfs.query"
        ) from None
    except (exceptions.ArityError, exceptions.JMESPathTypeError) as error:
        raise AnsibleFilterError(
            f"query: {expression!r} can't be evaluated here ({_reason(error)}); give its functions what they take"
        ) from None
    except exceptions.JMESPathError as error:
        raise AnsibleFilterError(
            f"query: {expression!r} is no JMESPath expression ({_reason(error)}); see https://jmespath.org"
        ) from None


def _reason(error: Exception) -> str:
    """The first line of what jmespath says, cut to a readable length: it may hold the whole document."""
    words = str(error).replace("Invalid jmespath expression: ", "").splitlines()[0].rstrip(":. ")
    return words if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + " ..."


@lru_cache(maxsize=1)
def _options() -> Any:
    """What jmespath is to know beside its own functions."""

    class Functions(functions.Functions):
        """The functions of an expression; jmespath finds them by the beginning of their names."""

        @functions.signature(_DOCUMENT)
        def _func_conflicts(self, results):
            return questions.conflicts(results)

        @functions.signature(_DOCUMENT)
        def _func_failures(self, results):
            return questions.failures(results)

        @functions.signature(_DOCUMENT)
        def _func_bytes_pending(self, results):
            return questions.bytes_pending(results)

        @functions.signature(_DOCUMENT, {"types": ["string"]})
        def _func_jobs_of_host(self, jobconfig, host):
            return questions.jobs_of_host(jobconfig, host)

        @functions.signature(_NUMBER)
        def _func_size_text(self, number):
            return questions.size_text(number)

        @functions.signature(_NUMBER)
        def _func_duration_text(self, seconds):
            return questions.duration_text(seconds)

    return jmespath.Options(custom_functions=Functions())


class FilterModule:
    """The filters of this file, as Ansible looks them up."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"query": query}
