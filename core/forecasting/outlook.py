"""The forecast that is used: variances, Value at Risk and Expected Shortfall of the days ahead, from a saved model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import read_json
from core.errors import VerificationError
from core.forecasting.forecaster import Forecaster
from core.forecasting.series import Series

TRADING_DAYS = 252


def read_tails(folder: Path) -> dict[str, Any]:
    """What train wrote beside the forecaster: tails (standardised), levels, whole_day_factor, target_domain, last_day.

    Raises:
        VerificationError: it is not there.
    """
    path = Path(folder) / "tails.json"
    if not path.exists():
        raise VerificationError(f"{folder} has no tails.json.", repair="Train again with `dvc repro`.")
    return read_json(path)


def outlook_table(forecaster: Forecaster, series: Series, tails: Mapping[str, Any], *, num_days: int) -> pd.DataFrame:
    """A row an origin (the last `num_days` of the series) and horizon.

    date: the origin, at whose end the forecast is made. horizon_days; daily_volatility_percent and
    yearly_volatility_percent of the days ahead; value_at_risk_<level> and shortfall_<level> of the return over them,
    in percent, below zero.
    """
    first = len(series) - num_days
    forecast = forecaster.forecast(series, first)
    parts = []
    for place, days in enumerate(forecaster.horizons_):
        tail = tails["tails"][str(days)]
        deviation = np.sqrt(days * forecast[:, place])
        columns = {
            "date": series.dates[first:].astype("datetime64[s]"),
            "horizon_days": days,
            "daily_volatility_percent": np.sqrt(forecast[:, place]),
            "yearly_volatility_percent": np.sqrt(TRADING_DAYS * forecast[:, place]),
        }
        for level, value, beyond in zip(tails["levels"], tail["value_at_risk"], tail["shortfall"], strict=True):
            columns |= {f"value_at_risk_{level:g}": deviation * value, f"shortfall_{level:g}": deviation * beyond}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts).sort_values(["date", "horizon_days"], kind="stable", ignore_index=True)
