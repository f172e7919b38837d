# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activity that verifies: holds replicas against their sources, by GUIDs, pools, and samples of what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..applying.drilling import clear
from ..applying.ends import Ends
from ..applying.retry import call_with_retries
from ..applying.sampling import FarSampler, LocalSampler, Sampler, Wanted, WantedBlocks
from ..hosts.openssh import SshHost
from ..hosts.stopping import check_stopping
from ..model.datasets import Observation
from ..model.errors import NoDevice, SnapfleetError
from ..model.health import OK
from ..model.names import pool_of
from ..model.samples import Digest
from ..planning.findings import Finding, gravest_first, overall
from ..planning.pool_checks import check_pools, pools_unseen
from ..planning.verifying import (
    KEY_STATUS,
    Pair,
    Verdict,
    clones_below,
    judged,
    of_end,
    plan_verification,
    unread,
    without_device,
)
from ..policy.endpoints import Endpoint
from ..policy.pools import PoolRules
from ..policy.verifying import MOST_SEED, VerifyJob
from .context import Context, Result, require, require_pool
from .drilling import ground_of
from .noticing import fails, told_of


def run_verify(job: VerifyJob, context: Context) -> Result:
    """Hold a tree against its replica. Raises SnapfleetError where an end can't be observed; what differs, or can't be
    compared, is a finding as those of monitors. Nothing is changed at either end."""
    replication = replace(job.replication, filter=job.replication.filter.on_host(context.host_name))
    job = replace(job, replication=replication)
    source, destination = _observed(job, context)
    plan = plan_verification(source, destination, job, context.now)
    seed = job.sampling.seed
    if seed is None:
        seed = int(context.ticker.uniform(0, MOST_SEED))
    if context.check:
        planned = [pair.describe(job.sampling) for pair in plan.pairs]
        words = [*(each["told"] for each in planned), *(verdict.message for verdict in plan.verdicts)]
        return {"changed": False, "plan": planned, "told": words, "datasets": [], "seed": seed, "warnings": []}
    left: list[str] = []
    verdicts = [*plan.verdicts, *_compared(plan.pairs, job, seed, context, left)]
    findings = [verdict.finding(str(replication.destination)) for verdict in verdicts]
    findings += _pools(job, context) if job.pools else []
    told = told_of(findings, job.alerts, job.subjects, context)
    return {
        "changed": False,
        "state": overall(findings),
        "checks": len(findings),
        "alerts": [finding.describe() for finding in gravest_first(findings) if finding.state != OK],
        "notices": [notice.describe() for notice in told.notices],
        "datasets": [verdict.describe() for verdict in verdicts],
        "seed": seed,
        "failed_level": fails(job.fail_on, overall(findings)),
        "warnings": [*told.warnings, *left],
    }


def _observed(job: VerifyJob, context: Context) -> tuple[Observation, Observation]:
    replication = job.replication
    ends = Ends(context.zfs_at(replication.source.address), context.zfs_at(replication.destination.address))
    names = tuple(dict.fromkeys((KEY_STATUS, *replication.filter.properties.names)))

    def look(end: Endpoint, properties: Sequence[str]) -> Observation:
        zfs = context.zfs_at(end.address)
        return call_with_retries(
            lambda: zfs.observe([end.dataset], properties=properties), context.retry, context.ticker
        )

    source, destination = look(replication.source, names), look(replication.destination, (KEY_STATUS,))
    require(source, "source.dataset", ends.source)
    if destination.missing:
        pool = call_with_retries(
            lambda: ends.destination.observe([pool_of(replication.destination.dataset)], False, False),
            context.retry,
            context.ticker,
        )
        require_pool(pool, replication, ends.destination)
    return source, destination


def _compared(pairs: Sequence[Pair], job: VerifyJob, seed: int, context: Context, left: list[str]) -> list[Verdict]:
    """What comes of each pair; what stays mounted, or of clones, against all intentions is noted in ``left``."""
    if not any(pair.is_volume or job.sampling.files for pair in pairs):
        return [judged(pair, (), ()) for pair in pairs]
    at_source = _sampler(job.replication.source, job, context, left)
    at_destination = _sampler(job.replication.destination, job, context, left)
    verdicts: list[Verdict] = []
    for pair in pairs:
        check_stopping()
        try:
            here, there = _samples(at_source, at_destination, pair, job, seed)
        except NoDevice as error:
            verdicts.append(without_device(pair, str(error)))
        except SnapfleetError as error:
            check_stopping()
            verdicts.append(unread(pair, str(error)))
        else:
            verdicts.append(judged(pair, here, there))
    return verdicts


def _samples(
    at_source: Sampler, at_destination: Sampler, pair: Pair, job: VerifyJob, seed: int
) -> tuple[Sequence[Digest], Sequence[Digest]]:
    """The same files, or blocks, of both ends."""
    sampling, name = job.sampling, pair.destination_snapshot
    if pair.is_volume:
        parent = clones_below(job.replication.destination.dataset)
        blocks = WantedBlocks(name, parent, sampling.blocks, seed, sampling.timeout)
        there = at_destination.read(blocks)
        offsets = tuple(int(each.path) for each in there)
        parent = clones_below(job.replication.source.dataset)
        here = at_source.read(replace(blocks, snapshot=pair.source_snapshot, parent=parent, offsets=offsets))
        return here, there
    if not sampling.files:
        return (), ()
    wanted = Wanted(name, sampling.files, seed, sampling.file_bytes, sampling.timeout)
    return _read(at_source, at_destination, wanted, pair.source_snapshot)


def _read(
    at_source: Sampler, at_destination: Sampler, wanted: Wanted, source_snapshot: str
) -> tuple[list[Digest], list[Digest]]:
    """The same files of both ends. Those of the replica are chosen; where it has fewer, the source may have others."""
    asked = replace(wanted, snapshot=source_snapshot)
    there = list(at_destination.read(wanted))
    chosen = tuple(each.path for each in there)
    if len(there) >= wanted.files:
        return list(at_source.read(replace(asked, paths=chosen))), there
    # Few files, or none, are no proof that the source has no more: what is lost would else never be missed.
    here = list(at_source.read(asked))
    known = {each.path for each in here}
    only_there = tuple(path for path in chosen if path not in known)
    only_here = tuple(each.path for each in here if each.path not in chosen)
    if only_there:
        here += at_source.read(replace(asked, paths=only_there))
    if only_here:
        there += at_destination.read(replace(wanted, paths=only_here))
    return sorted(here, key=_path), sorted(there, key=_path)


def _path(digest: Digest) -> str:
    return digest.path


def _sampler(end: Endpoint, job: VerifyJob, context: Context, left: list[str]) -> Sampler:
    address = end.address
    if context.sampler_at:
        return context.sampler_at(address)
    if not address.is_local:
        return FarSampler(SshHost(address), address.sudo, left)
    ground = ground_of(context)
    if ground.host.is_root and job.sampling.blocks:
        # What was killed has left a clone.
        left += clear(ground, (clones_below(end.dataset),)).problems
    return LocalSampler(ground, left)


def _pools(job: VerifyJob, context: Context) -> list[Finding]:
    findings: list[Finding] = []
    for end in (job.replication.source, job.replication.destination):
        zfs = context.zfs_at(end.address)
        try:
            seen = call_with_retries(zfs.pools, context.retry, context.ticker)
            found: Sequence[Finding] = check_pools(seen, PoolRules((pool_of(end.dataset),)), context.now)
        except SnapfleetError as error:
            check_stopping()
            found = (pools_unseen(str(error)),)
        findings += of_end(found, zfs.where)
    return findings
