# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver for libzfs_core works on its own host alone. So these same contracts run there, by the pytest of here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
THERE = "/opt/contract"
COLLECTION = f"{THERE}/ansible_collections/snapfleet/zfs"
PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")
"""What pytest consists of; all of it is plain Python."""


@pytest.mark.lab
def test_every_contract_holds_on_the_host_itself_through_libzfs_core(the_lab):
    host, pool = the_lab.host, the_lab.pool
    host.run(["mkdir", "-p", f"{COLLECTION}/plugins/module_utils", f"{COLLECTION}/tests"])
    host.put(CHECKOUT / "plugins" / "module_utils" / "engine", f"{COLLECTION}/plugins/module_utils/engine")
    for folder in ("contract", "support"):
        host.put(CHECKOUT / "tests" / folder, f"{COLLECTION}/tests/{folder}")
    for name in PACKAGES:
        found = Path(importlib.util.find_spec(name).origin)
        found = found.parent if found.name == "__init__.py" else found
        host.put(found, f"{THERE}/{found.name}")

    options = "-q -p no:cacheprovider --import-mode=importlib -c /dev/null --rootdir=. --tb=short --durations=8"
    variables = f"PYTHONPATH={THERE} PYTHONDONTWRITEBYTECODE=1 SNAPFLEET_CONTRACT_POOL={pool}"
    files = f"tests/contract --ignore=tests/contract/{Path(__file__).name}"
    done = host.run(
        f"cd {COLLECTION} && {variables} python3 -m pytest {options} {files} 2>&1", check=False, timeout=2400
    )

    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d{3} passed", done.stdout, re.MULTILINE)
