"""Markets: a domain's table as prices or returns by their role, and as the series that forecasts are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.domain_rows import DomainRows
from core.data.vertical_domain import read_vertical_domain
from core.errors import BadInputError
from core.forecasting.series import Series, series_from_prices

PRICES = ("open", "high", "low", "close", "adj_close")
RETURNS = ("log_return", "simple_return")
PERCENT = {"percent": 1.0, "fraction": 100.0}  # what a return times this is in percent


def read_market(folder: Path, *, vertical: str) -> tuple[Series, pd.DataFrame, DomainSpec]:
    """(the market of all batches of a domain, what could not be used, its domain.yaml).

    Problems: columns batch, row (position in its batch), column, value, reason, count, as DomainRows has them.

    Raises:
        MissingArtifactError: no such domain, or it has no rows.
        BadInputError: it belongs to another vertical, its columns have no role, or a day stands in two batches.
    """
    rows = read_vertical_domain(folder, vertical)
    series, found = series_from_prices(market_frame(rows.columns, rows.spec), rows.spec.name)
    return series, pd.concat([rows.problems, _located(found, rows)], ignore_index=True), rows.spec


def market_frame(columns: pd.DataFrame, spec: DomainSpec) -> pd.DataFrame:
    """Typed rows by role: `date`, and the prices, or `log_return` in percent.

    A column's role is its `concept` in domain.yaml. A simple return of -100 % or less has no logarithm and is missing.

    Raises:
        BadInputError: there is not one time column, no price or return, or a return without its unit.
    """
    times = spec.with_use("time")
    roles = {column.concept: column for column in spec.with_use("feature")}
    if len(times) != 1 or not roles.keys() & {"close", "adj_close", *RETURNS}:
        raise BadInputError(
            f"Domain '{spec.name}' has {len(times)} time columns and the roles {', '.join(sorted(roles)) or 'none'}.",
            repair="In domain.yaml one column has `use: time` and others the `concept` open, high, low, close, "
            "adj_close, log_return or simple_return.",
        )
    frame = {"date": columns[times[0].name]}
    frame |= {role: columns[roles[role].name].astype(float) for role in PRICES if role in roles}
    for role in RETURNS:
        if role in roles:
            frame["log_return"] = _log_returns(columns[roles[role].name].astype(float), role, roles[role].unit)
    return pd.DataFrame(frame)


def _log_returns(values: pd.Series, role: str, unit: str) -> pd.Series:
    if unit not in PERCENT:
        raise BadInputError(
            f"The unit of '{values.name}' is '{unit}'.",
            repair="Set `unit: percent` or `unit: fraction` in domain.yaml.",
        )
    percent = values * PERCENT[unit]
    return percent if role == "log_return" else 100.0 * np.log1p((percent / 100.0).where(percent > -100.0))


def _located(found: pd.DataFrame, rows: DomainRows) -> pd.DataFrame:
    """Problems by position in the domain as problems by batch and row."""
    batches = rows.manifest["batch"]
    places = pd.DataFrame({"batch": batches, "row": batches.groupby(batches).cumcount()}).astype({"row": "Int64"})
    return pd.concat([places.iloc[found["row"]].reset_index(drop=True), found.drop(columns="row")], axis=1).assign(
        count=1
    )
