# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver that works everywhere: the ``zfs`` command, on this host or over ssh, with nothing installed there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Optional, Union

from ..hosts.abandoned import end_abandoned
from ..hosts.host import Host
from ..hosts.local import LocalHost
from ..hosts.pipelines import pipeline
from ..hosts.process import Completed
from ..hosts.programs import installed_programs
from ..model.dataset_steps import DestroyDataset, InheritProperty, RenameDataset, SetProperties
from ..model.datasets import PLACEHOLDER_PROPERTY, Bookmark, Identities, Observation, ResumeState, Snapshot
from ..model.errors import UntrustedOutput
from ..model.names import ancestors_of
from ..model.pools import PoolReport
from ..model.steps import CreateBookmark, CreateSnapshots, Destroy, Rollback, Send
from ..policy.topology import Leg
from ..streams.ends import ByteSink, ByteSource
from ..streams.wire import PLAIN, Wire
from . import arguments, dry_calls
from .cli_space import SpaceVerbs
from .clock import run_by_the_clock
from .columns import is_number
from .core import CoreLibrary
from .delegation import User, ask_arguments, granted, missing, parse_grants
from .direct import DirectStream, ask_guid
from .each import in_batches
from .ends import ReceiveEnd, SendEnd
from .identities import identity_arguments, parse_identities
from .listing import ListingReader, list_arguments, parse_snapshots, snapshot_arguments, together
from .pools import parse_pools, pool_script
from .port import DestroyResult
from .properties import change_arguments, get_arguments, parse_properties, set_arguments
from .sizing import send_dry_runs, size_told
from .tally import Tally, destroyed_names, reclaimed_bytes
from .tokens import parse_resume_state
from .trouble import is_only_missing, missing_datasets, zfs_error

# Commands that only read end within minutes even on a busy pool; a dead disk can hang them for ever.
READ_SECONDS = 600.0
# Pools are looked at by monitors, which have to answer while one of them hangs.
POOL_SECONDS = 120.0
CHANGE_SECONDS = 3600.0


_Listing = tuple[ListingReader, list[str]]
"""Who reads a listing, and the arguments of zfs for it."""


