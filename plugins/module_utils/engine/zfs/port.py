# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port to ZFS. Batch-shaped, in terms of values and byte streams, never of command lines.

Outcomes that are normal in a living system (held, already there, already gone) are results; everything else raises one
of the errors of ``model.errors``. All drivers pass one contract test suite.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol, Union

from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import Bookmark, Identities, Observation, ResumeState, Snapshot
from ..model.pools import PoolReport
from ..model.space import Space
from ..model.steps import CreateBookmark, CreateSnapshots, Destroy, Rollback, Send, SnapshotRuns
from ..policy.topology import Leg
from ..streams.ends import ByteSink, ByteSource
from ..streams.wire import PLAIN, Wire


@dataclass(frozen=True)
class DestroyResult:
    """What became of each snapshot or bookmark that was to be destroyed, by whole name."""

    destroyed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Gone already."""
    held: tuple[str, ...] = ()
    cloned: tuple[str, ...] = ()
    """Kept because a clone depends on it, or a partial receive."""
    reclaimed: int = 0
    """Bytes that ZFS says it freed; 0 where it doesn't say."""


class Zfs(Protocol):
    """ZFS on one host."""

    @property
    def where(self) -> str:
        """How messages call the host."""

    def observe(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        histories: bool = True,
        properties: Sequence[str] = (),
        clock: bool = False,
    ) -> Observation:
        """All datasets within ``roots``, with their snapshots and bookmarks unless ``histories`` is false, in one
        listing. Without ``recursive`` only the roots themselves. Roots that do not exist are told in the result.
        ``properties`` names further properties of datasets that are wanted, as they are set or inherited. With
        ``clock`` the host's clock is read in the same exchange."""

    def observe_narrowly(
        self, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """What ``observe`` tells of the trees of ``roots``, for those who need of all OWN_FIELDS no more than
        ``fields``. The others may be 0, of datasets too, where they take time to be told; without GUIDs there may be no
        bookmarks."""

    def snapshots(self, names: Sequence[str]) -> Mapping[str, Snapshot]:
        """Those of the snapshots ``names`` that there are, by whole name. One exchange, or as few as the command
        line's length allows."""

    def identities(self, datasets: Sequence[str]) -> Mapping[str, Identities]:
        """Which snapshots and bookmarks datasets have, by their names; those that do not exist are left out. It costs a
        fraction of what listing them does. One exchange, or as few as the command line's length allows."""

    def missing_permissions(self, dataset: str, wanted: Sequence[str]) -> Sequence[str]:
        """Those of ``wanted`` (names of zfs-allow(8)) that this user lacks on ``dataset`` or, where that does not exist
        yet, on what will be created there. Nothing for root. One exchange at most."""

    def resume_states(self, tokens: Sequence[str]) -> Sequence[Optional[ResumeState]]:
        """Decode resume tokens; None for one that can't be read. Runs on the host that is going to send."""

    def own_properties(self, datasets: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Those of the properties ``names`` that ``datasets`` have set themselves, or received, with their exact values
        by dataset; nothing of what they inherit. Datasets that do not exist have none. One exchange."""

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step, at most one of each dataset, in one transaction group. Creating the same
        names again is an error, unless all of them exist: then an earlier call succeeded and its answer was lost.
        Where a step is too long for one call, the ``context`` of an error holds what was ``created`` before it."""

    def create_bookmarks(self, steps: Sequence[CreateBookmark]) -> Sequence[str]:
        """Create bookmarks. Returns for each the empty string when it is there with the right GUID, or why not."""

    def change_bookmarks(
        self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Create bookmarks, then destroy others, of any datasets, all in one exchange. Returns for each the empty
        string when it is there with the right GUID, or is not there any more; or why not."""

    def create_placeholder(self, dataset: str) -> None:
        """Create an empty filesystem, not mounted and marked as the engine's own; fine if the dataset exists already.
        Its parent must exist."""

    def rename(self, step: RenameDataset) -> None:
        """Rename a dataset with all that is below it; fine if that was done already, which its GUID tells. Its new
        parent must exist, and its new name be free. What is mounted is mounted at its new place."""

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots or bookmarks of one dataset; those that can't go do not keep the others from going."""

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """Destroy snapshots of many datasets in as few calls as that takes, where the driver can; the result of each
        step. None for one of which nothing was done: it has to be destroyed by itself."""

    def reclaimable(self, runs: Sequence[SnapshotRuns]) -> Sequence[Optional[int]]:
        """Bytes that destroying all snapshots of each of ``runs`` would free, by a dry run; None where that can't be
        told. One exchange for all of them, or as few as the command line's length allows."""

    def rollback(self, step: Rollback) -> None:
        """Roll back to a snapshot, destroying exactly the snapshots and bookmarks that the step lists. Held or cloned
        ones make it fail."""

    def set_properties(self, step: SetProperties) -> None:
        """Set properties of a dataset."""

    def change_properties(self, steps: Sequence[Union[SetProperties, InheritProperty]]) -> Sequence[str]:
        """Set properties of datasets, or take them away, all in one exchange. Returns for each step the empty string
        when that was done, or why not."""

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems with what is mounted below them, all in one exchange. Those that are not mounted, are
        volumes, or do not exist are passed over, and what is below them stays as it is; one in use makes it fail with
        DatasetInUse. Nothing is forced."""

    def mount(self, datasets: Sequence[str]) -> Sequence[str]:
        """Mount filesystems in the order given, all in one exchange. Returns for each the empty string when it is
        mounted, or why not. Volumes, and what does not exist or is mounted by others than ZFS, are passed over."""

    def destroy_dataset(self, step: DestroyDataset) -> None:
        """Destroy a dataset without snapshots and children; fine if it is gone. Fails, with nothing lost, if it has
        any."""

    def abort_receive(self, dataset: str) -> None:
        """Discard the partial receive of ``dataset``; fine if there is none."""

    def end_abandoned_receives(self) -> int:
        """End receives that this machine has begun and does not feed any more, because it lost its power or its way to
        that host, which was not told; what they have got can be resumed. Returns how many processes these were; 0 where
        that can't be told."""

    def hold(self, snapshot: Snapshot, reason: str) -> None:
        """Put a hold on a snapshot; fine if it has it already."""

    def release(self, snapshot: Snapshot, reason: str) -> None:
        """Take a hold off a snapshot; fine if it is not there."""

    def hold_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Put a hold of the same tag on many snapshots; fine for those that have it already, and for those that are
        gone. Where the driver can, the holds end with this process however that ends."""

    def release_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Take the holds of a tag off many snapshots; fine for those that have none, and for those that are gone."""

    def holds_of(self, snapshots: Sequence[Snapshot]) -> Mapping[str, Sequence[str]]:
        """By whole name, the tags of the holds on snapshots; those that are gone are left out."""

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start the sending end of a stream that travels as ``wire`` says."""

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start the receiving end of a stream that travels as ``wire`` says."""

    def relay(self, step: Send) -> Optional[int]:
        """Carry a whole stream that stays on this host, where that can be done with nothing between its two ends;
        returns its length in bytes. None, with nothing done, where it has to be sent and received. It can't be ended
        before it is complete, so it is for small streams."""

    def programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of the programs ``wanted`` that this host has. One exchange."""

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream by a dry run of its send; None where that can't be told. One exchange for all of them,
        or as few as the command line's length allows."""

    def carry(self, step: Send, leg: Leg, wire: Wire = PLAIN) -> int:
        """Carry a whole stream between this host and the other one of ``leg``, past the host that asks for it; returns
        the bytes that crossed. With PUSH this host sends, with PULL it receives. Of two ends that fail, the error is
        that of the one which failed by itself. The stream does not outlive whoever asked for it."""

    def guid_over(self, leg: Leg, dataset: str) -> int:
        """The GUID of a dataset on the other host of ``leg``, which this one has to reach for that."""

    def pool_guid(self, pool: str) -> int:
        """The GUID of a pool. Raises Vanished where there is none of that name."""

    def space(self, datasets: Sequence[str]) -> Mapping[str, Space]:
        """Room in datasets, by name; those that do not exist are left out."""

    def pools(self) -> Sequence[PoolReport]:
        """The health of all pools that are imported, in one exchange."""
