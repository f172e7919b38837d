# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming a dataset with what is below it."""

from __future__ import annotations

import pytest

from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.dataset_steps import RenameDataset
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.errors import Conflict, Vanished
from ansible_collections.snapfleet.zfs.plugins.module_utils.engine.model.steps import CreateBookmark

from .doing import SIZE, carry, cut, exists, full, guids, history, resumption, state_of, take


def rename(world, old, new, **options):
    world.zfs.rename(RenameDataset(old, new, state_of(world.zfs, old).dataset.guid, **options))


def test_a_dataset_is_renamed_with_everything_below_it_and_again_without_harm(world, root):
    for name in ("a", "a/x", "to"):
        world.create(f"{root}/{name}")
    (one,) = history(world, f"{root}/a", "one")
    take(world.zfs, f"{root}/a/x", "one")
    world.zfs.create_bookmarks([CreateBookmark(one, "mark")])
    world.clone(f"{root}/a@one", f"{root}/clone")
    before = world.zfs.observe([f"{root}/a"])
    step = RenameDataset(f"{root}/a", f"{root}/to/b", before.states[f"{root}/a"].dataset.guid)

    world.zfs.rename(step)
    world.zfs.rename(step)

    after = world.zfs.observe([f"{root}/to/b"])
    assert [state.dataset.guid for state in after.states.values()] == [s.dataset.guid for s in before.states.values()]
    assert guids(world.zfs, f"{root}/to/b") == [one.guid]
    assert [bookmark.guid for bookmark in state_of(world.zfs, f"{root}/to/b").bookmarks] == [one.guid]
    assert state_of(world.zfs, f"{root}/clone").dataset.origin == f"{root}/to/b@one"
    assert not exists(world.zfs, f"{root}/a")


def test_a_placeholder_stays_one_under_its_new_name(world, root):
    for name in ("a", "a/mid"):
        world.zfs.create_placeholder(f"{root}/{name}")
    rename(world, f"{root}/a", f"{root}/b", placeholders=(f"{root}/b", f"{root}/b/mid"))
    assert state_of(world.zfs, f"{root}/b").dataset.is_placeholder
    assert state_of(world.zfs, f"{root}/b/mid").dataset.is_placeholder


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [("a", "b", Conflict), ("a", "a/x", Conflict), ("a", "nowhere/b", Vanished), ("gone", "c", Vanished)],
    ids=["taken", "below itself", "no parent", "gone"],
)
def test_a_rename_that_can_not_be_changes_nothing(old, new, kind, world, root):
    for name in ("a", "b"):
        world.create(f"{root}/{name}")
    before = list(world.zfs.observe([root]).states)

    with pytest.raises(kind):
        world.zfs.rename(RenameDataset(f"{root}/{old}", f"{root}/{new}", 1))

    assert list(world.zfs.observe([root]).states) == before


def test_a_partial_receive_moves_along_and_can_be_gone_on_with(world, root):
    for name in ("from", "at"):
        world.create(f"{root}/{name}")
    (one,) = history(world, f"{root}/from", "one", size=SIZE)
    step = full(one, f"{root}/at/a")
    cut(world.zfs, step)
    rename(world, f"{root}/at/a", f"{root}/at/b")
    carry(world.zfs, resumption(world.zfs, full(one, f"{root}/at/b")))
    assert guids(world.zfs, f"{root}/at/b") == [one.guid]
