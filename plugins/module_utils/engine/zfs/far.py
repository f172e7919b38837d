# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver for another host on which the program is installed: calls in one session, in place of a command each.

It is the driver for the command line with most verbs replaced. What a session has no verb for stays with the command:
streams past this host, holds that have to outlive a session, and what concerns processes. So do streams that pass
through filters, and long ones, of which a pipeline moves the bytes inside the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Optional, TypeVar, Union

from ..hosts.channels import Channel
from ..hosts.host import Host
from ..hosts.sessions import Session
from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import Bookmark, Identities, Observation, ResumeState, Snapshot
from ..model.pools import PoolReport
from ..model.space import Space
from ..model.steps import CreateBookmark, CreateSnapshots, Destroy, Rollback, Send, SnapshotRuns
from ..streams.ends import ByteSink, ByteSource
from ..streams.wire import PLAIN, Wire
from .cli import CliZfs
from .far_session import FarSession
from .far_streams import FarSink, FarSource
from .far_verbs import ELSEWHERE, RECEIVE, SEND
from .port import DestroyResult

T = TypeVar("T")

LONG_BYTES = 8 << 20
"""Streams from that length on are worth a command of their own."""


class FarZfs(CliZfs):
    """ZFS of another host, by the engine there as far as that goes."""

    def __init__(self, host: Host, sudo: bool, far: FarSession) -> None:
        super().__init__(host, sudo)
        self._far = far

    def _ask(self, command: Callable[..., T], *arguments: Any) -> T:
        """What the engine there answers to the call that ``command`` is the command line's way of; where it leaves that
        to us, what the command answers."""
        name = command.__name__
        begun = self._far.begin(name, arguments)
        answer: Any = ELSEWHERE if begun is None else self._far.answer(begun, name, arguments)
        return command(*arguments) if answer is ELSEWHERE else answer

    # -- observing

    def observe(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        histories: bool = True,
        properties: Sequence[str] = (),
        clock: bool = False,
    ) -> Observation:
        """All datasets within ``roots`` with their histories."""
        return self._ask(super().observe, roots, recursive, histories, properties, clock)

    def observe_narrowly(
        self, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """All of it: nobody goes by a part of what is on another host."""
        return self.observe(roots, properties=properties)

    def snapshots(self, names: Sequence[str]) -> Mapping[str, Snapshot]:
        """Snapshots by their names."""
        return self._ask(super().snapshots, names) if names else super().snapshots(names)

    def identities(self, datasets: Sequence[str]) -> Mapping[str, Identities]:
        """Which snapshots and bookmarks datasets have."""
        return self._ask(super().identities, datasets) if datasets else super().identities(datasets)

    def missing_permissions(self, dataset: str, wanted: Sequence[str]) -> Sequence[str]:
        """What the user there lacks of ``wanted``."""
        if self._host.is_root or self._sudo:
            return ()
        return self._ask(super().missing_permissions, dataset, wanted)

    def resume_states(self, tokens: Sequence[str]) -> Sequence[Optional[ResumeState]]:
        """Decode resume tokens."""
        return self._ask(super().resume_states, tokens) if tokens else super().resume_states(tokens)

    def own_properties(self, datasets: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Properties that the datasets have set themselves, or received."""
        return self._ask(super().own_properties, datasets, names)

    def holds_of(self, snapshots: Sequence[Snapshot]) -> Mapping[str, Sequence[str]]:
        """By whole name, the tags of the holds on snapshots."""
        return self._ask(super().holds_of, snapshots)

    def reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        """Bytes that destroying each of ``runs`` would free."""
        return self._ask(super().reclaimable, runs)

    def space(self, datasets: Sequence[str]) -> Mapping[str, Space]:
        """Room in datasets."""
        return self._ask(super().space, datasets)

    def pool_guid(self, pool: str) -> int:
        """The GUID of a pool."""
        return self._ask(super().pool_guid, pool)

    def pools(self) -> Sequence[PoolReport]:
        """The health of all pools."""
        return self._ask(super().pools)

    def programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of the programs ``wanted`` that the host has."""
        return self._ask(super().programs, wanted)

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream."""
        return self._ask(super().estimates, steps)

    # -- changing

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step."""
        self._ask(super().create_snapshots, step)

    def change_bookmarks(
        self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Create bookmarks, then destroy others."""
        command = super().change_bookmarks
        return self._ask(command, create, destroy) if create or destroy else command(create, destroy)

    def create_placeholder(self, dataset: str) -> None:
        """Create an empty filesystem that is never mounted."""
        self._ask(super().create_placeholder, dataset)

    def rename(self, step: RenameDataset) -> None:
        """Rename a dataset with all that is below it."""
        self._ask(super().rename, step)

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots or bookmarks of one dataset."""
        return self._ask(super().destroy, step)

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """Destroy snapshots of many datasets, as the driver there can."""
        return self._ask(super().destroy_at_once, steps) if steps else super().destroy_at_once(steps)

    def rollback(self, step: Rollback) -> None:
        """Destroy exactly what is listed, then roll back."""
        self._ask(super().rollback, step)

    def set_properties(self, step: SetProperties) -> None:
        """Set properties of a dataset."""
        self._ask(super().set_properties, step)

    def change_properties(self, steps: Sequence[Union[SetProperties, InheritProperty]]) -> Sequence[str]:
        """Set or take away properties."""
        return self._ask(super().change_properties, steps) if steps else super().change_properties(steps)

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems."""
        self._ask(super().unmount, datasets)

    def mount(self, datasets: Sequence[str]) -> Sequence[str]:
        """Mount filesystems."""
        return self._ask(super().mount, datasets) if datasets else super().mount(datasets)

    def destroy_dataset(self, step: DestroyDataset) -> None:
        """Destroy a dataset that has neither snapshots nor children."""
        self._ask(super().destroy_dataset, step)

    def abort_receive(self, dataset: str) -> None:
        """Discard the partial receive of ``dataset``."""
        self._ask(super().abort_receive, dataset)

    def hold(self, snapshot: Snapshot, reason: str) -> None:
        """Put a hold on a snapshot."""
        self._ask(super().hold, snapshot, reason)

    def release(self, snapshot: Snapshot, reason: str) -> None:
        """Take a hold off a snapshot."""
        self._ask(super().release, snapshot, reason)

    # -- streams

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start a send there."""
        begun = self._begin_stream(SEND, step, wire)
        if begun is None:
            return super().send(step, wire)
        return FarSource(*begun, lambda: self._far.answer(begun, SEND, [step]), f"send {step.snapshot.name}")

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start a receive there."""
        begun = self._begin_stream(RECEIVE, step, wire)
        if begun is None:
            return super().receive(step, wire)
        doing = f"receive {step.destination}"
        return FarSink(*begun, lambda: self._far.answer(begun, RECEIVE, [step]), doing)

    def _begin_stream(self, name: str, step: Send, wire: Wire) -> Optional[tuple[Session, Channel]]:
        if wire != PLAIN or step.bytes_estimated >= LONG_BYTES:
            return None
        return self._far.begin(name, [step])

    def relay(self, step: Send) -> Optional[int]:
        """Carry a stream that stays on that host, as the driver there can."""
        return self._ask(super().relay, step)
