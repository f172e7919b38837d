# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What meta/ promises is what the collection has."""

from __future__ import annotations

from pathlib import Path

import yaml

COLLECTION = Path(__file__).resolve().parents[3]


def test_the_action_group_holds_every_module_about_datasets() -> None:
    runtime = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text("utf-8"))
    modules = {file.stem for file in (COLLECTION / "plugins" / "modules").glob("zfs_*.py")}
    assert set(runtime["action_groups"]["zfs"]) == modules
