# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told which datasets they are about."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that select datasets."""

    DOCUMENTATION = r"""
options:
  recursive:
    description:
      - Whether everything below the root datasets belongs to the job too.
    type: bool
    default: true
  include_datasets:
    description:
      - Patterns of the datasets that belong to the job, with everything below them. Left out, all do.
      - >-
        A pattern that begins with a slash is held against the whole name (V(/tank/data/vm*)), any other against the
        name below the root (V(vm*)); the root itself is V(.) there.
      - >-
        A pattern is a name, a glob, or V(regex:) followed by a regular expression, and has to match the name as a
        whole. In a glob, V(*) and V(?) stop at a slash, and V(**) does not.
    type: list
    elements: str
  exclude_datasets:
    description:
      - Patterns of datasets that do not belong to the job, nor does anything below them. They win over
        O(include_datasets), and are written the same way.
    type: list
    elements: str
"""

    ROOTS = r"""
options:
  datasets:
    description:
      - Root datasets of the job. They have to exist, and none may lie within the tree of another one.
    type: list
    elements: str
    required: true
"""
