"""Value at Risk and Expected Shortfall from variance forecasts, by the standardised returns so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.forecasting.walking import ForecastRun, Walk

FEWEST_DEGREES = 2.1  # a variance must exist
FEWEST_BEYOND = 10  # rows beyond a level; with fewer the tail is a Student t's


@dataclass(frozen=True)
class RiskForecast:
    """Of the return over the next h days, percent; returns, so below zero: shortfall <= value_at_risk < 0.

    Shape: value_at_risk, shortfall (M, H, L); returns (M, H), NaN where the days are not all there.
    """

    value_at_risk: np.ndarray
    shortfall: np.ndarray
    returns: np.ndarray
    levels: tuple[float, ...]


def future_returns(returns: np.ndarray, horizons: Sequence[int]) -> np.ndarray:
    """(N, H) sum of the returns of days t+1 .. t+h in row t, percent; NaN where they are not all there."""
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    found = np.full((len(returns), len(horizons)), np.nan)
    for column, days in enumerate(horizons):
        rows = np.arange(max(len(returns) - days, 0))
        found[rows, column] = sums[rows + days + 1] - sums[rows + 1]
    return found


def fit_student(standardised: np.ndarray) -> tuple[float, float]:
    """(degrees of freedom, scale) of a Student t about zero, by maximum likelihood."""
    from scipy import stats

    degrees, _, scale = stats.t.fit(standardised, floc=0.0)
    if degrees < FEWEST_DEGREES:
        degrees = FEWEST_DEGREES
        scale = stats.t.fit(standardised, fdf=degrees, floc=0.0)[2]
    return float(degrees), float(scale)


def student_quantiles(degrees: float, scale: float, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(value at risk (L,), shortfall (L,)) of a Student t about zero, as returns.

    With q the quantile of the standard t at the level: shortfall = -scale * pdf(q) / level * (nu + q^2) / (nu - 1).

    Source: McNeil, Frey & Embrechts 2015, "Quantitative Risk Management", section 2.3 (shortfall of a t loss).
    """
    from scipy import stats

    level = np.asarray(levels, dtype=float)
    quantile = stats.t.ppf(level, degrees)
    mean_beyond = -stats.t.pdf(quantile, degrees) / level * (degrees + quantile**2) / (degrees - 1.0)
    return scale * quantile, scale * mean_beyond


def tail_of(standardised: np.ndarray, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(value at risk (L,), shortfall (L,)) of standardised returns (N,), as returns in their deviations.

    A level beyond which at least 10 of the rows lie has the rows' own quantile and the mean of the rows beyond it, so
    that falls deeper than rises are seen; any other level has those of a Student t fitted to all rows, held at or below
    those of the levels that the rows tell.

    Source: Barone-Adesi, Giannopoulos & Vosper 1999, "VaR without correlations for portfolios of derivative securities"
    (filtered historical simulation).
    """
    level = np.asarray(levels, dtype=float)
    at_risk, shortfall = student_quantiles(*fit_student(standardised), level)
    is_told = level * len(standardised) >= FEWEST_BEYOND
    for place in np.flatnonzero(is_told):
        at_risk[place] = np.quantile(standardised, level[place])
        shortfall[place] = standardised[standardised <= at_risk[place]].mean()
    for place in np.flatnonzero(~is_told):
        nearest = [other for other in np.flatnonzero(is_told) if level[other] > level[place]]
        if nearest:
            at_risk[place] = min(at_risk[place], *at_risk[nearest])
            shortfall[place] = min(shortfall[place], *shortfall[nearest])
    return at_risk, shortfall


def walk_risk(walk: Walk, run: ForecastRun, levels: Sequence[float]) -> RiskForecast:
    """The quantiles of each fold, from the standardised returns that were known when it began.

    Those are the first history's, in sample, and all forecasts since whose days have passed.

    See `tail_of`.
    """
    returns = future_returns(walk.target.returns, walk.horizons)
    days = np.asarray(walk.horizons, dtype=float)
    rows = np.concatenate([run.history_rows, walk.origins])
    deviation = np.sqrt(days * np.concatenate([run.history_forecast, run.forecast]))
    standardised = returns[rows] / deviation
    num_history = len(run.history_rows)
    value_at_risk = np.empty((*run.forecast.shape, len(levels)))
    shortfall = np.empty_like(value_at_risk)
    for fold in walk.folds(run.budget):
        inside = slice(fold.test.start - walk.first_origin, fold.test.stop - walk.first_origin)
        for column, horizon in enumerate(walk.horizons):
            is_known = (rows + horizon <= fold.test.start) & np.isfinite(standardised[:, column])
            at_risk, beyond = tail_of(standardised[is_known, column], levels)
            own = deviation[num_history:][inside, column, None]
            value_at_risk[inside, column], shortfall[inside, column] = own * at_risk, own * beyond
    return RiskForecast(value_at_risk, shortfall, returns[walk.origins], tuple(levels))
