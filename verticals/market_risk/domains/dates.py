"""Dates of packaged markets whose file has none, or has them in parts."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd


def weekdays_from(first: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A function that gives each row the next day from Monday to Friday, the first row `first`.

    Right only for a file that has every weekday, holidays filled: `tests/test_market_domains.py` holds it against the
    holidays that the prices of EuStockMarkets show.
    """

    def with_dates(frame: pd.DataFrame) -> pd.DataFrame:
        days = pd.bdate_range(first, periods=len(frame)).strftime("%Y-%m-%d")
        return frame.assign(date=days.astype(object))

    return with_dates


def from_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with `date` from the texts of its columns year, month and day."""
    parts = frame["year"] + "-" + frame["month"].str.zfill(2) + "-" + frame["day"].str.zfill(2)
    return frame.assign(date=parts.astype(object))
