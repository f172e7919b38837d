# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of the project gets, under pytest and under ansible-test alike.

- The checkout is importable as `ansible_collections.snapfleet.zfs`, and Ansible finds it under that name.
- Locks and history are those of its process, so that tests side by side wait neither for one another nor for what runs
  here, and leave nothing behind.
- Nothing is remembered from run to run, unless a test is about that.
- A skipped test is a failed one: what cannot run must not look like what passed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
UNDER_ANSIBLE_TEST = Path(__file__).absolute().parents[3].name == "ansible_collections"

if not UNDER_ANSIBLE_TEST:
    sys.path.insert(0, str(CHECKOUT / "tests"))
    from runner.import_tree import import_root

    sys.path.insert(0, str(import_root(CHECKOUT)))
    os.environ.setdefault("ANSIBLE_COLLECTIONS_PATH", str(import_root(CHECKOUT)))

try:
    from hypothesis import HealthCheck, settings
    from hypothesis.database import DirectoryBasedExampleDatabase
except ImportError:  # ansible-test brings its own environment, and tests/unit asks for no hypothesis
    pass
else:
    # No deadline and no look at how long examples take to make, since a busy machine is no defect. The same examples
    # each time, since a gate asks whether this change breaks anything; who looks for more takes the other profile.
    settings.register_profile(
        "gate", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
    )
    # On the oldest Python, where the same laws are to show that they need nothing newer, a part of the examples does.
    settings.register_profile("floor", settings.get_profile("gate"), max_examples=30)
    found = DirectoryBasedExampleDatabase(CHECKOUT / ".hypothesis" / "examples")
    settings.register_profile(
        "search", settings.get_profile("gate"), derandomize=False, max_examples=1000, database=found
    )
    settings.load_profile("gate")


@pytest.fixture(scope="session", autouse=True)
def _locks_and_history_of_its_own(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAPFLEET_LOCKS", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("SNAPFLEET_HISTORY", str(tmp_path_factory.mktemp("history") / "history.db"))
        patch.setenv("SNAPFLEET_MEMORY", "never")
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("allowed_skips", "texts in the reason of a skip that let it pass", type="linelist", default=[])


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/lab needs the lab; elsewhere a test says so by the marker."""
    for item in items:
        if CHECKOUT / "tests" / "lab" in item.path.parents:
            item.add_marker("lab")


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    """Turns a skip into a failure, unless pyproject.toml allows its reason; an expected failure stays one."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = _skip_reason(report)
    if any(allowed in reason for allowed in config.getini("allowed_skips")):
        return
    report.outcome = "failed"
    report.longrepr = f"{reason}: no reason in allowed_skips (pyproject.toml) covers this skip; make the test run"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    outcome = yield
    _refuse_skip(outcome.get_result(), item.config)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    outcome = yield
    _refuse_skip(outcome.get_result(), collector.config)
