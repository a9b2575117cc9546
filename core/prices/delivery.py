"""The rows of one delivery: which are left out and why, and what contradicts itself or what is known already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.raw_table import RawTable, problem_frame
from core.errors import BadInputError
from core.forecasting.series import LEVELS, shown_days

MAX_MISSING_SHARE = 0.5
MAX_WRONG_SHARE = 0.01  # of zero, negative and unreadable prices
MIN_WRONG_ALLOWED = 3
EQUAL = 1e-9  # relative; the same figure written in another way

Reasons = dict[int, tuple[str, str]]  # position in the delivery -> (column, reason)


@dataclass(frozen=True)
class Delivery:
    """N rows as they came, the same with dates as days, and by role (`dataset.market_frame`); `times` of day (N,)."""

    raw: RawTable
    spec: DomainSpec
    frame: pd.DataFrame
    market: pd.DataFrame
    times: np.ndarray

    @property
    def level(self) -> str:
        """The role that gives the returns."""
        return next(role for role in LEVELS if role in self.market)

    @property
    def level_column(self) -> str:
        """The file's name of the column that gives the returns."""
        roles = (self.level, "simple_return")
        return next(column.name for role in roles for column in self.spec.columns if column.concept == role)

    def quarantine(self, reasons: Reasons) -> pd.DataFrame:
        """Rows of the file that could not be read and those with a reason, as quarantine files hold them."""
        rows = sorted(reasons.items())
        texts = [self.raw.frame[column].iloc[row] for row, (column, _) in rows]
        problems = problem_frame(
            (int(self.raw.lines[row]), column, "" if pd.isna(text) else text, reason)
            for text, (row, (column, reason)) in zip(texts, rows, strict=True)
        )
        whole = pd.concat([self.raw.problems, problems], ignore_index=True)
        return whole.sort_values("row", kind="stable", ignore_index=True)


def find_unusable_rows(delivery: Delivery) -> tuple[Reasons, list[str]]:
    """(rows without a day or a usable price or return, notes).

    Raises:
        BadInputError: so many that the column cannot be what it is taken for.
    """
    texts = delivery.raw.frame[delivery.level_column]
    values = delivery.market[delivery.level].to_numpy(dtype=float)
    is_price = delivery.level != "log_return"
    what = "price" if is_price else "return"
    has_day, has_text = delivery.market["date"].notna().to_numpy(), texts.notna().to_numpy()
    is_missing = np.isnan(values)
    is_wrong = is_price & ~is_missing & (values <= 0)
    date_column = delivery.spec.with_use("time")[0].name
    named = {
        "no date that can be read": ~has_day,
        f"no {what}": has_day & is_missing & ~has_text,
        f"no {what} that can be used": has_day & is_missing & has_text,  # "." and "n/a" too
        "a zero or negative price has no return": has_day & is_wrong,
    }
    reasons: Reasons = {}
    notes = []
    for reason, is_named in named.items():
        column = delivery.level_column if has_day[is_named].any() else date_column
        reasons |= {int(row): (column, reason) for row in np.flatnonzero(is_named)}
        if is_named.any():
            days = delivery.market["date"].to_numpy(dtype="datetime64[D]")[is_named & has_day]
            shown = f" ({shown_days(days)})" if len(days) else ""
            notes.append(f"{int(is_named.sum()):,} rows quarantined: {reason}{shown}.")
    _check_shares(int(is_missing.sum()), int(is_wrong.sum()), len(values), delivery.level_column)
    return reasons, notes


def _check_shares(num_missing: int, num_wrong: int, num_rows: int, column: str) -> None:
    if num_missing > MAX_MISSING_SHARE * num_rows:
        raise BadInputError(
            f"{num_missing:,} of {num_rows:,} values of '{column}' are missing or no numbers.",
            repair="Name the right column with --close or --return.",
        )
    if num_wrong > max(MIN_WRONG_ALLOWED, MAX_WRONG_SHARE * num_rows):
        raise BadInputError(
            f"{num_wrong:,} of {num_rows:,} values of '{column}' are zero or negative: these are no prices.",
            repair="If they are returns, say --return COLUMN with --returns and --unit.",
        )


