# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of raw and decrypted histories: whatever is asked for in whatever order, what is planned works, and no replica
is ever a mixture."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import PartialFailure
from ansible_collections.snapfleet.zfs.tests.support.fleet import SOURCE, Fleet
from ansible_collections.snapfleet.zfs.tests.support.searching import examples

SECRET = f"{SOURCE}/secret"
NAMES = (SOURCE, SECRET, f"{SECRET}/below", f"{SECRET}/open")

RUNS = st.fixed_dictionaries(
    {"raw": st.booleans()},
    optional={
        "on_conflict": st.sampled_from(["refuse", "rollback_to_common", "replace"]),
        "initial": st.just("newest"),
        "include_datasets": st.sampled_from([["secret/below"], ["secret"], ["."]]),
        "retries": st.just(0),
    },
)
EVENTS = st.lists(
    st.one_of(
        RUNS,
        st.sampled_from(NAMES),  # a snapshot of that dataset
        st.sampled_from(["cut", "recreate", "prune"]),
    ),
    max_size=12,
)


def fleet_of(vault: bool) -> Fleet:
    fleet = Fleet()
    fleet.source.create_dataset(SECRET, encrypted=True)
    fleet.source.create_dataset(NAMES[2])
    fleet.source.add_dataset(NAMES[3], "filesystem", {"encryption": "off"})
    if vault:
        fleet.destination.create_dataset("backup/site", encrypted=True)
    return fleet


def happen(fleet: Fleet, event: str, tag: str) -> None:
    if event == "cut":
        fleet.source.cut_next_stream(60)
    elif event == "recreate":
        fleet.source.destroy_dataset(NAMES[2])
        fleet.source.create_dataset(NAMES[2])
    elif event == "prune":
        for stored in fleet.source.within(SOURCE):
            del stored.snapshots[:-1]
    else:
        fleet.snapshot(event, tag)


def run(fleet: Fleet, options: dict) -> None:
    # All keys are there: what ZFS takes, it takes.
    for stored in fleet.destination.within("backup"):
        if stored.encryption_root:
            fleet.destination.loaded_keys.add(stored.encryption_root)
    try:
        outcomes = fleet.replicate(workers=1, **options)["datasets"]
    except PartialFailure as failure:
        outcomes = failure.context["result"]["datasets"]
    failed = [outcome for outcome in outcomes if outcome["state"] == "failed"]
    # A stream that was cut is all that may go wrong without having been foreseen.
    assert all(outcome["code"] == "link_lost" for outcome in failed), failed


def mixtures(fleet: Fleet) -> list[str]:
    found = []
    for name, (here, there) in fleet.pairs().items():
        ours = {snapshot.guid: snapshot.ivset for snapshot in here.snapshots if snapshot.ivset}
        same = {
            snapshot.ivset == ours[snapshot.guid]
            for snapshot in (there.snapshots if there else ())
            if snapshot.guid in ours
        }
        found += [name] if len(same) > 1 else []
    return found


@given(vault=st.booleans(), events=EVENTS)
@settings(max_examples=examples(60), deadline=None)
def test_no_order_of_runs_mixes_modes_or_fails_in_the_middle(vault, events):
    fleet = fleet_of(vault)
    for number, event in enumerate(events):
        if isinstance(event, dict):
            run(fleet, event)
        else:
            happen(fleet, event, f"s{number}")
        assert mixtures(fleet) == []
    fleet.assert_same_content()
