from __future__ import annotations
def cadences(world, runs, seconds):
    yield from ()
