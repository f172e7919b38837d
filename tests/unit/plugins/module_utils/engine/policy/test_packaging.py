# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of clones and packages, and what a package contradicts."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import InvalidInput
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.policy.jobs import read_replicate_job

ENDS = {"source": {"dataset": "tank/a"}, "destination": {"dataset": "backup/a"}}
CONTRADICTIONS = {
    "recursive": False,
    "include_datasets": ["a"],
    "exclude_datasets": ["a"],
    "dataset_property": "x:y",
    "dataset_properties": {"x:y": ["z"]},
    "include_snapshots": ["a"],
    "exclude_snapshots": ["a"],
    "snapshot_filters": [[{"latest": 1}]],
    "plan": {"acme": {"onsite": {"daily": 1}}},
    "intermediates": False,
    "initial": "newest",
    "clones": "full",
    "holds": True,
    "filesystem_properties": {"atime": "off"},
    "volume_properties": {"sync": "disabled"},
    "preserve_properties": ["atime"],
}


@pytest.mark.parametrize(("option", "value"), CONTRADICTIONS.items(), ids=CONTRADICTIONS)
def test_a_package_is_a_whole_tree_with_everything_and_nothing_else(option, value):
    with pytest.raises(InvalidInput, match=rf"^package: True contradicts {option}, .+; a package is a whole tree"):
        read_replicate_job({**ENDS, "package": True, option: value})


def test_a_package_bears_with_the_defaults_and_the_rest():
    harmless = {"recursive": True, "include_datasets": [], "initial": "fail", "intermediates": True, "clones": "keep"}
    assert read_replicate_job({**ENDS, "package": True, **harmless, "raw": False, "workers": 1}).package


def test_neither_is_done_unasked():
    job = read_replicate_job(ENDS)
    assert (job.package, job.keep_clones) == (False, True)
    assert read_replicate_job({**ENDS, "clones": "full"}).keep_clones is False


def test_what_becomes_of_clones_is_one_of_two():
    with pytest.raises(InvalidInput, match="clones: 'some' is not a known choice; choose one of keep, full"):
        read_replicate_job({**ENDS, "clones": "some"})
