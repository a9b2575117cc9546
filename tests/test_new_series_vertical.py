"""`crossdomain new-vertical --modality timeseries`: written, run, shown, fed with prices, and gone without a trace."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from generated_vertical import (
    check_contracts,
    check_touched_files,
    pages_of,
    run_stages_of,
    set_params,
    write_vertical,
)
from project_copy import call, copy_project, git

from core.prices.synthetic import synthetic_market

pytest.importorskip("arch", reason="the extra `market` is not installed")
NAME = "power_prices"
HELD = 21  # exit code of `retrain`
QUICK = "{epochs: 2, source_epochs: 1, num_members: 1}"
FAST = f"{{network: {QUICK}, network_lp_ft: {QUICK}}}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with a generated vertical whose six stages have run."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    write_vertical(root, NAME, "timeseries", "regression")
    before = "num_bootstrap: {}\n    confidence: 0.95\n    {}"
    few = {before.format(1000, key): before.format(200, key) for key in ("crisis_quantile", "set_size")}
    few |= {
        "ewma, gjr_garch, har, har_shrunk, network,": "gjr_garch, network,",
        "budgets: [250, all]": "budgets: [all]",
    }
    set_params(root, NAME, {"method_options: {}": f"method_options: {FAST}", **few})
    run_stages_of(root, NAME)
    return root


def test_command_touches_its_folder_and_two_files_alone(project):
    check_touched_files(project, NAME)


def test_run_says_synthetic_and_has_a_verdict(project):
    folder = project / "artifacts" / NAME
    for name in ("report.html", "MODEL_CARD.md"):
        assert "SYNTHETIC DATA" in (folder / "report" / name).read_text(encoding="utf-8")
    ledger = json.loads((folder / "compare/ledger_metrics.json").read_text())
    verdicts = {e["verdict"] for e in ledger["entries"] if e["method"] == "network_lp_ft"}
    assert verdicts and verdicts <= {"gain", "no difference", "negative transfer"}


def test_contracts_of_all_verticals_hold(project):
    check_contracts(project, NAME)


def test_every_page_shows_it(project):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    pages = pages_of(project, NAME, "SERIES_VIEWS")
    assert len(pages) == 4 and [view for view, page in pages.items() if not page["is_sound"]] == []
    assert all("SYNTHETIC" in page["text"] for view, page in pages.items() if view != "history")


def test_delivery_of_new_days_is_learned_and_its_forecaster_serves(project, tmp_path):
    prices = synthetic_market(1500 + 44, seed=1).prices  # demo_target goes on
    for name, rows in (("may", prices.iloc[1495:1522]), ("june", prices.iloc[1522:])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    told = call(project, "core.cli", "retrain", NAME, "--batch", str(tmp_path / "may.csv"), expect=HELD)
    assert "held" in told and "code" in told  # the new vertical is in no commit, and the gate sees it
    assert "is held for a person" in (project / f"artifacts/{NAME}/retrain/r0001/report.html").read_text("utf-8")
    call(project, "core.cli", "registry", "promote", NAME, "v0001", "--reason", "looked at", "--allow-dirty")
    assert "qlike" in call(project, "core.cli", "registry", "list", NAME)
    told = call(project, "core.cli", "retrain", NAME, "--batch", str(tmp_path / "june.csv"), "--dry-run")
    assert "22 rows of 'june'" in told and "train: pipeline" in told
    prices.to_csv(tmp_path / "prices.csv", index=False)
    out = str(tmp_path / "out.csv")
    assert "champion v0001" in call(project, "core.cli", "predict", NAME, str(tmp_path / "prices.csv"), "-o", out)


def test_prices_are_forecast_imported_and_it_goes_without_a_trace(project, tmp_path):
    synthetic_market(700, seed=9).prices.to_csv(tmp_path / "prices.csv", index=False)
    told = call(project, "core.cli", "predict", NAME, str(tmp_path / "prices.csv"), "-o", str(tmp_path / "out.csv"))
    assert "Value at Risk 1%" in told
    assert pd.read_csv(tmp_path / "out.csv")["horizon_days"].tolist()[:3] == [1, 5, 22]
    call(project, "core.cli", "import", NAME, "mine", str(tmp_path / "prices.csv"))

    refused = call(project, "core.cli", "new-vertical", NAME, "--remove", expect=2)
    assert f"data/{NAME}/mine" in refused and "--force" in refused
    call(project, "core.cli", "new-vertical", NAME, "--remove", "--force")
    git(project, "checkout", "data.dvc")
    assert git(project, "status", "--porcelain") == ""
