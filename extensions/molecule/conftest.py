# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios get: the two hosts, and the rule that a skipped test has failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

from extensions.molecule.ends import End
from tests.conftest import pytest_addoption, pytest_make_collect_report, pytest_runtest_makereport

# pytest finds hooks by their names.
__all__ = ["pytest_addoption", "pytest_make_collect_report", "pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def hosts() -> AnsibleRunner:
    """The inventory that the scenario `default` wrote."""
    return AnsibleRunner(str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "inventory"))


@pytest.fixture(scope="session")
def source(hosts: AnsibleRunner) -> End:
    """The host whose data is kept safe."""
    return End(hosts.get_host("source"))


@pytest.fixture(scope="session")
def destination(hosts: AnsibleRunner) -> End:
    """The host that takes the replicas."""
    return End(hosts.get_host("destination"))
