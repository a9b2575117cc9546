"""The small lender with its pipeline called in this process, without DVC: a run of the loop takes seconds."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import pandas as pd
import pytest
from monthly_lender import DOMAIN, PARAMS, VERTICAL, first_deliveries, month_rows, write_month
from project_copy import commit_all, git
from ruamel.yaml import YAML
from sklearn.metrics import roc_auc_score

from core.artifacts import Artifacts
from core.data.held_batches import held_batches
from core.errors import CrossdomainError
from core.lifecycle.registry import champion_folder, read_stages
from core.lifecycle.retrain import loop, run, training
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.served_model import served_model
from core.params import load_params
from core.stages import STAGES
from core.vertical import load_vertical

__all__ = ["DOMAIN", "VERTICAL", "auc_on", "bytes_of", "champion_state", "make_lender", "month_rows", "retrain",
           "run_stages", "set_aside_names", "without_dvc", "write_month"]  # fmt: skip
NUM_FIRST_MONTHS = 8


def run_stages(vertical, root, *, to="report", **_):
    """The pipeline up to a stage."""
    chosen, params = load_vertical(vertical), load_params(root / "params.yaml", vertical)
    artifacts = Artifacts(root / "artifacts", vertical)
    for stage in STAGES[: STAGES.index(to) + 1]:
        more = {"data_folder": root / "data"} if stage == "prepare" else {}
        getattr(importlib.import_module(f"core.stages.{stage}"), stage)(chosen, params, artifacts, seed=0, **more)


def without_dvc(patch: pytest.MonkeyPatch) -> None:
    """The loop calls the stages itself."""
    for module in (run, training):
        patch.setattr(module, "reproduce", run_stages)


def make_lender(root: Path, **retrain_params) -> Path:
    """A project whose first model was promoted; retrain_params: of the `retrain` section, beside the usual."""
    root.mkdir(parents=True)
    section = {**PARAMS, "retrain": {**PARAMS["retrain"], **retrain_params}}
    YAML().dump({VERTICAL: section}, root / "params.yaml")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "data.dvc").write_text("outs:\n- md5: 0123456789abcdef.dir\n  path: data\n")
    (root / ".gitignore").write_text("/data\n/artifacts\n/models\n/registry\n/metrics\n.crossdomain/\n")
    git(root, "init", "-q")
    commit_all(root, "first months")
    told = {"label": "outcome", "positive": ("bad",), "key": "loan_id", "time": "issued"}
    for name, path in first_deliveries(root.parent, NUM_FIRST_MONTHS):
        load_vertical(VERTICAL).import_domain(path, root / "data", DOMAIN, batch=name, **told)
    with pytest.MonkeyPatch.context() as patch:
        without_dvc(patch)
        journal = loop.retrain(root, VERTICAL, report=lambda _: None)
    assert journal.outcome == "promoted", journal.values["steps"]["judge"]
    return root


def retrain(root: Path, path: Path) -> tuple[str, str]:
    """(outcome, reason) of one delivery; `error` where the loop refuses to take it in."""
    with pytest.MonkeyPatch.context() as patch:
        without_dvc(patch)
        try:
            source = BatchSource(path, path.stem, DOMAIN)
            journal = loop.retrain(root, VERTICAL, source=source, report=lambda _: None)
        except CrossdomainError as error:
            loop.abandon(root, VERTICAL)
            return "error", str(error)
    return journal.outcome, journal.result("decide")["reason"]


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file's SHA-256, to compare folders by."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def champion_state(root: Path) -> tuple[dict, dict[str, str]]:
    """Who is champion by which decisions, and its files."""
    return read_stages(root, VERTICAL).to_dict(), bytes_of(champion_folder(root, VERTICAL))


def set_aside_names(root: Path) -> list[str]:
    """Deliveries that are held."""
    return [held.batch for held in held_batches(root / "data" / VERTICAL / DOMAIN) if not held.accepted_by]


def auc_on(root: Path, rows: pd.DataFrame, folder: Path) -> float:
    """AUC of the serving model on labelled rows, through `predict`."""
    path, out = folder / "clean.csv", folder / "scores.csv"
    rows.drop(columns="outcome").to_csv(path, index=False)
    load_vertical(VERTICAL).predict(
        path, out, served_model(root, VERTICAL).folder, rows_per_chunk=9999, explain=False, progress=lambda _: None
    )
    return float(roc_auc_score(rows["outcome"] == "bad", pd.read_csv(out)["probability"]))
