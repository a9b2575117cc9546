"""`crossdomain new-vertical --modality timeseries`: written, run, shown, fed with prices, and gone without a trace."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from generated_vertical import pages_of, run_stages_of
from project_copy import call, copy_project, git

from core.prices.synthetic import synthetic_market
from core.stages import STAGES

pytest.importorskip("arch", reason="the extra `market` is not installed")
NAME = "power_prices"
QUICK = "{epochs: 2, source_epochs: 1, num_members: 1}"
FAST = f"{{network: {QUICK}, network_lp_ft: {QUICK}}}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with a generated vertical whose six stages have run."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    told = call(root, "core.cli", "new-vertical", NAME, "--modality", "timeseries", "--task", "regression")
    assert "SYNTHETIC" in told and f"crossdomain run {NAME}" in told
    params = root / "params.yaml"
    before, own, section = params.read_text().partition(f"{NAME}:\n")
    params.write_text(before + own + section.replace("method_options: {}", f"method_options: {FAST}"))
    call(root, "core.cli", "fetch", NAME)
    run_stages_of(root, NAME)
    return root


def test_command_touches_its_folder_and_two_files_alone(project):
    touched = {line[3:] for line in git(project, "status", "--porcelain").splitlines()}
    assert touched == {"dvc.yaml", "params.yaml", f"verticals/{NAME}/", "artifacts/"}
    removed = [line for line in git(project, "diff", "-U0").splitlines() if line.startswith("-") and line[:3] != "---"]
    assert len(removed) == len(STAGES) and all("foreach" in line for line in removed)


def test_run_says_synthetic_and_has_a_verdict(project):
    folder = project / "artifacts" / NAME
    for name in ("report.html", "MODEL_CARD.md"):
        assert "SYNTHETIC DATA" in (folder / "report" / name).read_text(encoding="utf-8")
    ledger = json.loads((folder / "compare/ledger_metrics.json").read_text())
    verdicts = {e["verdict"] for e in ledger["entries"] if e["method"] == "network_lp_ft"}
    assert verdicts and verdicts <= {"gain", "no difference", "negative transfer"}


def test_contracts_of_all_verticals_hold(project):
    contracts = (
        "tests/test_params.py::test_params_of_the_repository_parse_for_every_vertical",
        "tests/test_choices.py::test_choices_of_the_repository_fit",
        "tests/test_dependencies.py::test_declared_dependencies_equal_the_real_imports[prepare]",
        "tests/test_dependencies.py::test_declared_dependencies_equal_the_real_imports[series_prepare]",
        "tests/test_dependencies.py::test_every_vertical_is_an_item_of_every_stage",
        f"tests/test_cli.py::test_picture_options_of_import_are_known_where_the_vertical_has_pictures[{NAME}]",
    )
    told = call(project, "pytest", "-p", "no:cacheprovider", *contracts)
    assert " passed" in told or "[100%]" in told


def test_every_page_shows_it(project):
    pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
    pages = pages_of(project, NAME, "SERIES_VIEWS")
    assert len(pages) == 3 and [view for view, page in pages.items() if not page["is_sound"]] == []
    assert all("SYNTHETIC" in page["text"] for page in pages.values())


def test_prices_are_forecast_imported_and_it_goes_without_a_trace(project, tmp_path):
    synthetic_market(700, seed=9).prices.to_csv(tmp_path / "prices.csv", index=False)
    told = call(project, "core.cli", "predict", NAME, str(tmp_path / "prices.csv"), "-o", str(tmp_path / "out.csv"))
    assert "Value at Risk 1%" in told
    assert pd.read_csv(tmp_path / "out.csv")["horizon_days"].tolist()[:3] == [1, 5, 22]
    call(project, "core.cli", "import", NAME, "mine", str(tmp_path / "prices.csv"))

    refused = call(project, "core.cli", "new-vertical", NAME, "--remove", expect=2)
    assert f"data/{NAME}/mine" in refused and "--force" in refused
    call(project, "core.cli", "new-vertical", NAME, "--remove", "--force")
    assert git(project, "status", "--porcelain") == ""
    assert [path for path in project.rglob(f"*{NAME}*") if ".git" not in path.parts] == []
