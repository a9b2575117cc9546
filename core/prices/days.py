"""Texts of dates, with or without a time of day and a zone, as calendar days."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.declarations import check_time
from core.data.domain import ColumnSpec
from core.data.inference import infer_column
from core.data.typing_rows import parse_dates
from core.errors import BadInputError, did_you_mean

# 2020-01-02T16:00:00-05:00, 1/2/2020 4:00 PM: (day, time of day, offset)
WITH_TIME = re.compile(
    r"^(?P<day>.*?\d)(?:[T\s]+(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?)"
    r"\s*(?P<offset>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?)?$"
)
MIDNIGHT = re.compile(r"(?:0?0:00(?::00(?:[.,]0+)?)?|12:00(?::00)?\s*[Aa][Mm])")
UTC_OFFSET = re.compile(r"[Zz]|UTC|GMT|[+-]00:?00")


@dataclass(frozen=True)
class CalendarDays:
    """days: (N,) datetime64[D], NaT where missing or unreadable. times: (N,) texts of the time of day, "" for none.

    date_format: of the day's text, as ColumnSpec has it. notes: what a person should know.
    """

    days: np.ndarray
    times: np.ndarray
    date_format: str
    notes: tuple[str, ...]


def calendar_days(
    texts: pd.Series, column: str, *, date_format: str | None = None, zone: str | None = None
) -> CalendarDays:
    """(N,) texts or missing as days.

    `date_format` None: told by the texts. `zone` (Europe/Berlin): the day of a time with an offset is the day there; a
    time without offset is taken as the zone's own. Without a zone a time's day is the day as it is written.

    Raises:
        BadInputError: fewer than 95 % of the texts are dates, the zone is unknown, or times are in UTC and no zone
            tells whose day is meant.
    """
    known = texts.astype(object).where(texts.notna(), "").astype(str).str.strip()
    parts = known.str.extract(WITH_TIME)
    day_texts = parts["day"].where(parts["day"].notna(), known)
    day_texts = day_texts.where(day_texts != "", None).astype(object)
    spec, notes = ColumnSpec(name=column, kind="date", use="time"), []
    if date_format is None:
        guess = infer_column(column, day_texts, kind="date")
        date_format, notes = guess.column.date_format, [n for n in guess.notes if "cannot be told apart" in n]
    notes += check_time(day_texts, ColumnSpec(**{**vars(spec), "date_format": date_format}))
    days = parse_dates(day_texts.to_numpy(dtype=object), date_format)[0].astype("datetime64[D]")
    times = parts["time"].fillna("").to_numpy(dtype=object)
    offsets = parts["offset"].fillna("").to_numpy(dtype=object)
    if zone is not None:
        days = _days_there(known, days, offsets != "", zone)
    else:
        _check_utc(times, offsets, column)
    is_timed = np.array([bool(time) and not MIDNIGHT.fullmatch(time) for time in times], dtype=bool)
    if is_timed.any():
        where = f" in {zone}" if zone else " as written"
        notes.append(f"{int(is_timed.sum()):,} dates have a time of day; the calendar day{where} is taken.")
    return CalendarDays(days, times, date_format, tuple(notes))


def _days_there(texts: pd.Series, days: np.ndarray, has_offset: np.ndarray, zone: str) -> np.ndarray:
    """Days of the times with an offset as a calendar in the zone shows them."""
    if zone not in zoneinfo.available_timezones():
        raise BadInputError(
            f"There is no time zone '{zone}'.", repair=did_you_mean(zone, zoneinfo.available_timezones())
        )
    days = days.copy()
    moments = pd.to_datetime(texts[has_offset], format="ISO8601", errors="coerce", utc=True)
    days[has_offset] = moments.dt.tz_convert(zone).dt.tz_localize(None).to_numpy(dtype="datetime64[D]")
    return days


def _check_utc(times: np.ndarray, offsets: np.ndarray, column: str) -> None:
    """Refuse times of day in UTC: the session's day in Tokyo or New York may be another."""
    is_open = [
        bool(UTC_OFFSET.fullmatch(offset)) and not MIDNIGHT.fullmatch(time)
        for time, offset in zip(times, offsets, strict=True)
    ]
    if any(is_open):
        raise BadInputError(
            f"{sum(is_open):,} dates of '{column}' are times in UTC, such as {times[is_open.index(True)]}; the day at "
            "the market may be another.",
            repair="Say --zone, such as --zone America/New_York, or give days without a time.",
        )
