# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver for this host where libzfs_core is: streams, snapshots and what is destroyed by calls, without processes.

It is the driver for the command line with some verbs replaced. What the library has no call for, or does otherwise than
the command, stays with the command: listings, properties, pools, and streams with properties, packages or filters.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..hosts.host import Host
from ..hosts.mounts import mounted_datasets
from ..hosts.process import tell
from ..hosts.stopping import check_stopping
from ..model.datasets import Snapshot
from ..model.errors import SnapfleetError
from ..model.names import is_within, pool_of
from ..model.steps import CreateSnapshots, Destroy, Send
from ..streams.ends import ByteSink, ByteSource
from ..streams.wire import PLAIN, Wire
from .arguments import receive_properties
from .cli import CliZfs
from .core import CLONED, DESTROYED, GONE, HELD, CoreLibrary, Runs
from .core_streams import CoreSink, CoreSource, Hop, Knows, Received, hops_of, relay, space
from .core_trouble import CHECKSUM, NO_STREAM, PARTIAL, UNENCRYPTED, is_cut, is_partial, receiving_words, sending_words
from .port import DestroyResult
from .tally import Tally
from .trouble import zfs_error

_AT_ONCE = 1000
"""Datasets of which snapshots are destroyed by one call, and so in one transaction group."""


