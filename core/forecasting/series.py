"""One market as returns and daily variances in time order, and how a table of prices becomes that."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.forecasting.session_variance import garman_klass_variance, has_sound_range

Day = str | datetime.date | np.datetime64
MAX_GAP_DAYS = 10
NO_DATE = "no date: the row is left out"
NO_LEVEL = "no positive price (or no return above -100 %): the day is left out"
GAP = "a long gap lies before the day: its return is left out"
RANGE_MISSING = "open, high or low is missing: the squared return stands for the day's variance"
RANGE_WRONG = "open and close do not lie between low and high: the squared return stands for the day's variance"
RANGE = {"open", "high", "low", "close"}
LEVELS = ("adj_close", "close", "log_return")  # the first that a table has gives the returns


@dataclass(frozen=True, eq=False)
class Series:
    """N days of one market.

    Shape: dates (N,) datetime64[D], strictly rising; returns (N,) percent close-to-close log return of the day;
    day_variance (N,) percent^2, >= 0: the squared overnight return plus the Garman-Klass variance of the session where
    open, high, low and close are there, else the squared return. has_range: whether more than half of the days have it
    from there. Prices' first day has no return and is no row.
    """

    name: str
    dates: np.ndarray
    returns: np.ndarray
    day_variance: np.ndarray
    has_range: bool

    def __post_init__(self) -> None:
        if not len(self.dates) == len(self.returns) == len(self.day_variance):
            raise ValueError("dates, returns and day_variance differ in length")
        if not (np.diff(self.dates) > np.timedelta64(0, "D")).all():
            raise ValueError("the dates do not rise strictly")
        if not (np.isfinite(self.returns).all() and np.isfinite(self.day_variance).all()):
            raise ValueError("a return or a variance is missing or infinite")
        if (self.day_variance < 0).any():
            raise ValueError("a variance is negative")

    def __len__(self) -> int:
        return len(self.dates)

    def until(self, day: Day) -> Series:
        """The days before `day`."""
        return self.rows(self.dates < np.datetime64(day, "D"))

    def between(self, first: Day, last: Day) -> Series:
        """The days from `first`, and before `last`."""
        return self.rows((self.dates >= np.datetime64(first, "D")) & (self.dates < np.datetime64(last, "D")))

    def rows(self, is_kept: np.ndarray | slice) -> Series:
        """The days of a mask (N,), or of a slice."""
        kept = (self.dates[is_kept], self.returns[is_kept], self.day_variance[is_kept])
        return Series(self.name, *kept, has_range=self.has_range)


def series_from_prices(
    frame: pd.DataFrame, name: str, *, max_gap_days: int = MAX_GAP_DAYS
) -> tuple[Series, pd.DataFrame]:
    """(the market, what could not be used of its table).

    frame: a row a day in any order, `date` (datetime64) and numbers: `close`, with or without `open`, `high` and `low`;
    `adj_close` is preferred to `close` and scales the other three; or `log_return` in percent. Nothing is filled: a day
    without a price is left out, and the next return spans both. A return across more than `max_gap_days` calendar days
    is left out. Where the range is missing or wrong the day's variance is its squared return.
    Problems: columns row (position in `frame`), column, value, reason (one of this module's constants).

    Raises:
        BadInputError: no price and no return column, a day stands twice, or no return is left.
    """
    level = next((column for column in LEVELS if column in frame), None)
    if level is None:
        raise BadInputError(f"{name}: the table has neither prices nor returns.", repair="Give a close or a return.")
    rows, problems = _usable_rows(frame, level)
    ordered = frame.iloc[rows]
    days, values = ordered["date"].to_numpy(dtype="datetime64[D]"), ordered[level].to_numpy(dtype=float)
    check_each_day_once(days, name)
    is_price = level != "log_return"
    returns = np.append(np.nan, 100.0 * np.diff(np.log(values)))[: len(days)] if is_price else values
    is_after_gap = np.append(False, np.diff(days) > np.timedelta64(max_gap_days, "D"))[: len(days)]
    is_kept = ~np.isnan(returns) & ~is_after_gap
    if not is_kept.any():
        raise BadInputError(
            f"{name}: {len(days):,} usable days give no return.",
            repair=f"Give daily rows: a return across more than {max_gap_days} days is left out.",
        )
    problems += _problems(rows[is_after_gap], "date", days[is_after_gap], GAP)
    variance, is_sound, is_told = _day_variance(ordered, level, returns)
    if RANGE.issubset(ordered.columns):
        for reason, is_bad in ((RANGE_MISSING, is_kept & ~is_told), (RANGE_WRONG, is_kept & is_told & ~is_sound)):
            problems += _problems(rows[is_bad], "high", ordered["high"].to_numpy()[is_bad], reason)
    kept = days[is_kept], returns[is_kept], variance[is_kept]
    series = Series(name, *kept, has_range=bool(is_sound[is_kept].mean() > 0.5))
    return series, pd.DataFrame(problems, columns=["row", "column", "value", "reason"])


def check_each_day_once(days: np.ndarray, name: str) -> None:
    """Raise BadInputError naming the days that stand more than once in (N,) sorted `days`."""
    repeated = np.unique(days[1:][days[1:] == days[:-1]])
    if len(repeated):
        raise BadInputError(
            f"{name}: {len(repeated):,} days stand more than once: {shown_days(repeated)}.",
            repair="Keep one row a day.",
        )


def shown_days(days: Sequence[np.datetime64] | np.ndarray, limit: int = 5) -> str:
    """The first days as a text for a message."""
    return ", ".join(str(day) for day in days[:limit]) + (", ..." if len(days) > limit else "")


def _usable_rows(frame: pd.DataFrame, level: str) -> tuple[np.ndarray, list[tuple]]:
    """Positions of the rows with a day and a level, in time order; and the problems of the others."""
    dates, values = frame["date"].to_numpy(dtype="datetime64[D]"), frame[level].to_numpy(dtype=float)
    has_date = ~np.isnat(dates)
    has_level = np.isfinite(values) & ((values > 0) | (level == "log_return"))
    is_left_out = has_date & ~has_level
    problems = _problems(np.flatnonzero(~has_date), "date", dates[~has_date], NO_DATE)
    problems += _problems(np.flatnonzero(is_left_out), level, values[is_left_out], NO_LEVEL)
    rows = np.flatnonzero(has_date & has_level)
    return rows[np.argsort(dates[rows], kind="stable")], problems


def _day_variance(ordered: pd.DataFrame, level: str, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(variance in percent^2, whether it comes from a sound range, whether the range is told at all), each (N,)."""
    variance = returns**2
    if level == "log_return" or not RANGE.issubset(ordered.columns):
        return variance, np.zeros(len(ordered), dtype=bool), np.zeros(len(ordered), dtype=bool)
    prices = [ordered[column].to_numpy(dtype=float) for column in ("open", "high", "low", "close")]
    is_told = np.isfinite(prices).all(axis=0)
    is_sound = has_sound_range(*prices)
    open_, high, low, close = (np.where(is_sound, price, 1.0) for price in prices)
    levels = ordered[level].to_numpy(dtype=float)
    before = np.append(np.nan, levels[:-1])
    overnight = 100.0 * np.log(open_ * (levels / close) / before)
    from_range = overnight**2 + garman_klass_variance(open_, high, low, close)
    return np.where(is_sound, from_range, variance), is_sound, is_told


def _problems(rows: np.ndarray, column: str, values: Sequence, reason: str) -> list[tuple]:
    return [(int(row), column, str(value), reason) for row, value in zip(rows, values, strict=True)]
