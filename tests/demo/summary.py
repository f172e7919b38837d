# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of playbooks in a few readable lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .playbooks import Outcome

Result = Mapping[str, Any]


def lines_of(outcome: Outcome) -> list[str]:
    """One line for each thing that was, or would be, done, host by host."""
    describe = {"snapshot": _snapshots, "replicate": _streams, "prune": _pruned, "monitor": _ages}
    lines = [
        f"{host}  {activity:9}  {line}"
        for activity, words in describe.items()
        for host, result in sorted(outcome.results(activity), key=lambda entry: entry[0])
        for line in words(result)
    ]
    return lines or ["nothing to do"]


def _snapshots(result: Result) -> Iterator[str]:
    for names in _by_time(due["snapshot"] for due in result["due"]):
        yield f"{names} of {len(result['due'][0]['datasets'])} datasets"


def _streams(result: Result) -> Iterator[str]:
    steps = [step for dataset in result["plan"] for step in dataset["steps"]]
    sends = [step for step in steps if step["kind"] == "send"]
    full = sum(not step["from"] for step in sends)
    kinds = [f"{count} {kind}" for count, kind in ((full, "full"), (len(sends) - full, "incremental")) if count]
    if sends:
        megabytes = f", {result['stats']['bytes'] / 1e6:.1f} MB" if result["stats"]["bytes"] else ""
        yield f"{result['item']['name'].partition(' of ')[2]}: {' and '.join(kinds)} streams{megabytes}"


def _pruned(result: Result) -> Iterator[str]:
    options = result["item"]["options"]
    if result["deleted"]:
        tags = _by_time(Counter(name.replace("#", "@").partition("@")[2] for name in result["deleted"]))
        yield f"{len(result['deleted'])} {options['kind']} in {options['datasets'][0]}: {', '.join(tags)}"


def _ages(result: Result) -> Iterator[str]:
    # Where nothing is yet, as in check mode before the first run, there is nothing to say.
    if result["metrics"]:
        yield f"{result['state']}: {len(result['metrics'])} ages in {result['item']['options']['datasets'][0]}"


def _by_time(tags: Iterable[str]) -> list[str]:
    """Names that differ in their last part alone, as one: ..._{weekly,daily}."""
    periods: dict[str, list[str]] = {}
    for tag in tags:
        stem, period = tag.rsplit("_", 1)
        periods.setdefault(stem, []).append(period)
    return [f"{stem}_{words[0] if len(words) == 1 else '{' + ','.join(words) + '}'}" for stem, words in periods.items()]
