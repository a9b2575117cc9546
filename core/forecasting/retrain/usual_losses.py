"""Are forecasts worse than they usually are? A stretch of new days against all stretches of the walk-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.forecasting.checked_rows import finite_rows
from core.forecasting.forecaster import FORECASTERS, ForecastTask
from core.forecasting.losses import LOSSES
from core.forecasting.scaling import WARM_UP_ROWS
from core.forecasting.series import Series
from core.forecasting.targets import future_means

YARDSTICK = "ewma"  # costs nothing and learns nothing: what differs from it is the method, not the weather


@dataclass(frozen=True)
class StretchTest:
    """mean: of the new days. usual: mean of the walk-forward. p_value: one-sided, small where the new are worse."""

    mean: float
    usual: float
    p_value: float
    num_rows: int
    num_stretches: int


def stretch_test(new: np.ndarray, usual: np.ndarray) -> StretchTest:
    """Is the mean of losses (N,) higher than that of N consecutive days usually is?

    p = (1 + number of stretches of N consecutive rows of `usual` (M,) with a mean as high) / (1 + M - N + 1). Days hang
    together within a stretch as they do in the new days (overlapping targets, calm and storm), and no shape is assumed.
    M of 20 N or more, else p cannot be small by right: stretches that overlap are not so many.

    Source: subsampling, Politis & Romano 1994, "Large sample confidence regions based on subsamples", section 2.

    Raises:
        BadInputError: a loss is missing or infinite, or `usual` is shorter than `new`.
    """
    (new,), (usual,) = finite_rows(new=new), finite_rows(usual=usual)
    if len(usual) < len(new):
        raise BadInputError(f"{len(usual)} usual losses cannot judge {len(new)} new ones.")
    means = np.lib.stride_tricks.sliding_window_view(usual, len(new)).mean(axis=1)
    mean = float(new.mean())
    p_value = float((1 + np.sum(means >= mean)) / (1 + len(means)))
    return StretchTest(mean, float(usual.mean()), p_value, len(new), len(means))


def yardstick_forecast(target: Series, horizons: tuple[int, ...], last_row: int) -> np.ndarray:
    """(N, H) percent^2, bounded by the days up to `last_row`; NaN in the first month."""
    task = ForecastTask(target.rows(slice(0, last_row + 1)), (), horizons)
    fitted = FORECASTERS[YARDSTICK]({}).fit(task)
    found = np.full((len(target), len(horizons)), np.nan)
    found[WARM_UP_ROWS:] = fitted.forecast(target, WARM_UP_ROWS)
    return found


def excess_losses(forecast: np.ndarray, yardstick: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """QLIKE less the yardstick's, rows (N,) whose truth is known; the level of volatility falls out of it."""
    is_known = np.isfinite(truth)
    qlike = LOSSES["qlike"]
    if not is_known.any():
        return np.zeros(0)
    return qlike(forecast[is_known], truth[is_known]) - qlike(yardstick[is_known], truth[is_known])


def usual_losses(
    forecasts: pd.DataFrame, target: Series, horizons: tuple[int, ...], last_row: int
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """horizon -> (QLIKE (M,), the same less the yardstick's (M,)) of the walk-forward, of what row `last_row` knows.

    forecasts: as evaluate wrote them. A horizon that it does not have is left out.
    """
    yardstick = yardstick_forecast(target, horizons, last_row)
    origins = forecasts["date"].to_numpy(dtype="datetime64[D]")
    rows = np.searchsorted(target.dates, origins)
    is_there = rows < len(target)
    is_there[is_there] = target.dates[rows[is_there]] == origins[is_there]
    found = {}
    for place, days in enumerate(horizons):
        if f"forecast_{days}" not in forecasts:
            continue
        is_known = is_there & (rows + days <= last_row) & forecasts[f"realised_{days}"].notna().to_numpy()
        if not is_known.any():
            continue
        truth = forecasts.loc[is_known, f"realised_{days}"].to_numpy()
        forecast = forecasts.loc[is_known, f"forecast_{days}"].to_numpy()
        losses = LOSSES["qlike"](forecast, truth)
        found[days] = losses, excess_losses(forecast, yardstick[rows[is_known], place], truth)
    return found


def known_truth(target: Series, horizons: tuple[int, ...], origins: np.ndarray) -> np.ndarray:
    """(M, H) mean variance of the days ahead of the origins (M,); NaN where they are not all there."""
    return future_means(target.day_variance, horizons)[origins]


def interval_of(losses: np.ndarray, *, horizon: int, seed: int) -> dict[str, Any]:
    """`{value, low, high}` of the mean of losses (N,); no interval of fewer than ten rows."""
    from core.forecasting.block_intervals import MIN_ESTIMATED_ROWS, mean_interval, optimal_block_length

    if len(losses) < MIN_ESTIMATED_ROWS:
        return {"value": float(losses.mean()), "low": None, "high": None}
    block = optimal_block_length(losses, horizon=horizon)
    told = mean_interval(losses, block_length=block, seed=seed)
    return {"value": told.value, "low": told.low, "high": told.high}
