"""`crossdomain new-vertical --task regression`: written, run, shown, asked for values, and gone."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from generated_vertical import (
    check_contracts,
    check_touched_files,
    pages_of,
    run_stages_of,
    write_vertical,
)
from project_copy import call, copy_project, git

NAME = "claim_cost"
HELD = 21  # exit code of `retrain`


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with a generated vertical whose six stages have run there."""
    root = copy_project(tmp_path_factory.mktemp("regression"))
    write_vertical(root, NAME, "table", "regression")
    run_stages_of(root, NAME)
    return root


def read(root, path):
    return json.loads((root / "artifacts" / NAME / path).read_text())


def test_command_touches_its_folder_and_two_files_alone(project):
    check_touched_files(project, NAME)


def test_run_says_synthetic_and_what_is_moved_helps_few_labels(project):
    for file in ("report.html", "MODEL_CARD.md"):
        told = (project / "artifacts" / NAME / "report" / file).read_text(encoding="utf-8")
        assert "SYNTHETIC DATA" in told and "Cost of the case" in told
    entries = {
        (entry["budget"], entry["method"]): entry for entry in read(project, "compare/ledger_metrics.json")["entries"]
    }
    few = entries[25, "source_offset"]
    assert few["difference_low"] > 5 and few["verdict"] == "gain"  # of 42 EUR
    assert entries["all", "source_offset"]["verdict"] == "no difference"
    metrics = read(project, "evaluate/metrics.json")
    assert metrics["naive"]["gain"]["low"] > 0 and metrics["unit"] == "EUR" and 0.8 < metrics["coverage"]["value"] <= 1


def test_what_is_known_after_the_outcome_is_no_feature(project):
    features = read(project, "prepare/data_report.json")["features"]
    assert "closed_after_days" not in [feature["name"] for feature in features]


def test_contracts_of_all_verticals_hold(project):
    check_contracts(project, NAME)


def test_every_page_shows_it(project):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    pages = pages_of(project, NAME, "VALUE_VIEWS")
    assert len(pages) == 5 and [view for view, page in pages.items() if not page["is_sound"]] == []


def test_predict_gives_values_with_bands(project, tmp_path):
    rows = pd.DataFrame({"case_id": ["a", "b"], "amount_eur": [500, 3000], "duration_days": [10, 60]})
    rows = rows.assign(received="2026-01-05", num_earlier_cases=0, age_years=40, channel=["web", "desk"], grade="mid")
    rows.to_csv(tmp_path / "cases.csv", index=False)
    told = call(project, "core.cli", "predict", NAME, str(tmp_path / "cases.csv"), "-o", str(tmp_path / "out.csv"))
    out = pd.read_csv(tmp_path / "out.csv")
    assert "SYNTHETIC" in told and (out["data"] == "SYNTHETIC").all() and (out["unit"] == "EUR").all()
    assert (out["low"] < out["value"]).all() and (out["value"] < out["high"]).all()
    assert out["value"][1] > out["value"][0] + 50 and out["reason_1"].str.contains("EUR").all()


def test_retrain_judges_a_delivery_and_the_pages_show_it(project, tmp_path):
    rows = pd.read_parquet(project / f"data/{NAME}/demo_target/rows/initial.parquet").head(200)
    rows = rows.assign(case_id="new" + rows["case_id"], received="2026-02-01")
    rows["duration_days"] = (rows["duration_days"].astype(float) + 1).astype(str)  # no row is one of before
    rows.to_csv(tmp_path / "delivery.csv", index=False)
    told = call(project, "core.cli", "retrain", NAME, "--batch", str(tmp_path / "delivery.csv"), expect=HELD)
    assert "held" in told and "code" in told  # the new vertical is not committed, and the gate sees it
    page = (project / f"artifacts/{NAME}/retrain/r0001/report.html").read_text(encoding="utf-8")
    assert "is held for a person" in page
    call(project, "core.cli", "registry", "promote", NAME, "v0001", "--reason", "looked at", "--allow-dirty")
    assert "v0001" in call(project, "core.cli", "registry", "list", NAME)
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    pages = pages_of(project, NAME, "VALUE_VIEWS")
    assert [view for view, told in pages.items() if not told["is_sound"]] == [] and f"rollback {NAME}" in pages[
        "history"
    ]["text"]


def test_own_rows_come_by_import_and_doctor_reads_the_model(project, tmp_path):
    rows = pd.read_parquet(project / f"data/{NAME}/demo_target/rows/initial.parquet")
    rows.to_csv(tmp_path / "own.csv", index=False)
    options = ("--label", "cost_eur", "--key", "case_id", "--time", "received", "--after-outcome", "closed_after_days")
    told = call(project, "core.cli", "import", NAME, "own", str(tmp_path / "own.csv"), *options)
    assert "800 rows with a number" in told
    assert f"{NAME}: the saved model verifies" in call(project, "core.cli", "doctor")


def test_it_goes_without_a_trace(project):
    call(project, "core.cli", "new-vertical", NAME, "--remove", "--force")
    git(project, "checkout", "data.dvc")
    assert git(project, "status", "--porcelain") == ""
