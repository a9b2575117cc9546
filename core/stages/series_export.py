"""Stage `export` of a vertical that forecasts: what runs elsewhere, with its parity, and the newest forecast."""

from __future__ import annotations

import shutil
import time
from typing import Any

import numpy as np

from core.artifacts import Artifacts, replacing_folder, write_json, write_table
from core.forecasting.forecaster import Forecaster, load_forecaster
from core.forecasting.network_forecaster import NetworkForecaster
from core.forecasting.outlook import outlook_table, read_tails
from core.forecasting.panel import read_panel
from core.forecasting.params import SeriesParams
from core.forecasting.series import Series
from core.vertical import Vertical

NUM_PARITY_DAYS = 500


def series_export(vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `elsewhere/` (an ONNX graph of a network, the plain parameters of any other method) and `outlook.csv`.

    Parity: the same forecasts on the last 500 days, from the files alone.
    """
    panel = read_panel(artifacts)
    folder = artifacts.require("train", "model")
    forecaster = load_forecaster(folder)
    first = max(len(panel.target) - NUM_PARITY_DAYS, len(panel.target) // 2)
    wanted = forecaster.forecast(panel.target, first)
    with replacing_folder(artifacts.path("export", "elsewhere")) as elsewhere:
        for path in folder.iterdir():
            shutil.copy2(path, elsewhere / path.name)
        if isinstance(forecaster, NetworkForecaster):
            found, one_ms, kind = *_network_parity(forecaster, panel.target, first, elsewhere), "onnx"
        else:
            found, one_ms, kind = *_reload_parity(elsewhere, panel.target, first), "json"
    difference = float(np.max(np.abs(found / wanted - 1.0)))
    metrics = {
        "format": kind,
        "days": len(wanted),
        "largest_relative_difference": difference,
        "tolerance": params.export.parity_tolerance,
        "is_equal": bool(difference <= params.export.parity_tolerance),
        "one_forecast_ms": round(one_ms, 3),
    }
    write_json(artifacts.path("export", "export_metrics.json"), metrics)
    write_table(
        artifacts.path("export", "outlook.csv"),
        outlook_table(forecaster, panel.target, read_tails(folder), num_days=1),
    )
    print(f"export {vertical.name}: {kind}, largest relative difference {difference:.1e}", flush=True)


def _network_parity(forecaster: NetworkForecaster, series: Series, first: int, folder: Any) -> tuple[np.ndarray, float]:
    from core.forecasting.network_onnx import run_network, write_network
    from core.forecasting.windows import windows_of

    rows = windows_of(series, forecaster.horizons_, first)
    write_network(forecaster, rows, folder / "network.onnx")
    found, one_ms = run_network(folder / "network.onnx", rows)
    return forecaster.bounds_.hold(found), one_ms


def _reload_parity(folder: Any, series: Series, first: int) -> tuple[np.ndarray, float]:
    again: Forecaster = load_forecaster(folder)
    started = time.perf_counter()
    again.forecast(series, len(series) - 1)
    one_ms = 1000.0 * (time.perf_counter() - started)
    return again.forecast(series, first), one_ms
