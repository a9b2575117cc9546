"""Stage `report` of a vertical that forecasts: one HTML report, a model card and the release decision."""

from __future__ import annotations

from typing import Any

import pandas as pd

from core.artifacts import Artifacts, read_json, write_json, write_text
from core.data.prepared import read_specs
from core.evaluation.release import decide_release
from core.forecasting.params import SeriesParams
from core.forecasting.release_gates import series_gates
from core.forecasting.report_sections import (
    data_section,
    forecast_section,
    interval,
    ledger_section,
    regime_section,
    tails_section,
    transfer_sections,
)
from core.forecasting.words import in_days
from core.reporting.provenance import domain_row
from core.reporting.render import render
from core.vertical import Vertical

LIMITS = (
    "The figures hold for the test days of the target market; another market or another time needs its own evaluation.",
    "What a volatility was is not seen, only estimated: from the day's range where it is known, else from its return.",
    "Value at Risk comes from the tail of past standardised returns; a fall without a precedent lies beyond it.",
    "No advice to buy or to sell, and no capital figure under any regulation.",
)


def series_report(vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `report.html`, `MODEL_CARD.md` and `release_metrics.json`."""
    metrics = read_json(artifacts.require("evaluate", "metrics.json"))
    ledger = read_json(artifacts.require("compare", "ledger_metrics.json"))
    export = read_json(artifacts.require("export", "export_metrics.json"))
    data = read_json(artifacts.require("prepare", "data_report.json"))
    forecasts = pd.read_parquet(artifacts.require("evaluate", "forecasts.parquet"))
    release = decide_release(series_gates(metrics, ledger, is_export_equal=export["is_equal"]))
    write_json(artifacts.path("report", "release_metrics.json"), release)
    sections = [
        forecast_section(metrics, forecasts),
        ledger_section(ledger),
        *transfer_sections(ledger),
        tails_section(metrics),
        regime_section(metrics),
        data_section(data),
    ]
    context = _context(vertical, params, artifacts, metrics, data, release)
    write_text(artifacts.path("report", "report.html"), render("report.html.j2", {**context, "sections": sections}))
    write_text(artifacts.path("report", "MODEL_CARD.md"), render("model_card.md.j2", context))
    print(f"report {vertical.name}: {release['headline']}", flush=True)


def _context(
    vertical: Vertical,
    params: SeriesParams,
    artifacts: Artifacts,
    metrics: dict[str, Any],
    data: dict[str, Any],
    release: dict[str, Any],
) -> dict[str, Any]:
    """What both templates show."""
    specs = read_specs(artifacts)
    target = specs[data["target_domain"]]
    sources = [specs[name] for name in data["source_domains"]]
    cards = []
    for days, told in metrics["horizons"].items():
        note = interval(told["qlike"])
        cards.append({"name": f"QLIKE, {in_days(days)} ahead", "value": f"{told['qlike']['value']:.3f}", "note": note})
    for days, told in metrics["horizons"].items():
        tail = told["tails_of_method"][0]
        name = f"beyond {tail['level']:.0%} VaR, {in_days(days)}"
        note = f"{tail['exceeded']} of {tail['rows']}, {tail['expected']:.1f} expected"
        cards.append({"name": name, "value": f"{tail['rate']:.2%}", "note": note})
    organisation = f"{params.report.organisation}: " if params.report.organisation else ""
    return {
        "title": f"{organisation}{vertical.title}, {target.title or target.name}",
        "subtitle": f"Volatility and tail risk of the next {', '.join(metrics['horizons'])} days."
        f" Sources: {', '.join(spec.title or spec.name for spec in sources) or 'none'}.",
        "is_synthetic": any(spec.is_synthetic for spec in (target, *sources)),
        "release": release,
        "cards": cards[:6],
        "metric_rows": cards,
        "intended_use": params.report.intended_use or "Not stated. Set report.intended_use in params.yaml.",
        "domains": [domain_row(target, "target"), *(domain_row(spec, "source") for spec in sources)],
        "made": _how_made(params, metrics, data),
        "fairness_note": "Markets are no people; no protected attribute is read.",
        "limits": [*LIMITS, *target.caveats],
        "footer": "Made by the report stage from the run's own files; `dvc repro` makes it again.",
    }


def _how_made(params: SeriesParams, metrics: dict[str, Any], data: dict[str, Any]) -> str:
    history = metrics["history"]
    return (
        f"Method: {metrics['method']}, on {'every day' if history == 'all' else f'the last {history} days'} before each"
        f" fit, fitted again every {params.train.refit_days} days. Sources end before {data['first_test_day']},"
        " the first day that is judged."
        " The model in use has learned from every day there is; no figure here comes from it."
    )
