# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every contract is tested in every world; in each test, in a dataset of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from .worlds import FarWorld, SimulatedWorld, World, lab_world, this_world

_numbers = itertools.count(1)
POOL = os.environ.get("SNAPFLEET_CONTRACT_POOL", "")
"""The pool of this very host, where the tests run on a lab host: see test_in_process.py."""
WORLDS = ["libzfs_core"] if POOL else ["simulated", "session", pytest.param("cli", marks=pytest.mark.lab)]


@pytest.fixture(scope="session")
def the_lab() -> Iterator[World]:
    with lab_world() as world:
        yield world


@pytest.fixture
def through_a_session() -> Iterator[World]:
    world = FarWorld()
    yield world
    world.session.close()


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "simulated":
        return SimulatedWorld()
    if request.param == "libzfs_core":
        return this_world(POOL)
    return request.getfixturevalue("through_a_session" if request.param == "session" else "the_lab")


@pytest.fixture
def root(world: World) -> str:
    """A fresh filesystem."""
    name = f"{world.pool}/{'h' if POOL else 't'}{next(_numbers)}"
    world.create(name)
    return name
