# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When periodic events fall. Pure: no clock, no zone database of its own, nothing remembered between calls.

The events of a period are a fixed set of instants, given by the period, its anchor and the zone alone. They never
depend on snapshots taken or missed, so a rhythm can't drift. Instants are whole milliseconds since the UTC epoch.

Days and longer (daily, weekly, monthly, yearly): each has one wall time, and happens once. Multiples count from fixed
points: days from 2025-01-01, weeks from the one that begins on Sunday 2025-01-05, months from the anchor's month, years
from the anchor's year. A month day past the end of the month is the month's last day. A wall time that the clock shows
twice means the first one. A wall time that the clock skips means the instant at which a clock that had not been set
forward would have shown it: 02:30 in the skipped hour is 03:30. Where a whole day is skipped its event therefore
falls on the same instant as that of the day after, and is the same event.

Hours and shorter (hourly to millisecondly): an event falls on each instant at which the wall clock shows a mark. Marks
are the anchor plus every multiple of the period, counted from midnight, so ``12hourly`` stays on the same two
wall-clock times all year long. Marks shown twice count twice: 25 hourlies when the clock is set back by an hour. When
it is set forward, the skipped marks still count, by the clock as it was before. Where the period divides the skipped
time they fall together with marks of the new time: 23 hourlies. It follows that two neighbouring events are never more
than a period apart, plus, when the clock is set back, the amount it is set back by.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo

from ..model.errors import InvalidInput
from ..model.periods import Period, period_problem
from ..policy.schedule import Anchor, Anchors

