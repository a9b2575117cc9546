"""Stage `train` of a vertical that forecasts: the method in use, fitted on every day there is."""

from __future__ import annotations

import time

import numpy as np

from core.artifacts import Artifacts, replacing_folder, write_json
from core.forecasting.choices import check_series_choices
from core.forecasting.forecaster import save_forecaster
from core.forecasting.panel import read_panel
from core.forecasting.params import SeriesParams
from core.forecasting.risk_quantiles import future_returns, tail_of
from core.forecasting.scaling import WARM_UP_ROWS
from core.forecasting.walking import fit_method, walk_of
from core.model_manifest import write_manifest
from core.vertical import Vertical


def series_train(vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write the forecaster that tomorrow's forecast comes from, and the tails of its standardised returns.

    It has learned from the test days as well, as whoever forecasts tomorrow would: no figure of the evaluation comes
    from it. Evaluate and compare fit anew, fold by fold, on what was known.
    """
    check_series_choices(vertical, params)
    panel, chosen = read_panel(artifacts), params.train
    walk = walk_of(panel, params)
    started = time.perf_counter()
    begin = 0 if chosen.history_days is None else max(len(panel.target) - chosen.history_days - 1, 0)
    history = panel.target.rows(slice(begin, None))
    forecaster = fit_method(walk, chosen.method, chosen.method_options.get(chosen.method, {}), history)
    forecast = forecaster.forecast(history, WARM_UP_ROWS)
    returns = future_returns(history.returns, walk.horizons)[WARM_UP_ROWS:]
    standardised = returns / np.sqrt(np.asarray(walk.horizons) * forecast)
    tails = {}
    for column, horizon in enumerate(walk.horizons):
        known = standardised[np.isfinite(standardised[:, column]), column]
        at_risk, shortfall = tail_of(known, chosen.levels_of_risk)
        tails[str(horizon)] = {"value_at_risk": at_risk, "shortfall": shortfall}
    with replacing_folder(artifacts.path("train", "model")) as folder:
        save_forecaster(forecaster, folder)
        write_json(
            folder / "tails.json",
            {
                "tails": tails,
                "levels": list(chosen.levels_of_risk),
                "target_domain": panel.target.name,
                "whole_day_factor": _factor(artifacts),
                "last_day": str(panel.target.dates[-1]),
            },
        )
        write_manifest(folder)
    seconds = time.perf_counter() - started
    write_json(
        artifacts.path("train", "train_metrics.json"),
        {
            "method": chosen.method,
            "days": len(history),
            "source_days": sum(len(source) for source in panel.sources),
            "last_day": str(history.dates[-1]),
            "seconds": round(seconds, 2),
            "tails": tails,
        },
    )
    print(f"train {vertical.name}: {chosen.method} on {len(history)} days, {seconds:.1f} s", flush=True)


def _factor(artifacts: Artifacts) -> float:
    """The target's whole-day factor, which new days need as well."""
    from core.artifacts import read_json
    from core.forecasting.panel import REPORT_FILE

    report = read_json(artifacts.require("prepare", REPORT_FILE))
    return report["markets"][report["target_domain"]]["whole_day_factor"]
