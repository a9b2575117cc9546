"""Stage `compare` of a vertical that forecasts: methods x days of history, over the same test days."""

from __future__ import annotations

import time

import pandas as pd

from core.artifacts import Artifacts, replacing_file, write_json, write_table
from core.forecasting.choices import check_series_choices
from core.forecasting.forecast_ledger import build_forecast_ledger
from core.forecasting.ledger_plot import plot_forecast_ledger
from core.forecasting.panel import read_panel
from core.forecasting.params import SeriesParams
from core.forecasting.plan import ledger_plan
from core.forecasting.walking import walk_method, walk_of
from core.vertical import Vertical


def series_compare(vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write the ledger, its curves and its picture. Networks trained on the sources are shared by all budgets."""
    check_series_choices(vertical, params)
    panel = read_panel(artifacts)
    walk = walk_of(panel, params)
    plan = ledger_plan(params, has_sources=bool(panel.sources), num_history=walk.first_origin)
    runs, started = [], time.perf_counter()
    for number, (budget, method) in enumerate(plan, start=1):
        options = params.train.method_options.get(method, {})
        runs.append(walk_method(walk, method, options, budget))
        spent = time.perf_counter() - started
        left = spent / number * (len(plan) - number)
        print(
            f"compare: {number}/{len(plan)} {method} with {budget} days ({spent:.0f} s, about {left:.0f} s left)",
            flush=True,
        )
    ledger = build_forecast_ledger(walk, runs, params.compare)
    ledger["target_domain"] = panel.target.name
    ledger["source_domains"] = [source.name for source in panel.sources]
    write_json(artifacts.path("compare", "ledger_metrics.json"), ledger)
    write_table(artifacts.path("compare", "ledger.csv"), pd.DataFrame(ledger["entries"]).drop(columns="info"))
    with replacing_file(artifacts.path("compare", "ledger.png")) as temporary:
        plot_forecast_ledger(ledger).savefig(temporary, dpi=130, format="png")
