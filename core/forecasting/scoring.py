"""Figures of one method over the test days: losses, coverage of Value at Risk, shortfall, by regime."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.evaluation.intervals import wilson_interval
from core.forecasting.block_intervals import mean_interval, optimal_block_length
from core.forecasting.diebold_mariano import diebold_mariano
from core.forecasting.forecast_ledger import row_losses
from core.forecasting.params import SeriesEvaluateParams
from core.forecasting.risk_quantiles import RiskForecast
from core.forecasting.scaling import HAR_DAYS, trailing_mean
from core.forecasting.tail_risk import acerbi_szekely, basel_zone, christoffersen, kupiec
from core.forecasting.targets import non_overlapping
from core.forecasting.walking import Walk

CALM, CRISIS = "calm", "crisis"
BASEL_DAYS, BASEL_LEVEL = 250, 0.01
MIN_REGIME_ROWS = 60


def regimes(walk: Walk, quantile: float) -> np.ndarray:
    """(M,) `crisis` where the past month's variance is above the quantile of all months before the test period."""
    month = trailing_mean(walk.target.day_variance, HAR_DAYS[-1])
    before = month[: walk.first_origin + 1]
    limit = np.nanquantile(before, quantile)
    return np.where(month[walk.origins] > limit, CRISIS, CALM)


def score_horizon(
    walk: Walk, forecast: np.ndarray, rival: np.ndarray, place: int, regime: np.ndarray, params: SeriesEvaluateParams
) -> dict[str, Any]:
    """Losses of one horizon with intervals, against the rival's by Diebold-Mariano, over all days and by regime.

    Shape: forecast, rival (M, H); regime (M,)
    """
    horizon = walk.horizons[place]
    losses = row_losses(walk, forecast, walk.target.day_variance)[place]
    others = row_losses(walk, rival, walk.target.day_variance)[place]
    interval = mean_interval(
        losses,
        block_length=optimal_block_length(losses, horizon=horizon),
        confidence=params.confidence,
        num_bootstrap=params.num_bootstrap,
        seed=params.seed,
    )
    by_regime = {}
    for name in (CALM, CRISIS):
        is_inside = regime[: len(losses)] == name
        told: dict[str, Any] = {"rows": int(is_inside.sum())}
        if is_inside.sum() >= max(MIN_REGIME_ROWS, 4 * horizon):
            told |= {"qlike": float(losses[is_inside].mean()), "rival_qlike": float(others[is_inside].mean())}
            told |= compared(others[is_inside], losses[is_inside], horizon, params.confidence)
        by_regime[name] = told
    return {
        "rows": len(losses),
        "qlike": {"value": interval.value, "low": interval.low, "high": interval.high},
        "rival_qlike": float(others.mean()),
        "gain_over_rival": compared(others, losses, horizon, params.confidence),
        "squared_error": float(row_losses(walk, forecast, walk.target.day_variance, "squared_error")[place].mean()),
        "absolute_error": float(row_losses(walk, forecast, walk.target.day_variance, "absolute_error")[place].mean()),
        "by_regime": by_regime,
    }


def compared(other: np.ndarray, losses: np.ndarray, horizon: int, confidence: float) -> dict[str, float]:
    """The gain over the other's losses, above 0 where these are lower."""
    test = diebold_mariano(other, losses, horizon=horizon, confidence=confidence)
    return {"difference": test.mean_difference, "low": test.low, "high": test.high, "p_value": test.p_value}


def score_tails(
    walk: Walk, risk: RiskForecast, place: int, level_place: int, regime: np.ndarray, params: SeriesEvaluateParams
) -> dict[str, Any]:
    """Coverage of one level at one horizon, on days whose windows do not overlap; independence; shortfall."""
    level, horizon = risk.levels[level_place], walk.horizons[place]
    known = np.flatnonzero(np.isfinite(risk.returns[:, place]))
    rows = known[non_overlapping(len(known), horizon)]
    returns = risk.returns[rows, place]
    at_risk, shortfall = risk.value_at_risk[rows, place, level_place], risk.shortfall[rows, place, level_place]
    is_exceeded = returns < at_risk
    low, high = wilson_interval(int(is_exceeded.sum()), len(rows), params.confidence)
    chances = christoffersen(is_exceeded, level)
    beyond = acerbi_szekely(returns, at_risk, shortfall, level, num_bootstrap=params.num_bootstrap, seed=params.seed)
    found = {
        "level": level,
        "rows": len(rows),
        "exceeded": int(is_exceeded.sum()),
        "expected": level * len(rows),
        "rate": float(is_exceeded.mean()),
        "rate_low": float(low),
        "rate_high": float(high),
        "kupiec_p": kupiec(is_exceeded, level).p_value,
        "independence_p": chances.independence.p_value,
        "conditional_coverage_p": chances.conditional_coverage.p_value,
        "shortfall_p": beyond.p_value,
        "by_regime": {
            name: {
                "rows": int((regime[rows] == name).sum()),
                "exceeded": int(is_exceeded[regime[rows] == name].sum()),
            }
            for name in (CALM, CRISIS)
        },
    }
    if horizon == 1 and level == BASEL_LEVEL and len(rows) >= BASEL_DAYS:
        last = int(is_exceeded[-BASEL_DAYS:].sum())
        found["basel"] = {"exceeded_of_last_250": last, "zone": basel_zone(last)}
    return found
