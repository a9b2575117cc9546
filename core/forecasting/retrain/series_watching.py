"""Step 2 of forecasts: do those of the champion still hold on the days since it was made?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.multiple_testing import holm
from core.forecasting.losses import LOSSES
from core.forecasting.retrain.saved_forecaster import SavedForecaster
from core.forecasting.retrain.series_retrain_params import WatchLimits
from core.forecasting.retrain.usual_losses import (
    YARDSTICK,
    excess_losses,
    interval_of,
    known_truth,
    stretch_test,
    usual_losses,
    yardstick_forecast,
)
from core.forecasting.risk_quantiles import future_returns
from core.forecasting.series import Series
from core.forecasting.tail_risk import christoffersen, kupiec
from core.forecasting.targets import non_overlapping
from core.forecasting.words import in_days

MIN_ROWS = 10  # of a stretch: the mean of fewer is one wild day's


def watch_forecasts(
    champion: SavedForecaster,
    target: Series,
    forecast: np.ndarray,
    usual: pd.DataFrame | None,
    limits: WatchLimits,
    *,
    seed: int,
) -> dict[str, Any]:
    """`{summary, tests, performance, problems}` of the champion on the days since, JSON-ready.

    target: all days, with one or more since the champion. forecast (M, H): the champion's at its last day and every day
    since. usual: what evaluate wrote of the same method's walk-forward; None where it is not known.
    Losses are QLIKE less the yardstick's, which the level of volatility does not move (`stretch_test`); Value at Risk
    of the shortest horizon by `kupiec`, and by `christoffersen` with enough days. p-values are adjusted (Holm).
    In 150 made-up markets each of 900 or 2,500 days (HAR, 22 to 66 days since), where nothing had changed, some test
    alarmed in 2 to 7 %.
    """
    last_row = champion.last_row(target)
    origins = np.arange(last_row, last_row + len(forecast))
    truth = known_truth(target, champion.horizons, origins)
    told = {} if usual is None else usual_losses(usual, target, champion.horizons, last_row)
    tests, problems = _loss_tests(champion, target, forecast, truth, told, limits)
    more_tests, more_problems = _coverage_tests(champion, target, forecast, origins, limits)
    tests, problems = [*tests, *more_tests], [*problems, *more_problems]
    for test, adjusted in zip(tests, holm(np.array([test["p_value"] for test in tests])), strict=True):
        test |= {"p_adjusted": float(adjusted), "is_alarm": bool(adjusted < limits.significance)}
    return {
        "summary": [_sentence(test) for test in tests] + problems,
        "tests": tests,
        "performance": _performance(champion, forecast, truth, told, seed),
        "problems": problems,
    }


def _loss_tests(
    champion: SavedForecaster,
    target: Series,
    forecast: np.ndarray,
    truth: np.ndarray,
    usual: Mapping[int, tuple[np.ndarray, np.ndarray]],
    limits: WatchLimits,
) -> tuple[list[dict[str, Any]], list[str]]:
    """(one test a horizon, why others are not there)."""
    last_row = champion.last_row(target)
    yardstick = yardstick_forecast(target, champion.horizons, last_row)[last_row : last_row + len(forecast)]
    tests, problems = [], []
    for place, days in enumerate(champion.horizons):
        new = excess_losses(forecast[:, place], yardstick[:, place], truth[:, place])
        if days not in usual:
            problems.append(f"{in_days(days)} ahead: the usual level of this method is not known.")
            continue
        most = len(usual[days][1]) // limits.min_stretches
        new = new[max(len(new) - most, 0) :]
        if len(new) < MIN_ROWS:
            problems.append(f"{in_days(days)} ahead: {len(new)} days are too few to compare, {MIN_ROWS} are needed.")
            continue
        found = stretch_test(new, usual[days][1])
        tests.append(
            {
                "name": f"QLIKE less that of {YARDSTICK}, {in_days(days)} ahead",
                "kind": "loss",
                "effect_name": f"mean of {found.num_rows} days",
                "effect": found.mean,
                "effect_limit": found.usual,
                "p_value": found.p_value,
                "method": f"against {found.num_stretches:,} stretches of the walk-forward",
            }
        )
    return tests, problems


def _coverage_tests(
    champion: SavedForecaster, target: Series, forecast: np.ndarray, origins: np.ndarray, limits: WatchLimits
) -> tuple[list[dict[str, Any]], list[str]]:
    """(tests of Value at Risk at the shortest horizon, why they are not there)."""
    days = champion.horizons[0]
    returns = future_returns(target.returns, champion.horizons[:1])[origins, 0]
    known = np.flatnonzero(np.isfinite(returns))
    rows = known[non_overlapping(len(known), days)] if len(known) else known
    if len(rows) < limits.min_coverage_days:
        return [], [f"Value at Risk: {len(rows)} days are too few to count, {limits.min_coverage_days} are needed."]
    at_risk = champion.value_at_risk(forecast, 0)
    tests = []
    for place, level in enumerate(champion.tails["levels"]):
        is_exceeded = returns[rows] < at_risk[rows, place]
        told = {
            "name": f"Value at Risk {level:.0%}, {in_days(days)} ahead",
            "kind": "coverage",
            "effect_name": f"exceeded on {int(is_exceeded.sum())} of {len(rows)} days:",
            "effect": float(is_exceeded.mean()),
            "effect_limit": float(level),
        }
        tests.append({**told, "p_value": kupiec(is_exceeded, level).p_value, "method": "Kupiec 1995"})
        if len(rows) >= limits.min_independence_days:
            p_value = christoffersen(is_exceeded, level).independence.p_value
            tests.append({**told, "kind": "independence", "p_value": p_value, "method": "Christoffersen 1998"})
    return tests, []


def _performance(
    champion: SavedForecaster,
    forecast: np.ndarray,
    truth: np.ndarray,
    usual: Mapping[int, tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> dict[str, Any]:
    """QLIKE of the shortest horizon, of the new days and as usual."""
    is_known = np.isfinite(truth[:, 0])
    performance: dict[str, Any] = {}
    if is_known.any():
        losses = LOSSES["qlike"](forecast[is_known, 0], truth[is_known, 0])
        performance["observed"] = _figure(losses, champion.horizons[0], seed)
    if champion.horizons[0] in usual:
        performance["reference_observed"] = _figure(usual[champion.horizons[0]][0], champion.horizons[0], seed)
    return performance


def _figure(losses: np.ndarray, horizon: int, seed: int) -> dict[str, Any]:
    return {"qlike": interval_of(losses, horizon=horizon, seed=seed), "num_rows": len(losses)}


def _sentence(test: Mapping[str, Any]) -> str:
    """A test in a sentence."""
    what = "usually" if test["kind"] == "loss" else "expected"
    return (
        f"{test['name']}: {test['effect_name']} {test['effect']:.3f}, {what} {test['effect_limit']:.3f}"
        f" (adjusted p {test['p_adjusted']:.2g}, {test['method']})."
    )
