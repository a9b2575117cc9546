"""Stage `prepare` of a vertical that forecasts: raw markets -> one panel of daily returns and variances, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, write_json, write_table
from core.data.chosen_domains import chosen_folders
from core.data.prepared import specs_to_plain
from core.errors import BadInputError
from core.forecasting.panel import PANEL_FILE, REPORT_FILE, Panel
from core.forecasting.params import SeriesParams
from core.forecasting.scaling import MIN_HISTORY
from core.forecasting.series import Series
from core.forecasting.whole_day import to_whole_days, whole_day_factor
from core.vertical import Vertical

TRADING_DAYS = 252  # a year


def series_prepare(
    vertical: Vertical, params: SeriesParams, artifacts: Artifacts, *, seed: int, data_folder: Path
) -> None:
    """Read the markets, cut the sources before the first test day, and write `artifacts/<vertical>/prepare/`.

    Raises:
        BadParamsError: a domain is named twice.
        MissingArtifactError: a domain is not there; the nearest is named.
        BadInputError: too few days before or after the first test day, or a source without a day before it.
    """
    chosen = params.prepare
    folders = chosen_folders(
        vertical.name, chosen.target_domain, chosen.source_domains, data_folder, demo_domains=vertical.demo_domains
    )
    raw = {name: vertical.read_domain(folder) for name, folder in folders.items()}
    target = raw[chosen.target_domain][0]
    first = first_test_day(target, params)
    _check_days(target, first, max(chosen.horizons))
    sources, too_late = [], []
    for name in chosen.source_domains:
        cut = raw[name][0].until(first)
        if len(cut) < MIN_HISTORY:
            too_late.append(name)
        else:
            sources.append(to_whole_days(cut, first))
    if too_late and not sources:
        raise BadInputError(
            f"No source has {MIN_HISTORY} days before {first}: {', '.join(too_late)}.",
            repair="Choose sources that begin earlier, or a later prepare.test_from.",
        )
    panel = Panel(to_whole_days(target, first), tuple(sources), first)
    problems = pd.concat([found.assign(domain=name) for name, (_, found, _) in raw.items()], ignore_index=True)
    report = {
        "vertical": vertical.name,
        "target_domain": chosen.target_domain,
        "source_domains": [series.name for series in sources],
        "sources_left_out": too_late,
        "first_test_day": str(first),
        "horizons": list(chosen.horizons),
        "markets": {
            name: describe(series, first, is_target=name == chosen.target_domain)
            for name, (series, _, _) in raw.items()
        },
        "problems": problems.groupby(["domain", "reason"]).size().rename("count").reset_index().to_dict("records"),
    }
    write_json(
        artifacts.path("prepare", "specs.json"), specs_to_plain({name: spec for name, (_, _, spec) in raw.items()})
    )
    write_json(artifacts.path("prepare", REPORT_FILE), report)
    write_table(artifacts.path("prepare", "problems.csv"), problems)
    write_table(artifacts.path("prepare", PANEL_FILE), panel.table())
    num_test = int((panel.target.dates >= first).sum())
    print(
        f"prepare: {target.name}: {len(target) - num_test} days to learn from, {num_test} from {first} on to judge by"
    )
    for series in sources:
        print(f"prepare: source {series.name}: {len(series)} days until {series.dates[-1]}")
    for name in too_late:
        print(f"prepare: source {name} is left out: too few days before {first}")


def first_test_day(target: Series, params: SeriesParams) -> np.datetime64:
    """As told, else where the last `test_fraction` of the days begins."""
    if params.prepare.test_from is not None:
        return np.datetime64(params.prepare.test_from, "D")
    return target.dates[round(len(target) * (1.0 - params.prepare.test_fraction))]


def describe(series: Series, first: np.datetime64, *, is_target: bool) -> dict[str, Any]:
    """What a person should know of a market, of the days before the first test day (and how many come after)."""
    known = series.until(first)
    if len(known) == 0:
        return {"role": "target" if is_target else "source", "days": len(series), "days_before_test": 0}
    returns = known.returns
    return {
        "role": "target" if is_target else "source",
        "days": len(series),
        "days_before_test": len(known),
        "first_day": series.dates[0].astype(str),
        "last_day": series.dates[-1].astype(str),
        "has_range": series.has_range,
        "whole_day_factor": whole_day_factor(series, first),
        "yearly_volatility_percent": float(np.sqrt(TRADING_DAYS * np.mean(np.square(returns)))),
        "largest_fall_percent": float(returns.min()),
        "largest_rise_percent": float(returns.max()),
        "kurtosis": float(np.mean((returns - returns.mean()) ** 4) / np.var(returns) ** 2),
    }


def _check_days(target: Series, first: np.datetime64, longest: int) -> None:
    """Enough days to learn from, and to judge by."""
    num_before = int((target.dates < first).sum())
    num_after = len(target) - num_before
    if num_before < MIN_HISTORY or num_after < 5 * longest:
        raise BadInputError(
            f"'{target.name}' has {num_before} days before {first} and {num_after} from it on; {MIN_HISTORY} and"
            f" {5 * longest} are needed.",
            repair="Change prepare.test_from or prepare.test_fraction, or bring more days.",
        )