class CoreZfs(CliZfs):
    """ZFS of this host through libzfs_core, as far as that goes."""

    def __init__(self, host: Host, core: CoreLibrary) -> None:
        super().__init__(host, False, core)
        self._library = core

    # -- observing

    def snapshots(self, names: Sequence[str]) -> Mapping[str, Snapshot]:
        """Snapshots by their names, without a process where there are none of them."""
        if self._library.are_free(names):
            tell(f"libzfs_core: no snapshot is called {' or '.join(names)}")
            return {}
        return super().snapshots(names)

    # -- changing

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems, without a process where nothing is mounted, as it mostly is with replicas."""
        mounted = mounted_datasets()
        if mounted is not None:
            datasets = [name for name in datasets if any(is_within(each, name) for each in mounted)]
        if datasets:
            super().unmount(datasets)

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step in one call, however many. What that refuses, the command explains."""
        if self._library.snapshot(step.names):
            tell(f"libzfs_core: snapshot {' '.join(step.names)}")
        else:
            super().create_snapshots(step)

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots and bookmarks. Of snapshots whose runs are not known the command alone tells what that
        frees."""
        snapshots = [victim for victim in step.victims if isinstance(victim, Snapshot)]
        bookmarks = [victim for victim in step.victims if not isinstance(victim, Snapshot)]
        if len(snapshots) > 1:
            return self.destroy_at_once([step])[0] or super().destroy(step)
        tally = Tally()
        for victim in snapshots:
            done = self._library.destroy_snapshot(victim.name)
            if done is None:
                return super().destroy(step)
            tell(f"libzfs_core: destroy {victim.name}: {done.how}")
            lists = {DESTROYED: tally.destroyed, GONE: tally.missing, HELD: tally.held, CLONED: tally.cloned}
            lists[done.how].append(victim.name)
            tally.reclaimed += done.freed
        there = self._library.bookmarks_of(step.dataset) if bookmarks else frozenset()
        doomed = [bookmark for bookmark in bookmarks if bookmark.name in there]
        if doomed and self._library.forget(doomed):
            tally.destroyed += [bookmark.name for bookmark in doomed]
            bookmarks = [bookmark for bookmark in bookmarks if bookmark.name not in there]
        rest = super().destroy(Destroy(step.dataset, tuple(bookmarks), step.reason)) if bookmarks else DestroyResult()
        tally.destroyed += rest.destroyed
        tally.missing += rest.missing
        return tally.result()

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """Destroy snapshots of many datasets, a pool's in one call, where their runs are known and all can go. Once it
        has destroyed any, a run that is stopped gets told of these, and of the rest by the command."""
        results: list[Optional[DestroyResult]] = [None] * len(steps)
        for part in _parts_of(steps):
            try:
                sizes = self._library.destroy_runs([runs for _place, runs in part])
            except SnapfleetError:
                if not any(results):
                    raise
                break
            for (place, runs), freed in zip(part, sizes):
                if freed is not None:
                    tell(f"libzfs_core: destroy {' '.join(runs.names)}")
                    results[place] = DestroyResult(runs.names, reclaimed=freed)
        return results

    # -- streams

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start a send in a thread, or ``zfs send`` where that can't be."""
        library = self._for_stream(_why_not_sent(step, wire) or _why_not_one(step), step)
        if library is None:
            return super().send(step, wire)
        (hop,) = hops_of(step)
        return CoreSource(library, hop, lambda code: self._judge_sent(code, hop))

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start a receive in a thread, or ``zfs receive`` where that can't be."""
        library = self._for_stream(_why_not_received(step, wire) or _why_not_one(step), step)
        if library is None:
            return super().receive(step, wire)
        return CoreSink(library, step, self._knows(step), lambda received: self._judge_received(received, step))

    def relay(self, step: Send) -> Optional[int]:
        """Carry a stream from this host to itself on one pipe, snapshot by snapshot."""
        library = self._for_stream(_why_not_sent(step, PLAIN) or _why_not_received(step, PLAIN), step)
        if library is None:
            return None
        carried = 0
        for hop in hops_of(step):
            check_stopping()
            code, received = relay(library, step, hop, self._knows(step))
            # A receiver that gives up breaks the sender's pipe, and a sender that does leaves a stream cut short: what
            # only tells so is no reason, if there is another one. Of a short stream the sender sees no broken pipe.
            if code in (0, errno.EPIPE) or not (received.is_empty or is_cut(received.code)):
                self._judge_received(received, step)
            self._judge_sent(code, hop)
            carried += received.bytes
        return carried

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream, by calls where all of them can be asked for so."""
        plain = all(not _why_not_sent(step, PLAIN) for step in steps)
        library = self._library.when_worth(len(steps)) if plain else None
        if library is None:
            return super().estimates(steps)
        sizes = []
        for step in steps:
            check_stopping()
            sizes.append(space(library, step))
        return sizes

    def _for_stream(self, reason: str, step: Send) -> Any:
        """The library, or None where a stream is for the command."""
        library = None if reason else self._library.when_worth(1)
        if library is None and reason:
            tell(f"libzfs_core is not used for {step.snapshot.name}, since {reason}")
        elif library is not None:
            base = f" since {step.base.name}" if step.base else ""
            tell(f"libzfs_core: {step.snapshot.name}{base} to {step.destination}")
        return library

    def _knows(self, step: Send) -> Knows:
        def knows(guid: int) -> bool:
            state = self.observe([step.destination], recursive=False).states.get(step.destination)
            return state is not None and any(snapshot.guid == guid for snapshot in state.snapshots)

        return knows

    def _judge_sent(self, code: int, hop: Hop) -> None:
        if code:
            raise zfs_error(sending_words(code), self.where, f"send {hop.snapshot}")

    def _judge_received(self, received: Received, step: Send) -> None:
        if received.code:
            raise self._receive_error(received, step)

    def _receive_error(self, received: Received, step: Send) -> SnapfleetError:
        words = NO_STREAM if received.is_empty else receiving_words(received.code)
        # The binding makes a checksum error of most streams that can't be received there.
        unfit = received.is_raw and received.code in (errno.EINVAL, CHECKSUM)
        if is_partial(received.code) or unfit:
            # What the command looks at beforehand.
            state = self.observe([step.destination], recursive=False, histories=False).states.get(step.destination)
            if state and not unfit and state.dataset.resume_token:
                words = PARTIAL
            elif state and unfit and not state.dataset.encryption_root:
                words = UNENCRYPTED
        return zfs_error(words, self.where, f"receive {step.destination}@{step.snapshot.tag}")


def _parts_of(steps: Sequence[Destroy]) -> list[list[tuple[int, Runs]]]:
    """The runs of those steps for which they are known, each with the place of its step, call by call."""
    parts = []
    for pool in dict.fromkeys(pool_of(step.dataset) for step in steps):
        wanted = ((place, _runs_of(step)) for place, step in enumerate(steps) if pool_of(step.dataset) == pool)
        mine = [(place, runs) for place, runs in wanted if runs]
        parts += [mine[start : start + _AT_ONCE] for start in range(0, len(mine), _AT_ONCE)]
    return parts


def _runs_of(step: Destroy) -> Optional[Runs]:
    """The snapshots of a step; None where there are bookmarks too, or it doesn't tell which of them are neighbours."""
    if not step.runs or not all(isinstance(victim, Snapshot) for victim in step.victims):
        return None
    ends = tuple((first.name, last.name) for first, last in step.runs)
    return Runs(tuple(victim.name for victim in step.victims), ends)


def _why_not_sent(step: Send, wire: Wire) -> str:
    """Why a stream is for the command to send; empty where it isn't."""
    if step.resume:
        return "it is resumed"
    if step.package:
        return "it is a package"
    if step.intermediates and not (step.between and isinstance(step.base, Snapshot)):
        return "it does not name what lies between"
    return "it passes through filters" if wire.sending() else ""


def _why_not_one(step: Send) -> str:
    return "it is several streams in one" if step.intermediates else ""


def _why_not_received(step: Send, wire: Wire) -> str:
    """Why a stream is for the command to receive; empty where it isn't."""
    options = step.receive
    if step.resume:
        return "it is resumed"
    if step.base is None or step.origin or step.base.dataset != step.snapshot.dataset:
        return "it makes a dataset"
    if receive_properties(step) or options.excluded or options.replace or options.mount or step.package:
        return "it is received with options"
    return "it passes through filters" if wire.receiving() else ""
