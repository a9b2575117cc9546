"""Stage `evaluate` of a vertical that forecasts: the method in use and a rival, walked forward over the test days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, write_json, write_table
from core.forecasting.choices import check_series_choices
from core.forecasting.panel import read_panel
from core.forecasting.params import SeriesParams
from core.forecasting.risk_quantiles import RiskForecast, walk_risk
from core.forecasting.scoring import regimes, score_horizon, score_tails
from core.forecasting.targets import future_means
from core.forecasting.walking import Budget, ForecastRun, Walk, walk_method, walk_of
from core.vertical import Vertical

FORECASTS_FILE = "forecasts.parquet"


def series_evaluate(vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `metrics.json` and `forecasts.parquet`: a row an origin, of what was known at its end alone."""
    check_series_choices(vertical, params)
    walk = walk_of(read_panel(artifacts), params)
    budget: Budget = params.train.history_days or "all"
    runs, risks = {}, {}
    for role, method in (("method", params.train.method), ("rival", params.evaluate.rival)):
        options = params.train.method_options.get(method, {})
        runs[role] = walk_method(walk, method, options, budget)
        risks[role] = walk_risk(walk, runs[role], params.train.levels_of_risk)
        print(f"evaluate: {method}: {runs[role].info['fits']} fits, {runs[role].fit_seconds:.1f} s", flush=True)
    regime = regimes(walk, params.evaluate.crisis_quantile)
    horizons = {}
    for place, days in enumerate(walk.horizons):
        found = score_horizon(walk, runs["method"].forecast, runs["rival"].forecast, place, regime, params.evaluate)
        for role, risk in risks.items():
            found[f"tails_of_{role}"] = [
                score_tails(walk, risk, place, level, regime, params.evaluate) for level in range(len(risk.levels))
            ]
        horizons[str(days)] = found
    metrics = {
        "method": params.train.method,
        "rival": params.evaluate.rival,
        "history": budget,
        "rows": len(walk.origins),
        "first_test_day": str(walk.first_test_day),
        "last_test_day": str(walk.target.dates[-1]),
        "refit_days": walk.refit_days,
        "crisis_days": int((regime == "crisis").sum()),
        "confidence": params.evaluate.confidence,
        "horizons": horizons,
        "info": {role: dict(run.info) for role, run in runs.items()},
    }
    write_json(artifacts.path("evaluate", "metrics.json"), metrics)
    write_table(artifacts.path("evaluate", FORECASTS_FILE), forecast_table(walk, runs, risks["method"], regime))


def forecast_table(walk: Walk, runs: dict[str, ForecastRun], risk: RiskForecast, regime: np.ndarray) -> pd.DataFrame:
    """date (the origin), regime, and by horizon h: forecast_h, rival_h, realised_h (percent^2 a day), return_h
    (percent over the h days), value_at_risk_h_level and shortfall_h_level.
    """
    realised = future_means(walk.target.day_variance, walk.horizons)[walk.origins]
    columns = {"date": walk.target.dates[walk.origins].astype("datetime64[s]"), "regime": regime}
    for place, days in enumerate(walk.horizons):
        columns[f"forecast_{days}"] = runs["method"].forecast[:, place]
        columns[f"rival_{days}"] = runs["rival"].forecast[:, place]
        columns[f"realised_{days}"] = realised[:, place]
        columns[f"return_{days}"] = risk.returns[:, place]
        for level_place, level in enumerate(risk.levels):
            columns[f"value_at_risk_{days}_{level:g}"] = risk.value_at_risk[:, place, level_place]
            columns[f"shortfall_{days}_{level:g}"] = risk.shortfall[:, place, level_place]
    return pd.DataFrame(columns)
