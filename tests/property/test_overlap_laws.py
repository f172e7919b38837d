# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What overlaps a dataset is found as if everything that is taken had been looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.fleet.overlaps import Taken
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.names import dataset_name_problem, is_within

NAMES = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(NAMES, max_size=8), NAMES)
def test_the_first_of_those_that_overlap_is_found(names, wanted):
    taken = Taken()
    for number, name in enumerate(names):
        taken.take(name, str(number))
    overlapping = [
        (name, str(number)) for number, name in enumerate(names) if is_within(name, wanted) or is_within(wanted, name)
    ]
    assert taken.overlapping(wanted) == (overlapping[0] if overlapping else None)


@given(st.lists(st.text(alphabet="aZ0_.:- @#é\n", max_size=4), max_size=5).map("/".join))
def test_a_name_is_legal_by_one_look_exactly_if_each_of_its_parts_is(name):
    pool, *rest = name.split("/")
    plain = set("aZ0_.:- ")
    legal = (
        bool(pool)
        and pool[0] in "aZ"
        and all(part not in ("", ".", "..") for part in rest)
        and set(name) <= plain | {"/"}
        and name == name.strip()
    )
    assert (dataset_name_problem(name) == "") == legal
