"""A small lender that delivers a file a month, in a copy of the project that retrains within seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from project_copy import ROOT, call, commit_all, copy_project
from ruamel.yaml import YAML

VERTICAL, DOMAIN, ROWS_A_MONTH = "credit_risk", "bank", 120
PARAMS = {
    "prepare": {"target_domain": DOMAIN, "source_domains": [],
                "split": {"method": "batches", "valid_fraction": 0.2, "regression_fraction": 0.15}},
    "train": {"transfer": "target_only", "learner": "logistic_regression", "trackers": []},
    "evaluate": {"num_bootstrap": 100, "slices": [], "confidence": 0.95},
    "report": {}, "options": {},
    "compare": {"methods": ["target_only"], "budgets": ["all"], "num_draws": 1, "num_bootstrap": 100},
    "export": {"num_latency_rows": 20},
    "retrain": {"monitor": {"num_bootstrap": 100}, "waived": ["calibration"],  # of 100 rows it is mostly noise
                "gates": {"min_rows": 50, "min_per_class": 5, "max_latency_ratio": 50.0,
                          "max_metric_loss": 0.1, "max_brier_loss": 0.05, "max_cost_loss": 0.5}},
}  # fmt: skip


def month_rows(month: int, num_rows: int = ROWS_A_MONTH, *, shift: float = 0.0, turn: float = 0.0) -> pd.DataFrame:
    """One month's applications. shift: how much riskier and more frequent online applications are than they were.

    turn: share of labels that are turned.
    """
    random = np.random.default_rng(1000 + month)
    income, amount = random.normal(0, 1, num_rows), random.normal(0, 1, num_rows)
    is_online = random.random(num_rows) < min(0.9, 0.15 + 0.3 * shift)
    logit = -0.8 - 1.6 * income + 1.2 * amount + 0.9 * shift * is_online
    is_bad = random.random(num_rows) < 1 / (1 + np.exp(-logit))
    is_bad = np.where(random.random(num_rows) < turn, ~is_bad, is_bad)
    return pd.DataFrame(
        {
            "loan_id": [f"m{month:03d}_{row:04d}" for row in range(num_rows)],
            "income": (40_000 + 9_000 * income).round(2),
            "amount": (8_000 + 2_500 * amount).round(2),
            "housing": random.choice(["own", "rent", "other"], num_rows),
            "channel": np.where(is_online, "online", "branch"),
            "issued": f"{2020 + month // 12}-{month % 12 + 1:02d}-15",
            "outcome": np.where(is_bad, "bad", "good"),
        }
    )


def write_month(folder: Path, month: int, **told: float) -> Path:
    """The month's file, named after it."""
    path = folder / f"month_{month:03d}.csv"
    month_rows(month, **told).to_csv(path, index=False)
    return path


def first_deliveries(folder: Path, num_months: int) -> list[tuple[str, Path]]:
    """The first months as two deliveries: all but the last two, then those."""
    parts = {"initial": range(num_months - 2), "start": range(num_months - 2, num_months)}
    told = []
    for name, months in parts.items():
        told.append((name, folder / f"{name}.csv"))
        pd.concat([month_rows(month) for month in months]).to_csv(told[-1][1], index=False)
    return told


def make_lender(folder: Path, *, num_months: int = 6, params: dict | None = None) -> Path:
    """A copy of the project with the first months imported, and everything in a commit."""
    copy_project(folder)
    sections = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    told = {**PARAMS, "retrain": {**PARAMS["retrain"], **(params or {})}}
    YAML().dump({**sections, VERTICAL: told}, folder / "params.yaml")
    for name, path in first_deliveries(folder, num_months):
        call(folder, "core.cli", "import", VERTICAL, DOMAIN, str(path), "--label", "outcome", "--positive", "bad",
             "--key", "loan_id", "--time", "issued", "--batch", name)  # fmt: skip
        path.unlink()
    call(folder, "dvc", "add", "--quiet", "data")
    commit_all(folder, "first months")
    return folder
