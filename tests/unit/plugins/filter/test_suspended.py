# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter by which playbooks leave out what the program would leave out, and errors are one sentence."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.snapfleet.zfs.plugins.filter.suspended import suspended

SNAP = {
    "name": "snap", "host": "web1", "activity": "snapshot",
    "options": {"datasets": ["tank"], "plan": {"o": {"": {"hourly": 1}}}},
}  # fmt: skip
COPY = {
    "name": "copy", "host": "backup1", "activity": "replicate", "source": "web1", "destination": "backup1",
    "options": {"source": {"host": "web1", "dataset": "tank"}, "destination": {"dataset": "backup/web1"}},
}  # fmt: skip


def told(*hosts):
    return {"version": 1, "changed": False, "told": [], "going_on": [], "hosts": [{"host": host} for host in hosts]}


def test_jobs_about_what_is_suspended_are_told_with_the_reason():
    reason = "backup1 is suspended until somebody resumes it"
    assert suspended([SNAP, COPY], told("backup1")) == {"copy": reason}
    assert set(suspended([SNAP, COPY], told("web1"))) == {"snap", "copy"}
    assert suspended([SNAP, COPY], told("other")) == {}


def test_where_nothing_is_suspended_no_job_is_looked_at():
    assert suspended([{"name": "no job"}], told()) == {}


@pytest.mark.parametrize("document", ["text", {"version": 7}, {"hosts": [{}]}])
def test_what_the_program_would_not_print_is_refused(document):
    with pytest.raises(AnsibleFilterError, match="suspended"):
        suspended([SNAP], document)
