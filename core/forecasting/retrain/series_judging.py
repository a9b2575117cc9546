"""Step 4 of forecasts: is the method that made the challenger better on the days since the champion?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.evaluation.release import Gate
from core.forecasting.panel import Panel
from core.forecasting.params import SeriesTrainParams
from core.forecasting.retrain.refitting import compare_refitted, refitted_forecast
from core.forecasting.retrain.saved_forecaster import SavedForecaster
from core.forecasting.retrain.series_gates import market_gate, newest_forecast_gate, refitting_gates, tails_gate
from core.forecasting.retrain.series_retrain_params import SeriesGateLimits


def judge_forecaster(
    challenger: SavedForecaster,
    champion: SavedForecaster | None,
    panel: Panel,
    train: SeriesTrainParams,
    limits: SeriesGateLimits,
    *,
    whole_day_factor: float,
    history_days: tuple[int | None, int | None],
) -> tuple[list[Gate], list[dict[str, Any]]]:
    """(gates, comparisons) of the two as they would be used tomorrow, and of the method on the days since.

    The challenger has learned from every day, so it cannot be judged on any. What is judged is what made it: the method
    of `train`, refitted day by day as retraining would have, against the champion as it is.
    whole_day_factor: of the panel's target. history_days: days that challenger and champion were fitted on; None: all.
    """
    target, gates = panel.target, [tails_gate(challenger.tails)]
    newest = len(target) - 1
    told = {"whole_day_factor": whole_day_factor}
    found = challenger.forecast(target, newest, history_days=history_days[0], **told)[0]
    is_same_market = champion is not None and champion.target_domain == challenger.target_domain
    if champion is None or not is_same_market:
        gates.append(newest_forecast_gate(_by_days(challenger, found), None, limits))
        if champion is not None:
            gates.append(market_gate(champion.target_domain, challenger.target_domain))
        return gates, []
    last_row = champion.last_row(target)
    known = champion.forecast(target, min(last_row, newest), history_days=history_days[1], **told)
    gates.append(newest_forecast_gate(_by_days(challenger, found), _by_days(champion, known[-1]), limits))
    horizons = tuple(days for days in champion.horizons if days in challenger.horizons)
    if last_row >= newest or not horizons:
        return gates, []
    refitted = refitted_forecast(panel, horizons, train, limits, last_row=last_row)
    columns = [champion.horizons.index(days) for days in horizons]
    compared = compare_refitted(
        known[:-1, columns], refitted, target.day_variance, horizons, limits, first_row=last_row
    )
    return [*gates, *refitting_gates(compared, horizons, limits)], compared


def _by_days(saved: SavedForecaster, forecast: np.ndarray | Sequence[float]) -> dict[int, float]:
    """horizon -> variance of one origin's forecast (H,)."""
    return {days: float(value) for days, value in zip(saved.horizons, forecast, strict=True)}