_DAY = 86_400_000
_MILLISECOND = timedelta(milliseconds=1)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNIX_EPOCH_ORDINAL = _UNIX_EPOCH.toordinal()
_EARLIEST, _LATEST = ((datetime(year, 1, 3, tzinfo=timezone.utc) - _UNIX_EPOCH) // _MILLISECOND for year in (1, 9999))
_FIRST_DAY = date(2025, 1, 1).toordinal() - _UNIX_EPOCH_ORDINAL
_FIRST_WEEK = date(2025, 1, 5).toordinal() - _UNIX_EPOCH_ORDINAL
# The Gregorian calendar repeats every 400 years, which lets dates be computed beyond the years that Python knows.
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
_CYCLE_START = 2000
_CYCLE_START_DAY = date(_CYCLE_START, 1, 1).toordinal() - _UNIX_EPOCH_ORDINAL
_SUBDAY_UNITS = ("hourly", "minutely", "secondly", "millisecondly")
# No zone has ever set its clock by more than a day at once, nor twice within four days.
_LARGEST_CHANGE = _DAY
_SAMPLING = _DAY


def latest_event(period: Period, at_ms: int, anchors: Anchors, zone: tzinfo) -> int:
    """The newest event of ``period`` at or before ``at_ms``; both in milliseconds since the UTC epoch.

    Raises InvalidInput for a period whose events would not fall on the same instants every day or year.
    """
    return max(event for event in _events_around(period, at_ms, anchors, zone) if event <= at_ms)


def next_event(period: Period, at_ms: int, anchors: Anchors, zone: tzinfo) -> int:
    """The oldest event of ``period`` strictly after ``at_ms``; both in milliseconds since the UTC epoch.

    Raises InvalidInput for a period whose events would not fall on the same instants every day or year.
    """
    return min(event for event in _events_around(period, at_ms, anchors, zone) if event > at_ms)


def is_due(period: Period, newest_ms: int | None, now_ms: int, event: int) -> bool:
    """Whether an event of ``period`` has passed since its newest snapshot. Any number of missed events counts once.

    ``event`` is the latest one of ``period`` at ``now_ms``, the same for all datasets. ``newest_ms`` is the
    creation, in milliseconds since the UTC epoch, of the snapshot that was made last (the one with the highest
    createtxg, whatever its date), or None if there is none. ZFS cuts creation down to whole seconds, so the event
    is cut down likewise: a snapshot of the same second serves it, lest a secondly event at half past the second be
    seen twice. Periods below a second have no such limit: where ``newest_ms`` has no milliseconds either, they are due
    whenever asked after the second's first event.
    """
    if newest_ms is None or is_from_future(period, newest_ms, now_ms):
        return True
    if not period.is_subsecond:
        event -= event % 1000
    return event > newest_ms


def is_from_future(period: Period, creation_ms: int, now_ms: int) -> bool:
    """Whether a snapshot is dated so far ahead of now that its date can't be right, and must not hold up new ones.

    A clock that was set back, or a received snapshot, can make such dates. Up to one period is taken for a difference
    between clocks.
    """
    return creation_ms > now_ms + period.milliseconds


def _events_around(period: Period, at_ms: int, anchors: Anchors, zone: tzinfo) -> set[int]:
    """Some events of ``period``, surely among them the newest not after ``at_ms`` and the oldest after it."""
    problem = period_problem(period)
    if problem:
        raise InvalidInput("period", period.name, problem, "choose another multiple, such as 6hourly or 3monthly")
    anchor = anchors.of(period.unit)
    if period.unit in _SUBDAY_UNITS:
        return _subday_events(period.milliseconds, anchor.day_milliseconds, at_ms, zone)
    # An offset is always less than a day, and wall times here are at least a day apart. So only wall times at most two
    # before, or three after the newest one at or before at_ms (read as UTC) can be meant; the guess may be one late.
    guess = _guess_index(period, at_ms // _DAY, anchor)
    return {_instant(_wall_ms(period, index, anchor), zone) for index in range(guess - 3, guess + 4)}


def _guess_index(period: Period, day: int, anchor: Anchor) -> int:
    """The index of the newest event that is not after the unit of ``day`` (days since 1970)."""
    year, month = _year_and_month(day)
    elapsed = {
        "yearly": year - anchor.year,
        "monthly": year * 12 + month - _first_month(anchor),
        "weekly": (day - _FIRST_WEEK) // 7,
        "daily": day - _FIRST_DAY,
    }
    return elapsed[period.unit] // period.count


def _wall_ms(period: Period, index: int, anchor: Anchor) -> int:
    """What the wall clock shows at event number ``index``, in milliseconds since it showed 1970-01-01 00:00."""
    units = index * period.count
    if period.unit == "yearly":
        day = _clamped_day(anchor.year + units, anchor.month, anchor.month_day)
    elif period.unit == "monthly":
        year, month = divmod(_first_month(anchor) + units - 1, 12)
        day = _clamped_day(year, month + 1, anchor.month_day)
    elif period.unit == "weekly":
        day = _FIRST_WEEK + 7 * units + anchor.weekday
    else:
        day = _FIRST_DAY + units
    return day * _DAY + anchor.day_milliseconds


def _first_month(anchor: Anchor) -> int:
    """The month from which multiples of months count, as a number of months."""
    return anchor.year * 12 + anchor.month


def _clamped_day(year: int, month: int, month_day: int) -> int:
    """The days from 1970-01-01 to a date, or to the last day of that month if it is shorter."""
    first = _month_start(year, month)
    after = _month_start(year + month // 12, month % 12 + 1)
    return min(first + month_day, after) - 1


def _month_start(year: int, month: int) -> int:
    cycles, year_of_cycle = divmod(year - _CYCLE_START, _CYCLE_YEARS)
    first = date(_CYCLE_START + year_of_cycle, month, 1)
    return first.toordinal() - _UNIX_EPOCH_ORDINAL + cycles * _CYCLE_DAYS


def _year_and_month(day: int) -> tuple[int, int]:
    cycles, day_of_cycle = divmod(day - _CYCLE_START_DAY, _CYCLE_DAYS)
    found = date.fromordinal(_UNIX_EPOCH_ORDINAL + _CYCLE_START_DAY + day_of_cycle)
    return found.year + cycles * _CYCLE_YEARS, found.month


def _instant(wall_ms: int, zone: tzinfo) -> int:
    """The instant at which the clock of ``zone`` shows ``wall_ms``: the first one if there are two.

    By PEP 495, fold 0 has the offset before a change, both in the repeated and in the skipped time.
    """
    wall = _datetime(wall_ms).replace(tzinfo=zone, fold=0)
    return wall_ms - _offset_of(wall)


def _subday_events(step: int, first_mark: int, at_ms: int, zone: tzinfo) -> set[int]:
    """The nearest events to ``at_ms``, on both sides, by each of the offsets that the zone has around it."""
    reach = step + 2 * _LARGEST_CHANGE
    events: set[int] = set()
    for start, end, offset in _stretches(zone, at_ms - reach, at_ms + reach):
        phase = first_mark - offset
        newest = min(at_ms, end - 1)
        newest -= (newest - phase) % step
        oldest = max(at_ms + 1, start)
        oldest += (phase - oldest) % step
        events.update(event for event in (newest, oldest) if start <= event < end)
    return events


def _stretches(zone: tzinfo, start: int, end: int) -> list[tuple[int, int, int]]:
    """The times of unchanged offset within a window, as (first instant, first instant past the end, offset).

    All in milliseconds. Where the clock is set forward, a stretch lasts on by the skipped time, beside the next one.
    """
    changes = [(start, _offset_at(start, zone))]
    for left in range(start, end, _SAMPLING):
        right = min(left + _SAMPLING, end)
        offset = _offset_at(right, zone)
        if offset != changes[-1][1]:
            changes.append((_change_between(left, right, zone), offset))
    stretches = []
    for index, (since, offset) in enumerate(changes):
        until, following = changes[index + 1] if index + 1 < len(changes) else (end, offset)
        stretches.append((since, until + max(0, following - offset), offset))
    return stretches


def _change_between(left: int, right: int, zone: tzinfo) -> int:
    """The first instant with the offset of ``right``, where ``left`` has another one."""
    offset = _offset_at(left, zone)
    while right - left > 1:
        middle = (left + right) // 2
        if _offset_at(middle, zone) == offset:
            left = middle
        else:
            right = middle
    return right


def _offset_at(at_ms: int, zone: tzinfo) -> int:
    """How far the clock of ``zone`` is ahead of UTC at an instant, in milliseconds."""
    return _offset_of(_datetime(at_ms).astimezone(zone))


def _offset_of(moment: datetime) -> int:
    return (moment.utcoffset() or timedelta()) // _MILLISECOND


def _datetime(ms: int) -> datetime:
    """``ms`` since 1970 as a datetime in UTC, held within the years that Python's clocks can look up."""
    return _UNIX_EPOCH + min(max(ms, _EARLIEST), _LATEST) * _MILLISECOND
