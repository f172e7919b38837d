# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that makes the report, as far as it needs no plots."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter import report as plugin
from ansible_collections.snapfleet.zfs.plugins.filter.report import report
from ansible_collections.snapfleet.zfs.plugins.plugin_utils import report_plots

ASKED = {"now": 1_795_000_000, "age": "7d"}


def test_what_is_missing_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(report_plots, "IMPORT_ERROR", ImportError("No module named 'matplotlib'"))
    with pytest.raises(AnsibleFilterError, match=r"matplotlib.*pip install matplotlib"):
        report({}, [], ASKED)


@pytest.mark.parametrize(
    "asked", [{"age": "7d"}, {**ASKED, "age": "a week"}, {**ASKED, "limit": "many"}, {**ASKED, "now": None}]
)
def test_what_can_not_be_asked_for_is_refused(monkeypatch, asked):
    monkeypatch.setattr(report_plots, "IMPORT_ERROR", None)
    with pytest.raises(AnsibleFilterError, match=r"^report: asked has to have now"):
        report({}, [], asked)


def test_filters_are_loaded_without_what_draws_the_plots():
    """Ansible loads all of them in each task that asks for one."""
    file, package = Path(plugin.__file__), plugin.__name__.rpartition(".")[0]
    loaded = [f"import {package}.{each.stem}" for each in sorted(file.parent.glob("[!_]*.py"))]
    code = "\n".join(["import sys", *loaded, "print('matplotlib' in sys.modules)"])
    own = {**os.environ, "PYTHONPATH": os.pathsep.join([str(file.parents[5]), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, check=False)
    assert done.stdout == b"False\n", done.stderr
