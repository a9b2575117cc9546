"""What a market must look like before anything learns from it, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.forecasting.series import GAP, RANGE_MISSING, RANGE_WRONG, Series, shown_days
from core.prices.market import PERCENT

MIN_DAYS = 500
MOST_DAYS_APART = 3  # at the median: a weekend
JUMP_PERCENT = 40.0
SPLIT_TOLERANCE = 0.05  # of a log ratio: what a price may move on the day of its split
LEAST_SPREAD_PERCENT, MOST_SPREAD_PERCENT = 0.05, 15.0  # standard deviations of daily returns that a market can have
MANY_UNCHANGED = 0.05


def check_unit(log_returns: np.ndarray, unit: str) -> None:
    """Refuse (N,) log returns in percent whose spread no market has; `unit` is what they were told to be in.

    Raises:
        BadInputError: their standard deviation is below 0.05 % or above 15 % a day; a constant one is another matter.
    """
    spread = float(np.std(log_returns))
    if spread > MOST_SPREAD_PERCENT or 0 < spread < LEAST_SPREAD_PERCENT:
        other = next(name for name in PERCENT if name != unit)
        raise BadInputError(
            f"Read as {unit} the returns have a standard deviation of {spread:.3g} % a day, which no market has.",
            repair=f"Say --unit {other}, or check that the column holds returns.",
        )


def check_moves(series: Series) -> None:
    """Refuse a market that is too short, never moves, or is not daily.

    Raises:
        BadInputError: every return is zero, half of the days lie more than three days apart, or fewer than 500 returns.
    """
    if not np.any(series.returns):
        raise BadInputError(
            f"{series.name}: the price is the same on all {len(series):,} days.", repair="Check the column."
        )
    if len(series) > 1 and np.median(np.diff(series.dates).astype(int)) > MOST_DAYS_APART:
        raise BadInputError(f"{series.name}: the rows are weekly, or of another step.", repair="Give one row a day.")
    if len(series) < MIN_DAYS:
        raise BadInputError(
            f"{series.name}: {len(series):,} daily returns are not enough, {MIN_DAYS} are needed.",
            repair="Give a longer history.",
        )


def check_jumps(series: Series, new_days: np.ndarray, *, keep_jumps: bool) -> list[str]:
    """Notes on returns beyond 40 % in size on the new days (or the day after one).

    Raises:
        BadInputError: one of them is close to a simple ratio, as a split makes it, and `keep_jumps` is not told.
    """
    is_new = np.isin(series.dates, new_days)
    is_new[1:] |= is_new[:-1]
    is_jump = is_new & (np.abs(series.returns) > JUMP_PERCENT)
    ratios = [split_ratio(value) for value in series.returns[is_jump]]
    days = series.dates[is_jump]
    splits = [f"{day} ({ratio})" for day, ratio in zip(days, ratios, strict=True) if ratio]
    if splits and not keep_jumps:
        raise BadInputError(
            f"{len(splits):,} days look like splits or slipped decimal marks, not like returns: {shown_days(splits)}.",
            repair="Give adjusted prices (a column 'adj close', or --adj-close COLUMN), correct the prices, or say "
            "--keep-jumps if the market did move so.",
        )
    if not is_jump.any():
        return []
    shown = shown_days([f"{day} ({value:+.1f} %)" for day, value in zip(days, series.returns[is_jump], strict=True)])
    return [f"{len(days):,} log returns beyond {JUMP_PERCENT:.0f} % are kept: {shown}."]


def split_ratio(return_percent: float) -> str:
    """The simple ratio of prices (2:1, 1:3, 3:2, ...) that a log return in percent is close to, or ""."""
    ratio = float(np.exp(abs(return_percent) / 100.0))
    for above, below in ((3, 2), (10, 1), (100, 1), (1000, 1), (max(round(ratio), 2), 1)):
        if abs(np.log(ratio * below / above)) <= SPLIT_TOLERANCE:
            return f"{above}:{below}" if return_percent > 0 else f"{below}:{above}"
    return ""


def quality_notes(series: Series, problems: pd.DataFrame, days: np.ndarray) -> list[str]:
    """What a person should know of the rows: long gaps, ranges that were not used, many unchanged prices.

    problems: as `series_from_prices` gives them for these rows; `days` (N,) of the rows that `row` points at.
    """
    notes = []
    gaps = _days_with(problems, GAP, days)
    if len(gaps):
        notes.append(
            f"{len(gaps):,} gaps of more than 10 days; the return across each is left out: {shown_days(gaps)}."
        )
    for reason, what in ((RANGE_WRONG, "contradict each other"), (RANGE_MISSING, "are not all there")):
        found = _days_with(problems, reason, days)
        if len(found):
            notes.append(
                f"{len(found):,} days whose open, high, low and close {what}: the range is not used, the return is "
                f"({shown_days(found)})."
            )
    unchanged = float((series.returns == 0).mean())
    if unchanged > MANY_UNCHANGED:
        notes.append(
            f"{unchanged:.1%} of the returns are zero: days on which the market was closed may have been filled with "
            "the price before."
        )
    return notes


def _days_with(problems: pd.DataFrame, reason: str, days: np.ndarray) -> Sequence[np.datetime64]:
    return np.sort(days[problems["row"][problems["reason"] == reason].to_numpy(dtype=int)])
