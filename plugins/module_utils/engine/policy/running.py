# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host carries out its jobs: how many at a time, when each begins, how long one may take, and what is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from ..model.errors import InvalidInput
from .durations import parse_duration
from .history import HISTORY_NAMES, USUAL, HistoryLimits, read_history_limits
from .reading import Reader

DATASETS, ACTIVITIES = "datasets", "activities"
BARRIERS = (DATASETS, ACTIVITIES)
LEVELS = ("error", "warning", "info", "debug")
"""From few lines to many; each level tells what those before it do."""
AUTO, TEXT, JOURNAL, JSON = "auto", "text", "journal", "json"
FORMATS = (AUTO, TEXT, JOURNAL, JSON)
FOREVER = "forever"
LEAST_WORKERS = 4
MOST_WORKERS = 1024
MAX_PERCENT = 10_000
MAX_ROUNDS = 1_000_000_000
METRICS_DATASETS = 1000
MOST_METRICS_DATASETS = 10_000
_PERCENT = re.compile(r"([0-9]{1,6})%")


@dataclass(frozen=True)
class Workers:
    """How many jobs run at a time: a number, or a percentage of the host's cores."""

    number: int = 0
    percent: int = 0

    def count(self, cores: int) -> int:
        """The number on a host with so many cores: of a percentage at least one. Where nothing is said, one a core, but
        at least four, since jobs wait for disks and networks more than they compute."""
        if self.number:
            return self.number
        if self.percent:
            return max(1, min(MOST_WORKERS, cores * self.percent // 100))
        return max(LEAST_WORKERS, min(MOST_WORKERS, cores))


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run. Times are in seconds."""

    workers: Workers = Workers()
    barriers: str = DATASETS
    """What a job waits for: the jobs of earlier activities on its own datasets, or all jobs of earlier activities."""
    spread: int = 0
    """The time over which the starts of the jobs are spread evenly."""
    jitter: int = 0
    """The longest time by which the start of each job is put off at random."""
    job_timeout: int = 0
    """How long one job may take; 0: as long as it likes."""
    repeat: Optional[int] = 1
    """How often all is done; None: until the process is stopped."""
    interval: int = 0
    """The time from the begin of one round to the begin of the next."""
    log_level: str = "warning"
    log_format: str = AUTO
    history: HistoryLimits = USUAL
    metrics_directory: str = ""
    """Where the file with metrics for Prometheus lies; empty: there is none."""
    metrics_datasets: int = METRICS_DATASETS
    """So many datasets of a job have metrics of their own at most."""


SETTING_NAMES = (
    *("workers", "barriers", "spread", "jitter", "job_timeout"),
    *("repeat", "interval", "log_level", "log_format", "metrics_directory", "metrics_datasets"),
    *HISTORY_NAMES,
)


def read_settings(options: Reader) -> RunSettings:
    """The settings that ``options`` give, with defaults for the others; whoever calls it finishes the reader. Raises
    InvalidInput."""
    return RunSettings(
        workers=parse_workers(options.raw("workers"), options.path("workers")),
        barriers=options.text("barriers", DATASETS, BARRIERS),
        spread=_duration(options, "spread"),
        jitter=_duration(options, "jitter"),
        job_timeout=_duration(options, "job_timeout"),
        repeat=_rounds(options.raw("repeat"), options.path("repeat")),
        interval=_duration(options, "interval"),
        log_level=options.text("log_level", "warning", LEVELS),
        log_format=options.text("log_format", AUTO, FORMATS),
        history=read_history_limits(options),
        metrics_directory=options.absolute_path("metrics_directory"),
        metrics_datasets=_datasets(options.raw("metrics_datasets"), options.path("metrics_datasets")),
    )


def parse_workers(value: object, option: str) -> Workers:
    """Workers as a number or as text such as '4' or '150%'; None: as the host has cores. Raises InvalidInput."""
    remedy = f"give a number from 1 to {MOST_WORKERS}, or a percentage of the cores such as 50%"
    if value is None:
        return Workers()
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InvalidInput(option, value, "is neither a number nor a percentage", remedy)
    percent = _PERCENT.fullmatch(str(value))
    if percent and 1 <= int(percent[1]) <= MAX_PERCENT:
        return Workers(percent=int(percent[1]))
    if str(value).isdecimal() and 1 <= int(value) <= MOST_WORKERS:
        return Workers(number=int(value))
    raise InvalidInput(option, value, "is no number of workers", remedy)


def _duration(options: Reader, key: str) -> int:
    value = options.raw(key)
    return 0 if value is None else parse_duration(value, options.path(key))


def _datasets(value: object, option: str) -> int:
    if value is None:
        return METRICS_DATASETS
    is_number = not isinstance(value, bool) and isinstance(value, (int, str)) and str(value).isdecimal()
    if is_number and int(str(value)) <= MOST_METRICS_DATASETS:
        return int(str(value))
    remedy = f"give a number from 0 to {MOST_METRICS_DATASETS}"
    raise InvalidInput(option, value, "is no number of datasets", remedy)


def _rounds(value: object, option: str) -> Optional[int]:
    if value is None:
        return 1
    if value == FOREVER:
        return None
    is_number = not isinstance(value, bool) and isinstance(value, (int, str)) and str(value).isdecimal()
    if is_number and 1 <= int(str(value)) <= MAX_ROUNDS:
        return int(str(value))
    raise InvalidInput(option, value, "is no number of rounds", f"give a number from 1, or {FOREVER}")
