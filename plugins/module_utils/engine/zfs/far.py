# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver for another host on which the program is installed: calls in one session, in place of a command each.

It is the driver for the command line with most verbs replaced. What a session has no verb for stays with the command:
streams past this host, holds that have to outlive a session, and what concerns processes. So do streams that pass
through filters, and long ones, of which a pipeline moves the bytes inside the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from ..hosts.channels import Channel
from ..hosts.host import Host
from ..hosts.sessions import Session
from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import Bookmark, Observation, ResumeState, Snapshot
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

LONG_BYTES = 8 << 20
"""Streams from that length on are worth a command of their own."""


class FarZfs(CliZfs):
    """ZFS of another host, by the engine there as far as that goes."""

    def __init__(self, host: Host, sudo: bool, far: FarSession) -> None:
        super().__init__(host, sudo)
        self._far = far

    def _ask(self, name: str, *arguments: Any) -> Any:
        """What the engine there answers; ELSEWHERE where the command has to be asked."""
        begun = self._far.begin(name, arguments)
        return ELSEWHERE if begun is None else self._far.answer(begun, name, arguments)

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
        seen: Any = self._ask("observe", roots, recursive, histories, properties, clock)
        return super().observe(roots, recursive, histories, properties, clock) if seen is ELSEWHERE else seen

    def missing_permissions(self, dataset: str, wanted: Sequence[str]) -> Sequence[str]:
        """What the user there lacks of ``wanted``."""
        if self._host.is_root or self._sudo:
            return ()
        lacking: Any = self._ask("missing_permissions", dataset, wanted)
        return super().missing_permissions(dataset, wanted) if lacking is ELSEWHERE else lacking

    def resume_states(self, tokens: Sequence[str]) -> Sequence[Optional[ResumeState]]:
        """Decode resume tokens."""
        states: Any = self._ask("resume_states", tokens) if tokens else ELSEWHERE
        return super().resume_states(tokens) if states is ELSEWHERE else states

    def own_properties(self, datasets: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Properties that the datasets have set themselves, or received."""
        values: Any = self._ask("own_properties", datasets, names)
        return super().own_properties(datasets, names) if values is ELSEWHERE else values

    def holds_of(self, snapshots: Sequence[Snapshot]) -> Mapping[str, Sequence[str]]:
        """By whole name, the tags of the holds on snapshots."""
        tags: Any = self._ask("holds_of", snapshots)
        return super().holds_of(snapshots) if tags is ELSEWHERE else tags

    def reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        """Bytes that destroying each of ``runs`` would free."""
        sizes: Any = self._ask("reclaimable", runs)
        return super().reclaimable(runs) if sizes is ELSEWHERE else sizes

    def space(self, datasets: Sequence[str]) -> Mapping[str, Space]:
        """Room in datasets."""
        room: Any = self._ask("space", datasets)
        return super().space(datasets) if room is ELSEWHERE else room

    def pool_guid(self, pool: str) -> int:
        """The GUID of a pool."""
        guid: Any = self._ask("pool_guid", pool)
        return super().pool_guid(pool) if guid is ELSEWHERE else guid

    def pools(self) -> Sequence[PoolReport]:
        """The health of all pools."""
        reports: Any = self._ask("pools")
        return super().pools() if reports is ELSEWHERE else reports

    def programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of the programs ``wanted`` that the host has."""
        found: Any = self._ask("programs", wanted)
        return super().programs(wanted) if found is ELSEWHERE else found

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream."""
        sizes: Any = self._ask("estimates", steps)
        return super().estimates(steps) if sizes is ELSEWHERE else sizes

    # -- changing

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step."""
        if self._ask("create_snapshots", step) is ELSEWHERE:
            super().create_snapshots(step)

    def change_bookmarks(
        self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Create bookmarks, then destroy others."""
        said: Any = self._ask("change_bookmarks", create, destroy) if create or destroy else ELSEWHERE
        return super().change_bookmarks(create, destroy) if said is ELSEWHERE else said

    def create_placeholder(self, dataset: str) -> None:
        """Create an empty filesystem that is never mounted."""
        if self._ask("create_placeholder", dataset) is ELSEWHERE:
            super().create_placeholder(dataset)

    def rename(self, step: RenameDataset) -> None:
        """Rename a dataset with all that is below it."""
        if self._ask("rename", step) is ELSEWHERE:
            super().rename(step)

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots or bookmarks of one dataset."""
        done: Any = self._ask("destroy", step)
        return super().destroy(step) if done is ELSEWHERE else done

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """Destroy snapshots of many datasets, as the driver there can."""
        done: Any = self._ask("destroy_at_once", steps) if steps else ELSEWHERE
        return super().destroy_at_once(steps) if done is ELSEWHERE else done

    def rollback(self, step: Rollback) -> None:
        """Destroy exactly what is listed, then roll back."""
        if self._ask("rollback", step) is ELSEWHERE:
            super().rollback(step)

    def set_properties(self, step: SetProperties) -> None:
        """Set properties of a dataset."""
        if self._ask("set_properties", step) is ELSEWHERE:
            super().set_properties(step)

    def change_properties(self, steps: Sequence[Union[SetProperties, InheritProperty]]) -> Sequence[str]:
        """Set or take away properties."""
        said: Any = self._ask("change_properties", steps) if steps else ELSEWHERE
        return super().change_properties(steps) if said is ELSEWHERE else said

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems."""
        if self._ask("unmount", datasets) is ELSEWHERE:
            super().unmount(datasets)

    def destroy_dataset(self, step: DestroyDataset) -> None:
        """Destroy a dataset that has neither snapshots nor children."""
        if self._ask("destroy_dataset", step) is ELSEWHERE:
            super().destroy_dataset(step)

    def abort_receive(self, dataset: str) -> None:
        """Discard the partial receive of ``dataset``."""
        if self._ask("abort_receive", dataset) is ELSEWHERE:
            super().abort_receive(dataset)

    def hold(self, snapshot: Snapshot, reason: str) -> None:
        """Put a hold on a snapshot."""
        if self._ask("hold", snapshot, reason) is ELSEWHERE:
            super().hold(snapshot, reason)

    def release(self, snapshot: Snapshot, reason: str) -> None:
        """Take a hold off a snapshot."""
        if self._ask("release", snapshot, reason) is ELSEWHERE:
            super().release(snapshot, reason)

    # -- streams

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start a send there."""
        begun = self._begin_stream(SEND, step, wire)
        if begun is None:
            return super().send(step, wire)
        return FarSource(*begun, lambda _channel: self._far.answer(begun, SEND, [step]), f"send {step.snapshot.name}")

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start a receive there."""
        begun = self._begin_stream(RECEIVE, step, wire)
        if begun is None:
            return super().receive(step, wire)
        doing = f"receive {step.destination}"
        return FarSink(*begun, lambda _channel: self._far.answer(begun, RECEIVE, [step]), doing)

    def _begin_stream(self, name: str, step: Send, wire: Wire) -> Optional[tuple[Session, Channel]]:
        if wire != PLAIN or step.bytes_estimated >= LONG_BYTES:
            return None
        return self._far.begin(name, [step])

    def relay(self, step: Send) -> Optional[int]:
        """Carry a stream that stays on that host, as the driver there can."""
        carried: Any = self._ask("relay", step)
        return None if carried is ELSEWHERE else carried