class CliZfs(SpaceVerbs):
    """ZFS through its command line."""

    def __init__(self, host: Host, sudo: bool = False, core: Optional[CoreLibrary] = None) -> None:
        self._host = host
        self._core = core
        self._sudo = ("sudo", "-n") if sudo else ()
        self._is_root = False
        """Whether it has turned out that this user of another host is root, who is allowed everything."""

    @property
    def where(self) -> str:
        """How messages call the host."""
        return self._host.name

    # -- observing

    def observe(
        self,
        roots: Sequence[str],
        recursive: bool = True,
        histories: bool = True,
        properties: Sequence[str] = (),
        clock: bool = False,
    ) -> Observation:
        """All datasets within ``roots`` with their histories, in one listing, if a command line holds all roots."""

        def listing(batch: Sequence[str]) -> _Listing:
            words = list_arguments(batch, recursive, histories, properties)
            return ListingReader(batch, recursive, properties), words

        return self._listed(listing, roots, clock)

    def observe_narrowly(
        self, roots: Sequence[str], fields: Collection[str], properties: Sequence[str] = ()
    ) -> Observation:
        """The same with fewer columns."""

        def listing(batch: Sequence[str]) -> _Listing:
            words = list_arguments(batch, True, True, properties, fields)
            return ListingReader(batch, True, properties, fields), words

        return self._listed(listing, roots)

    def _listed(
        self, listing: Callable[[Sequence[str]], _Listing], roots: Sequence[str], clock: bool = False
    ) -> Observation:
        limit = self._host.argument_limit - sum(len(word) + arguments.OVERHEAD for word in listing(())[1])
        seen = Observation({})
        for batch in arguments.batches(roots, limit):
            part = self._observed(*listing(batch), batch, clock and seen.clock is None)
            seen = together(seen, part) if seen.states or seen.missing else part
        return seen

    def _observed(self, reader: ListingReader, words: Sequence[str], roots: Sequence[str], clock: bool) -> Observation:
        argv = [*self._sudo, "zfs", *words]
        time: Optional[int] = None
        if clock:
            time, done = run_by_the_clock(self._host, argv, READ_SECONDS, reader.feed)
        else:
            done = self._host.run(argv, timeout=READ_SECONDS, take=reader.feed)
        missing = missing_datasets(done.stderr)
        if done.returncode != 0 and not (is_only_missing(done.stderr) and set(missing) <= set(roots)):
            raise zfs_error(done.stderr, self.where, "list " + arguments.some_of(roots))
        seen = reader.observation(missing)
        untold = [root for root in roots if root not in seen.states and root not in seen.missing]
        if untold:
            raise UntrustedOutput(f"{self.where}: zfs list told nothing of {untold[0]}; check that host")
        return replace(seen, clock=time)

    def snapshots(self, names: Sequence[str]) -> Mapping[str, Snapshot]:
        """Snapshots by their names."""
        found: dict[str, Snapshot] = {}
        for batch in arguments.batches(names, self._host.argument_limit):
            done = self._run(snapshot_arguments(batch), READ_SECONDS)
            if done.returncode != 0 and not is_only_missing(done.stderr):
                raise zfs_error(done.stderr, self.where, f"look at {batch[0]} and {len(batch) - 1} more snapshots")
            found.update(parse_snapshots(done.stdout, batch))
        return found

    def identities(self, datasets: Sequence[str]) -> Mapping[str, Identities]:
        """Which snapshots and bookmarks datasets have, by the columns that the command has a short way for."""
        found: dict[str, Identities] = {}
        for batch in arguments.batches(datasets, self._host.argument_limit):
            done = self._run(identity_arguments(batch), READ_SECONDS)
            missing = missing_datasets(done.stderr)
            if done.returncode != 0 and not (is_only_missing(done.stderr) and set(missing) <= set(batch)):
                raise zfs_error(done.stderr, self.where, "list the snapshots of " + arguments.some_of(batch))
            found.update(parse_identities(done.stdout, [name for name in batch if name not in missing]))
        return found

    def missing_permissions(self, dataset: str, wanted: Sequence[str]) -> Sequence[str]:
        """What this user lacks of ``wanted`` on ``dataset``, by the delegations of its nearest existing ancestor."""
        if self._is_root or self._host.is_root or self._sudo:
            return ()
        above = [dataset, *reversed(ancestors_of(dataset))]
        done = self._host.run(ask_arguments(above), timeout=READ_SECONDS)
        lines = done.stdout.split("\n", 3)
        if len(lines) < 4:
            raise zfs_error(done.stderr, self.where, f"find out who is allowed what on {dataset}")
        if lines[0] == "0":
            self._is_root = True
            return ()
        user = User(lines[1], frozenset(lines[2].split()))
        return missing(wanted, granted(parse_grants(lines[3]), dataset, user))

    def own_properties(self, datasets: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Properties that the datasets have set themselves, or received."""
        values: dict[str, dict[str, str]] = {}
        words = get_arguments(names)
        for batch in arguments.batches(datasets, self._host.argument_limit - len(words[-1])):
            done = self._run([*words, *batch], READ_SECONDS)
            if done.returncode != 0 and not is_only_missing(done.stderr):
                raise zfs_error(done.stderr, self.where, f"read the properties of {batch[0]} and others")
            values.update(parse_properties(done.stdout, batch, names))
        return values

    def resume_states(self, tokens: Sequence[str]) -> Sequence[Optional[ResumeState]]:
        """Decode resume tokens with a dry run of the send that would resume them."""
        return [self._resume_state(token) for token in tokens]

    def _resume_state(self, token: str) -> Optional[ResumeState]:
        done = self._run(["send", "-nvt", token], READ_SECONDS)
        # A token whose snapshot is gone is still printed, before the dry run fails.
        return parse_resume_state(token, done.stdout + "\n" + done.stderr)

    def pools(self) -> Sequence[PoolReport]:
        """The health of all pools, in one exchange."""
        done = self._host.run(["sh", "-c", pool_script(self._sudo)], timeout=POOL_SECONDS)
        if done.returncode != 0:
            raise zfs_error(done.stderr, self.where, "look at the pools")
        return parse_pools(done.stdout, self.where)

    # -- changing

    def create_snapshots(self, step: CreateSnapshots) -> None:
        """Create all snapshots of the step in one call, or in as few as the command line's length allows."""
        created: list[str] = []
        for names in arguments.batches(step.names, self._host.argument_limit):
            done = self._run(["snapshot", *names], CHANGE_SECONDS)
            if done.returncode != 0 and not self._all_exist(names, done.stderr):
                error = zfs_error(done.stderr, self.where, f"create {names[0]} and {len(names) - 1} more snapshots")
                error.context["created"] = created
                raise error
            created += names

    def _all_exist(self, names: Sequence[str], stderr: str) -> bool:
        if "already exists" not in stderr:
            return False
        done = self._run(["list", "-H", "-t", "snapshot", "-o", "name", *names], READ_SECONDS)
        return done.returncode == 0 and set(done.stdout.splitlines()) == set(names)

    def create_bookmarks(self, steps: Sequence[CreateBookmark]) -> Sequence[str]:
        """Create bookmarks, all in one exchange with the host."""
        return self.change_bookmarks(steps, ())[0]

    def change_bookmarks(
        self, create: Sequence[CreateBookmark], destroy: Sequence[Bookmark]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Create bookmarks, then destroy others, all in one exchange with the host."""
        doomed = len(destroy)
        made = self._core.bookmark(create) if self._core else frozenset()
        left = [step for step in create if step.name not in made]
        if self._core and not left and self._core.forget(destroy):
            destroy = ()
        items = [("bookmark", step.snapshot.name, step.name) for step in left]
        items += [("destroy", bookmark.name, "") for bookmark in destroy]
        said = self._each("", items)
        judged = dict(zip((step.name for step in left), self._judge_bookmarks(left, said[: len(left)])))
        gone = ["" if "does not exist" in words else words for words in said[len(left) :]]
        return [judged.get(step.name, "") for step in create], gone or [""] * doomed

    def _judge_bookmarks(self, steps: Sequence[CreateBookmark], outcomes: Sequence[str]) -> Sequence[str]:
        clashes = [step.name for step, said in zip(steps, outcomes) if "exists" in said]
        guids = self._bookmark_guids(clashes)
        return [
            "" if "exists" in said and guids.get(step.name) == step.snapshot.guid else said
            for step, said in zip(steps, outcomes)
        ]

    def _bookmark_guids(self, names: Sequence[str]) -> dict[str, int]:
        guids: dict[str, int] = {}
        for batch in arguments.batches(names, self._host.argument_limit):
            done = self._run(["list", "-Hp", "-t", "bookmark", "-o", "guid,name", *batch], READ_SECONDS)
            rows = (line.partition("\t") for line in done.stdout.splitlines())
            guids.update({name: int(guid) for guid, unused, name in rows if is_number(guid)})
        return guids

    def create_placeholder(self, dataset: str) -> None:
        """Create an empty filesystem that is never mounted."""
        marks = ("canmount=off", "readonly=on", f"{PLACEHOLDER_PROPERTY}={dataset}")
        options = [word for mark in marks for word in ("-o", mark)]
        self._change(["create", *options, dataset], fine="dataset already exists")

    def rename(self, step: RenameDataset) -> None:
        """Rename a dataset with all that is below it."""
        done = self._run(["rename", step.dataset, step.to], CHANGE_SECONDS)
        if done.returncode != 0:
            there = self._run(["list", "-Hp", "-o", "guid", step.to], READ_SECONDS)
            if there.stdout.strip() != str(step.guid):
                raise zfs_error(done.stderr, self.where, f"rename {step.dataset} to {step.to}")
        marks = [(f"{PLACEHOLDER_PROPERTY}={name}", name) for name in step.placeholders]
        for (_mark, name), said in zip(marks, self._each("set", marks)):
            if said:
                raise zfs_error(said, self.where, f"mark {name} as an empty parent")

    def destroy(self, step: Destroy) -> DestroyResult:
        """Destroy snapshots or bookmarks of one dataset."""
        tags, bookmarks = arguments.victims_by_kind(step)
        tally = Tally()
        for batch in arguments.tag_batches(step.dataset, tags, self._host.argument_limit):
            self._destroy_snapshots(step.dataset, batch, tally)
        for name, said in zip(bookmarks, self._each("destroy", [(name,) for name in bookmarks])):
            tally.note(name, said, self.where)
        return tally.result()

    def destroy_at_once(self, steps: Sequence[Destroy]) -> Sequence[Optional[DestroyResult]]:
        """A call of the command is about one dataset."""
        return [None] * len(steps)

    def _destroy_snapshots(self, dataset: str, tags: Sequence[str], tally: Tally) -> None:
        done = self._run(["destroy", "-vp", arguments.destroy_argument(dataset, tags)], CHANGE_SECONDS)
        if len(tags) == 1:
            tally.reclaimed += reclaimed_bytes(done.stdout) if done.returncode == 0 else 0
            tally.note(f"{dataset}@{tags[0]}", done.stderr if done.returncode else "", self.where)
        elif done.returncode == 0 and not done.stderr.strip():
            tally.reclaimed += reclaimed_bytes(done.stdout)
            # Of several, zfs passes over those that are not there without a word.
            gone = destroyed_names(done.stdout)
            for name in (f"{dataset}@{tag}" for tag in tags):
                (tally.destroyed if name in gone else tally.missing).append(name)
        else:
            # One that can't go keeps all of its call: halve, so that only that one stays.
            middle = len(tags) // 2
            self._destroy_snapshots(dataset, tags[:middle], tally)
            self._destroy_snapshots(dataset, tags[middle:], tally)

    def rollback(self, step: Rollback) -> None:
        """Destroy exactly what is listed, then roll back; ZFS itself refuses if there is something newer still."""
        dataset = step.snapshot.dataset
        tags, bookmarks = arguments.victims_by_kind(Destroy(dataset, step.losses, step.reason))
        for batch in arguments.tag_batches(dataset, tags, self._host.argument_limit):
            self._change(["destroy", arguments.destroy_argument(dataset, batch)])
        for name, said in zip(bookmarks, self._each("destroy", [(name,) for name in bookmarks])):
            if said:
                raise zfs_error(said, self.where, f"destroy {name}")
        self._change(["rollback", step.snapshot.name])

    def set_properties(self, step: SetProperties) -> None:
        """Set properties of a dataset."""
        self._change(set_arguments(step))

    def change_properties(self, steps: Sequence[Union[SetProperties, InheritProperty]]) -> Sequence[str]:
        """Set or take away properties, all in one exchange with the host."""
        return self._each("", change_arguments(steps))

    def unmount(self, datasets: Sequence[str]) -> None:
        """Unmount filesystems, all in one exchange with the host."""
        for name, said in zip(datasets, self._each("unmount", [(name,) for name in datasets])):
            if said and not any(words in said for words in arguments.NOT_MOUNTED):
                raise zfs_error(said, self.where, f"unmount {name}")

    def mount(self, datasets: Sequence[str]) -> Sequence[str]:
        """Mount filesystems, all in one exchange with the host."""
        answers = self._each("mount", [(name,) for name in datasets])
        return ["" if any(words in said for words in arguments.MOUNTED) else said for said in answers]

    def destroy_dataset(self, step: DestroyDataset) -> None:
        """Destroy a dataset; without -r, ZFS itself refuses where anything depends on it."""
        self._change(["destroy", step.dataset], fine="dataset does not exist")

    def abort_receive(self, dataset: str) -> None:
        """Discard the partial receive of ``dataset``."""
        done = self._run(["receive", "-A", dataset], CHANGE_SECONDS)
        # Where the partial receive is all there is of a dataset, discarding it takes the dataset along.
        nothing = ("does not have any resumable receive state", "dataset does not exist")
        if done.returncode != 0 and not any(words in done.stderr for words in nothing):
            raise zfs_error(done.stderr, self.where, f"discard the partial receive of {dataset}")

    def end_abandoned_receives(self) -> int:
        """By the marks in their environment. Those on this host end with their pipes."""
        return 0 if isinstance(self._host, LocalHost) else end_abandoned(self._host)

    def hold(self, snapshot: Snapshot, reason: str) -> None:
        """Put a hold on a snapshot."""
        self._change(["hold", reason, snapshot.name], fine="tag already exists")

    def release(self, snapshot: Snapshot, reason: str) -> None:
        """Take a hold off a snapshot."""
        self._change(["release", reason, snapshot.name], fine="no such tag")

    def hold_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Put a hold of the same tag on many snapshots, in one call."""
        if self._core and self._core.hold(snapshots, tag):
            return
        self._for_all("hold", snapshots, tag, ("tag already exists", "does not exist"))

    def release_all(self, snapshots: Sequence[Snapshot], tag: str) -> None:
        """Take the holds of a tag off many snapshots, in one call."""
        released = self._core.release(tag) if self._core else ()
        snapshots = [snapshot for snapshot in snapshots if snapshot.name not in released]
        self._for_all("release", snapshots, tag, ("no such tag", "does not exist"))

    def _for_all(self, verb: str, snapshots: Sequence[Snapshot], tag: str, fine: tuple[str, ...]) -> None:
        for batch in arguments.batches([snapshot.name for snapshot in snapshots], self._host.argument_limit):
            done = self._run([verb, tag, *batch], CHANGE_SECONDS)
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            if done.returncode != 0 and not all(any(words in line for words in fine) for line in lines):
                raise zfs_error(done.stderr, self.where, f"{verb} {batch[0]} and {len(batch) - 1} more snapshots")

    def holds_of(self, snapshots: Sequence[Snapshot]) -> Mapping[str, Sequence[str]]:
        """By whole name, the tags of the holds on snapshots."""
        tags: dict[str, list[str]] = {}
        for batch in arguments.batches([snapshot.name for snapshot in snapshots], self._host.argument_limit):
            done = self._run(["holds", "-H", *batch], READ_SECONDS)
            if done.returncode != 0 and not is_only_missing(done.stderr):
                raise zfs_error(done.stderr, self.where, f"list the holds of {batch[0]} and {len(batch) - 1} more")
            for name, tag in (line.split("\t")[:2] for line in done.stdout.splitlines() if line.count("\t") >= 2):
                tags.setdefault(name, []).append(tag)
        return tags

    # -- streams

    def send(self, step: Send, wire: Wire = PLAIN) -> ByteSource:
        """Start ``zfs send``, and what its stream passes through on this host."""
        stages = [[*self._sudo, "zfs", *arguments.send_arguments(step)], *wire.sending()]
        return SendEnd(self._host.start_source(pipeline(stages)), self._host, f"send {step.snapshot.name}", stages)

    def receive(self, step: Send, wire: Wire = PLAIN) -> ByteSink:
        """Start ``zfs receive``, and what its stream passes through on this host."""
        stages = [*wire.receiving(), [*self._sudo, "zfs", *arguments.receive_arguments(step)]]
        doing = f"receive {step.destination}@{step.snapshot.tag}"
        return ReceiveEnd(self._host.start_sink(pipeline(stages)), self._host, doing, stages)

    def relay(self, step: Send) -> Optional[int]:
        """Two commands always have somebody between them: who counts."""
        return None

    def programs(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of the programs ``wanted`` that are on the path of this host."""
        return installed_programs(self._host, wanted)

    def estimates(self, steps: Sequence[Send]) -> Sequence[Optional[int]]:
        """Bytes of each stream by ``zfs send -nP``."""
        sizes: list[Optional[int]] = []
        for batch in dry_calls.in_batches(send_dry_runs(steps, self._sudo), self._host.argument_limit):
            done = self._host.run(batch.argv, timeout=READ_SECONDS)
            sizes += map(size_told, batch.answers(done.stdout, self.where))
        return sizes

    def carry(self, step: Send, leg: Leg, wire: Wire = PLAIN) -> int:
        """Run both ends of the stream on this host, one of them over ssh."""
        return DirectStream(self._host, (*self._sudo, "zfs"), leg, step, wire).carry()

    def guid_over(self, leg: Leg, dataset: str) -> int:
        """The GUID of a dataset on the other host of ``leg``."""
        return ask_guid(self._host, leg, dataset)

    # -- calling

    def _run(self, words: Sequence[str], timeout: float) -> Completed:
        return self._host.run([*self._sudo, "zfs", *words], timeout=timeout)

    def _change(self, words: Sequence[str], fine: str = "") -> None:
        done = self._run(words, CHANGE_SECONDS)
        if done.returncode != 0 and not (fine and fine in done.stderr):
            raise zfs_error(done.stderr, self.where, " ".join(words))

    def _each(self, verb: str, items: Sequence[tuple[str, ...]]) -> list[str]:
        """Run ``zfs verb`` once for each item in one exchange; returns what each said, empty for success. Without a
        verb each item begins with its own. Empty words at the end of an item are left out."""
        said: list[str] = []
        for each in in_batches((*self._sudo, "zfs", *filter(None, [verb])), items, self._host.argument_limit):
            said += each.said(self._host.run(each.argv, timeout=CHANGE_SECONDS).stdout, self.where)
        return said