def find_repeated_days(delivery: Delivery, reasons: Mapping[int, tuple[str, str]]) -> tuple[Reasons, list[str]]:
    """(later rows of a day that equal its first one, notes); rows with a reason are passed over.

    Raises:
        BadInputError: several rows a day at several times, or with other values.
    """
    rows = np.setdiff1d(np.arange(len(delivery.market)), list(reasons))
    market = delivery.market.iloc[rows]
    days = market["date"].dt.floor("D")
    is_later = days.duplicated().to_numpy()
    if not is_later.any():
        return {}, []
    places = pd.Series(np.arange(len(rows))).groupby(days.to_numpy()).transform("first")
    is_other = is_later & ~_is_equal(market, market.iloc[places])
    times = pd.Series(delivery.times[rows]).groupby(days.to_numpy()).nunique()
    if (times > 1).any():
        repeated = np.unique(days[is_later].to_numpy(dtype="datetime64[D]"))
        raise BadInputError(
            f"{len(repeated):,} days have rows at several times of day, such as {shown_days(repeated)}: intraday data.",
            repair="Give one row a day: first open, highest high, lowest low and last close of each session.",
        )
    if is_other.any():
        other = np.unique(days[is_other].to_numpy(dtype="datetime64[D]"))
        raise BadInputError(
            f"{len(other):,} days stand twice with different values: {shown_days(other)}.",
            repair="Keep one row a day; a file holds one market only.",
        )
    column = delivery.spec.with_use("time")[0].name
    found = {int(row): (column, "the day stands already in this file with the same values") for row in rows[is_later]}
    return found, [f"{len(found):,} rows quarantined: the day stands twice with the same values."]


def find_known_days(
    delivery: Delivery, reasons: Mapping[int, tuple[str, str]], earlier: pd.DataFrame, batches: np.ndarray
) -> tuple[Reasons, list[str]]:
    """(rows whose day an earlier batch has with the same values, notes).

    earlier: (M,) rows by role of all batches before, `batches` (M,) their names.

    Raises:
        BadInputError: a day has other values than before.
    """
    rows = np.setdiff1d(np.arange(len(delivery.market)), list(reasons))
    days = pd.DatetimeIndex(delivery.market["date"].iloc[rows]).floor("D")
    known = pd.Series(np.arange(len(earlier)), index=pd.DatetimeIndex(earlier["date"]).floor("D"))
    known = known[known.index.notna() & ~known.index.duplicated(keep="last")]
    is_known = days.isin(known.index)
    found, places = rows[is_known], known.reindex(days[is_known]).to_numpy(dtype=int)
    roles = [role for role in delivery.market.columns if role in earlier]
    is_equal = _is_equal(delivery.market[roles].iloc[found], earlier[roles].iloc[places])
    if not is_equal.all():
        other = np.sort(days[is_known][~is_equal].to_numpy(dtype="datetime64[D]"))
        told = " Adjusted closes are rewritten by every payout: then" if "adj_close" in roles else " Else"
        raise BadInputError(
            f"{len(other):,} days have other values than in an earlier batch: {shown_days(other)}.",
            repair=f"Correct the delivery or leave these days out.{told} import the whole history as a new domain.",
        )
    column = delivery.spec.with_use("time")[0].name
    repeated = {
        int(row): (column, f"the day stands already in batch '{batches[place]}' with the same values")
        for row, place in zip(found, places, strict=True)
    }
    return repeated, [f"{len(repeated):,} rows quarantined: their days are known already."] if repeated else []


def _is_equal(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """(N,) bool: all roles but the date are equal, missing ones too."""
    roles = [role for role in one.columns if role != "date"]
    pair = one[roles].to_numpy(dtype=float), other[roles].to_numpy(dtype=float)
    return np.isclose(*pair, rtol=EQUAL, atol=0.0, equal_nan=True).all(axis=1)
