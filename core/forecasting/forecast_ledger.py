"""The transfer ledger of forecasts: did what other markets taught help, with how many days of history?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.errors import BadInputError
from core.evaluation.ledger import BASELINE, GAIN, NEGATIVE, NO_BASELINE, NO_DIFFERENCE
from core.evaluation.multiple_testing import holm
from core.forecasting.block_intervals import mean_interval, optimal_block_length
from core.forecasting.confidence_set import model_confidence_set
from core.forecasting.diebold_mariano import diebold_mariano
from core.forecasting.forecaster import FORECASTERS
from core.forecasting.losses import LOSSES
from core.forecasting.params import SeriesCompareParams
from core.forecasting.targets import future_means
from core.forecasting.walking import ForecastRun, Walk

HEADLINE = "qlike"
ALL_HORIZONS = "mean"  # of a row: the mean of the horizons' losses
WORSE, BETTER = "worse", "better"


def build_forecast_ledger(walk: Walk, runs: Sequence[ForecastRun], params: SeriesCompareParams) -> dict[str, Any]:
    """The JSON-ready ledger.

    entries, by budget and horizon, lowest loss first: budget, horizon (days, or "mean" of all), method, mean (QLIKE),
    low, high (stationary bootstrap); against the baseline at the same budget: difference (above 0: lower loss),
    difference_low, difference_high, p_value (Diebold-Mariano), p_adjusted (Holm over the ledger), standing (better, no
    difference, worse); of a method that transfers the same against its twin from scratch, with the prefix `transfer_`,
    and verdict (gain, no difference, negative transfer); is_in_set (model confidence set of the budget and horizon);
    squared_error, absolute_error, qlike_of_squared_returns, fit_seconds, info.

    Raises:
        BadInputError: no run of the baseline at a budget, or two runs of one method at one budget.
    """
    told = {(run.budget, run.method): run for run in runs}
    if len(told) < len(runs):
        raise BadInputError("A method was run twice at one budget.")
    losses = {key: row_losses(walk, run.forecast, walk.target.day_variance) for key, run in told.items()}
    entries = []
    for budget in dict.fromkeys(run.budget for run in runs):
        if (budget, params.baseline) not in told:
            raise BadInputError(f"There is no run of the baseline '{params.baseline}' with {budget} days.")
        for place, horizon in enumerate([*walk.horizons, ALL_HORIZONS]):
            columns = {run.method: losses[budget, run.method][place] for run in runs if run.budget == budget}
            entries += _entries_of(walk, told, budget, place, horizon, columns, params)
    for prefix in ("", "transfer_"):
        compared = [entry for entry in entries if entry.get(f"{prefix}p_value") is not None]
        for entry, adjusted in zip(compared, holm([e[f"{prefix}p_value"] for e in compared]), strict=True):
            entry[f"{prefix}p_adjusted"] = float(adjusted)
    return {
        "metric": HEADLINE,
        "metric_title": "QLIKE",
        "is_higher_better": False,
        "baseline": params.baseline,
        "confidence": params.confidence,
        "num_bootstrap": params.num_bootstrap,
        "set_size": params.set_size,
        "num_test_rows": len(walk.origins),
        "first_test_day": str(walk.first_test_day),
        "last_test_day": str(walk.target.dates[-1]),
        "horizons": list(walk.horizons),
        "refit_days": walk.refit_days,
        "entries": entries,
    }


def row_losses(walk: Walk, forecast: np.ndarray, day_variance: np.ndarray, loss: str = HEADLINE) -> list[np.ndarray]:
    """The loss of each origin by horizon, and last their mean; only origins whose days are all there.

    Shape: forecast (M, H) -> H arrays (M - h + 1,), and the mean's (M - max h + 1,)
    """
    truth = future_means(day_variance, walk.horizons)[walk.origins]
    found = []
    for column in range(len(walk.horizons)):
        is_known = np.isfinite(truth[:, column])
        found.append(LOSSES[loss](forecast[is_known, column], truth[is_known, column]))
    num = min(len(part) for part in found)
    return [*found, np.mean([part[:num] for part in found], axis=0)]


def _entries_of(
    walk: Walk,
    told: dict[tuple, ForecastRun],
    budget: Any,
    place: int,
    horizon: int | str,
    columns: dict[str, np.ndarray],
    params: SeriesCompareParams,
) -> list[dict[str, Any]]:
    """One budget and horizon, lowest loss first."""
    days = max(walk.horizons) if horizon == ALL_HORIZONS else int(horizon)
    chosen = model_confidence_set(
        columns, horizon=days, size=params.set_size, reps=params.num_bootstrap, seed=params.seed
    )
    entries = []
    for method, losses in columns.items():
        run = told[budget, method]
        block = optimal_block_length(losses, horizon=days)
        interval = mean_interval(
            losses, block_length=block, confidence=params.confidence, num_bootstrap=params.num_bootstrap,
            seed=params.seed,
        )  # fmt: skip
        entry = {"budget": budget, "horizon": horizon, "method": method}
        entry |= {"mean": interval.value, "low": interval.low, "high": interval.high}
        other = None if method == params.baseline else columns[params.baseline]
        entry |= _compared(losses, other, days, params.confidence, "", (BETTER, WORSE), "standing")
        twin = FORECASTERS[method].from_scratch
        if twin is not None:
            entry |= _compared(
                losses, columns.get(twin), days, params.confidence, "transfer_", (GAIN, NEGATIVE), "verdict"
            )
            entry["from_scratch"] = twin
            entry["verdict"] = NO_BASELINE if twin not in columns else entry["verdict"]
        else:
            entry["verdict"] = BASELINE if method == params.baseline else "no transfer"
        entry["is_in_set"] = method in chosen.included
        for loss in ("squared_error", "absolute_error"):
            entry[loss] = float(np.mean(row_losses(walk, run.forecast, walk.target.day_variance, loss)[place]))
        by_squares = row_losses(walk, run.forecast, np.square(walk.target.returns))[place]
        entry["qlike_of_squared_returns"] = float(np.mean(by_squares))
        entry |= {"fit_seconds": run.fit_seconds, "info": dict(run.info)}
        entries.append(entry)
    return sorted(entries, key=lambda entry: entry["mean"])


def _compared(
    losses: np.ndarray,
    other: np.ndarray | None,
    horizon: int,
    confidence: float,
    prefix: str,
    words: tuple[str, str],
    verdict: str,
) -> dict[str, Any]:
    """The gain over another method's losses, positive where these are lower; None throughout without another."""
    if other is None:
        found = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value", "p_adjusted"))
        return {f"{prefix}{name}": value for name, value in found.items()} | {verdict: BASELINE}
    test = diebold_mariano(other, losses, horizon=horizon, confidence=confidence)
    word = words[0] if test.low > 0 else words[1] if test.high < 0 else NO_DIFFERENCE
    return {
        f"{prefix}difference": test.mean_difference,
        f"{prefix}difference_low": test.low,
        f"{prefix}difference_high": test.high,
        f"{prefix}p_value": test.p_value,
        f"{prefix}p_adjusted": None,
        verdict: word,
    }
