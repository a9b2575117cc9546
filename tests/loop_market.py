"""A small made-up market with its pipeline called in this process, without DVC: a run of the loop takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from project_copy import commit_all, git
from ruamel.yaml import YAML

from core.artifacts import Artifacts, read_json, write_json
from core.evaluation.release import decide_release
from core.forecasting.release_gates import series_gates
from core.forecasting.retrain import series_run
from core.lifecycle.retrain import loop, run
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.journal import Journal
from core.params import set_params
from core.prices.synthetic import synthetic_market
from core.stages import STAGES
from core.stages.__main__ import run_stage
from core.vertical import load_vertical

VERTICAL, DOMAIN = "market_risk", "here"
NUM_FIRST_DAYS, MONTH = 900, 22
SECTION: dict[str, Any] = {
    "prepare": {"target_domain": DOMAIN, "test_fraction": 0.5},
    "train": {"method": "har", "refit_days": 200},
    "evaluate": {"rival": "ewma", "num_bootstrap": 100},
    "compare": {"baseline": "ewma", "methods": ["ewma", "har"], "budgets": ["all"], "num_bootstrap": 100},
}


def run_stages(vertical: str, root: Path, *, to: str = "report", **_: Any) -> None:
    """The pipeline up to a stage; of the report its decision alone, since the figures take half of the time."""
    for stage in STAGES[: STAGES.index(to) + 1]:
        if stage != "report":
            run_stage(stage, vertical, root=root)
            continue
        files = [("evaluate", "metrics.json"), ("compare", "ledger_metrics.json"), ("export", "export_metrics.json")]
        artifacts = Artifacts(root / "artifacts", vertical)
        metrics, ledger, export = (read_json(artifacts.require(*name)) for name in files)
        release = decide_release(series_gates(metrics, ledger, is_export_equal=export["is_equal"]))
        write_json(artifacts.path("report", "release_metrics.json"), release)


def without_dvc(patch: pytest.MonkeyPatch) -> None:
    """The loop calls the stages itself."""
    for module in (run, series_run):
        patch.setattr(module, "reproduce", run_stages)


def market_prices(seed: int = 4) -> pd.DataFrame:
    """More days than the first delivery has: date, open, high, low, close."""
    return synthetic_market(NUM_FIRST_DAYS + 12 * MONTH, seed=seed).prices


def month_of(number: int, prices: pd.DataFrame | None = None) -> pd.DataFrame:
    """Days of the month after the first delivery (0) or a later one."""
    begin = NUM_FIRST_DAYS + number * MONTH
    return (market_prices() if prices is None else prices).iloc[begin : begin + MONTH]


def write_days(folder: Path, name: str, rows: pd.DataFrame) -> Path:
    """A delivery as a file."""
    path = folder / f"{name}.csv"
    rows.to_csv(path, index=False)
    return path


def make_market(root: Path, first_days: pd.DataFrame | None = None, options: dict[str, Any] | None = None) -> Path:
    """A project whose first forecaster was promoted. options: of the import."""
    root.mkdir(parents=True)
    with (root / "params.yaml").open("w") as file:
        YAML().dump({VERTICAL: SECTION}, file)
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / ".gitignore").write_text("/data\n/artifacts\n/models\n/registry\n.crossdomain/\n")
    git(root, "init", "-q")
    commit_all(root, "a market")
    rows = market_prices().iloc[:NUM_FIRST_DAYS] if first_days is None else first_days
    path = write_days(root.parent, "first_days", rows)
    load_vertical(VERTICAL).import_domain(path, root / "data", DOMAIN, **(options or {}))
    with pytest.MonkeyPatch.context() as patch:
        without_dvc(patch)
        journal = loop.retrain(root, VERTICAL, report=lambda _: None)
    assert journal.outcome == "promoted", journal.result("judge")
    return root


def retrain(root: Path, path: Path | None = None) -> Journal:
    """A run about one delivery, or about what is there."""
    source = None if path is None else BatchSource(path, path.stem, DOMAIN)
    return loop.retrain(root, VERTICAL, source=source, report=lambda _: None)


def change_params(root: Path, changes: dict[str, Any]) -> None:
    """Of the vertical's section, in a commit."""
    told = {f"{VERTICAL}.{name}": value for name, value in changes.items()}
    set_params(root / "params.yaml", told, load_vertical(VERTICAL).params_type)
    commit_all(root, "other params")
