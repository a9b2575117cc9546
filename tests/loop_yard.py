"""A small repair yard that delivers a file a month and predicts what a repair costs; a run of it takes seconds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project_copy import commit_all, git
from ruamel.yaml import YAML

import verticals
from core.artifacts import Artifacts
from core.lifecycle.retrain import loop, run, training
from core.lifecycle.retrain.batch_source import BatchSource
from core.params import load_params
from core.stages import STAGES
from core.vertical import load_vertical

VERTICAL, DOMAIN, ROWS_A_MONTH, NUM_FIRST_MONTHS = "yard", "north", 120, 8
PACKAGE = '''
from functools import partial

from core.data.importing import import_table
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.regression.params import RegressionParams
from core.regression.predicting import predict_values
from core.regression.value_options import ValueOptions
from core.regression.value_scorer import ValueScorer
from core.vertical import Vertical


def import_domain(path, data_folder, domain, **declared):
    return import_table(path, data_folder, "yard", domain, is_number_label=True, **declared)


VERTICAL = Vertical(
    name="yard", title="Repair yard", task="regression", modality="table", metrics=("mae", "rmse", "coverage"),
    source_domains=(), target_domain="north", demo_domains=(), read_domain=read_table_domain,
    open_dataset=open_table_dataset, fetch=lambda *_: None, import_domain=import_domain, options_type=ValueOptions,
    params_type=RegressionParams, predict=partial(predict_values, ValueScorer), open_scorer=ValueScorer.load,
)
'''  # fmt: skip
PARAMS = {
    "prepare": {"target_domain": DOMAIN, "source_domains": [],
                "split": {"method": "batches", "valid_fraction": 0.2, "regression_fraction": 0.15}},
    "train": {"transfer": "target_only", "regressor": "ridge"},
    "evaluate": {"num_bootstrap": 100, "slices": []},
    "compare": {"methods": ["target_only"], "budgets": ["all"], "num_draws": 1, "num_bootstrap": 100},
    "export": {"num_latency_rows": 20}, "report": {}, "options": {},
    "retrain": {"monitor": {"num_bootstrap": 100}, "waived": ["band coverage"],  # of 100 rows it is mostly noise
                "gates": {"min_rows": 50, "min_groups": 5, "max_latency_ratio": 50.0, "num_bootstrap": 200}},
}  # fmt: skip


@contextmanager
def known_yard(folder: Path) -> Iterator[None]:
    """Inside, `verticals.yard` is a package like any other."""
    package = folder / VERTICAL
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    before = verticals.__path__
    verticals.__path__ = [*before, str(folder)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        verticals.__path__ = before
        sys.modules.pop(f"verticals.{VERTICAL}", None)
        if hasattr(verticals, VERTICAL):
            delattr(verticals, VERTICAL)


def month_rows(month: int, num_rows: int = ROWS_A_MONTH, *, slope: float = 60.0, shift: float = 0.0) -> pd.DataFrame:
    """One month's repairs. slope: what an hour costs. shift: of the hours, in their deviations."""
    random = np.random.default_rng(1000 + month)
    hours = (10.0 + 3.0 * (random.normal(0, 1, num_rows) + shift)).clip(0.5)
    age = random.gamma(4.0, 2.0, num_rows)
    make = random.choice(["alba", "borea"], num_rows)
    cost = 200.0 + slope * hours + 20.0 * age + 40.0 * (make == "borea") + random.normal(0, 50.0, num_rows)
    return pd.DataFrame(
        {
            "repair_id": [f"m{month:03d}_{row:04d}" for row in range(num_rows)],
            "hours": hours.round(2),
            "age": age.round(1),
            "make": make,
            "done": f"{2020 + month // 12}-{month % 12 + 1:02d}-15",
            "cost": cost.round(2),
        }
    )


def write_month(folder: Path, month: int, rows: pd.DataFrame | None = None, **told: float) -> Path:
    """The month's file, named after it."""
    path = folder / f"month_{month:03d}.csv"
    (month_rows(month, **told) if rows is None else rows).to_csv(path, index=False)
    return path


def run_stages(vertical, root, *, to="report", **_):
    """The pipeline up to a stage."""
    chosen = load_vertical(vertical)
    params = load_params(root / "params.yaml", vertical, chosen.params_type)
    artifacts = Artifacts(root / "artifacts", vertical)
    for stage in STAGES[: STAGES.index(to) + 1]:
        name = chosen.stage_name(stage)
        more = {"data_folder": root / "data"} if stage == "prepare" else {}
        getattr(importlib.import_module(f"core.stages.{name}"), name)(chosen, params, artifacts, seed=0, **more)


def without_dvc(patch: pytest.MonkeyPatch) -> None:
    """The loop calls the stages itself."""
    for module in (run, training):
        patch.setattr(module, "reproduce", run_stages)


def make_yard(root: Path) -> Path:
    """A project whose first model was promoted."""
    root.mkdir(parents=True)
    YAML().dump({VERTICAL: PARAMS}, root / "params.yaml")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "data.dvc").write_text("outs:\n- md5: 0123456789abcdef.dir\n  path: data\n")
    (root / ".gitignore").write_text("/data\n/artifacts\n/models\n/registry\n/metrics\n.crossdomain/\n")
    git(root, "init", "-q")
    commit_all(root, "first months")
    parts = {"initial": range(NUM_FIRST_MONTHS - 2), "start": range(NUM_FIRST_MONTHS - 2, NUM_FIRST_MONTHS)}
    for name, months in parts.items():
        path = root.parent / f"{name}.csv"
        pd.concat([month_rows(month) for month in months]).to_csv(path, index=False)
        told = {"label": "cost", "key": "repair_id", "time": "done"}
        load_vertical(VERTICAL).import_domain(path, root / "data", DOMAIN, batch=name, **told)
    with pytest.MonkeyPatch.context() as patch:
        without_dvc(patch)
        journal = loop.retrain(root, VERTICAL, report=lambda _: None)
    assert journal.outcome == "promoted", journal.values["steps"]["judge"]
    return root


def retrain(root: Path, path: Path | None = None):
    """The journal of one delivery."""
    source = BatchSource(path, path.stem, DOMAIN) if path is not None else None
    return loop.retrain(root, VERTICAL, source=source, report=lambda _: None)
