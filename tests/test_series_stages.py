"""The six stages of a vertical that forecasts, on made-up markets; what they write, and what they refuse."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from small_markets import write_params
from typer.testing import CliRunner

from core.artifacts import Artifacts, read_json
from core.cli import app
from core.cli.compare import forecast_lines
from core.errors import BadInputError, BadParamsError, MissingArtifactError
from core.forecasting.panel import read_panel
from core.prices.synthetic import synthetic_market
from core.stages.__main__ import run_stage

pytest.importorskip("arch", reason="the extra `market` is not installed")


@pytest.fixture(scope="module")
def run(market_run):
    """Not to be changed."""
    return market_run


def test_sources_end_before_the_first_test_day(run):
    panel = read_panel(Artifacts(run / "artifacts", "market_risk"))
    assert {source.name for source in panel.sources} == {"there", "elsewhere"}
    assert all(source.dates[-1] < panel.first_test_day for source in panel.sources)
    assert (panel.target.dates >= panel.first_test_day).sum() == pytest.approx(0.4 * 1199, abs=1)


def test_forecasts_have_what_was_known_and_what_came(run):
    table = pd.read_parquet(run / "artifacts/market_risk/evaluate/forecasts.parquet")
    panel = read_panel(Artifacts(run / "artifacts", "market_risk"))
    row = 100
    place = np.flatnonzero(panel.target.dates == table["date"].to_numpy()[row].astype("datetime64[D]"))[0]
    assert table["return_1"][row] == pytest.approx(panel.target.returns[place + 1])
    assert table["realised_5"][row] == pytest.approx(panel.target.day_variance[place + 1 : place + 6].mean())
    assert (table["shortfall_1_0.01"] < table["value_at_risk_1_0.01"]).all()
    assert (table["value_at_risk_1_0.01"] < table["value_at_risk_1_0.05"]).all()
    assert table["date"].iloc[0].to_numpy().astype("datetime64[D]") < panel.first_test_day


def test_metrics_count_exceedances_as_the_table_shows_them(run):
    metrics = read_json(run / "artifacts/market_risk/evaluate/metrics.json")
    table = pd.read_parquet(run / "artifacts/market_risk/evaluate/forecasts.parquet")
    tail = metrics["horizons"]["1"]["tails_of_method"][1]
    assert tail["level"] == 0.05
    assert tail["exceeded"] == int((table["return_1"] < table["value_at_risk_1_0.05"]).sum())
    known = table.dropna(subset=["realised_22"])
    losses = np.log(known["forecast_22"]) + known["realised_22"] / known["forecast_22"]
    assert metrics["horizons"]["22"]["qlike"]["value"] == pytest.approx(losses.mean())


def test_ledger_has_every_method_budget_and_horizon(run):
    ledger = read_json(run / "artifacts/market_risk/compare/ledger_metrics.json")
    assert len(ledger["entries"]) == 6 * 2 * 4
    assert {e["verdict"] for e in ledger["entries"] if e["method"] == "network_lp_ft"} <= {
        "gain",
        "no difference",
        "negative transfer",
    }


def test_export_runs_elsewhere_with_the_same_forecast(run):
    folder = run / "artifacts/market_risk/export"
    told = read_json(folder / "export_metrics.json")
    assert told["format"] == "onnx" and told["is_equal"] and told["largest_relative_difference"] < 1e-4
    assert (folder / "elsewhere/network.onnx").exists()
    outlook = pd.read_csv(folder / "outlook.csv")
    assert outlook["horizon_days"].tolist() == [1, 5, 22] and (outlook["value_at_risk_0.01"] < 0).all()


def test_report_is_one_file_that_says_synthetic_and_shows_its_figures(run):
    page = (run / "artifacts/market_risk/report/report.html").read_text()
    assert "SYNTHETIC" in page and page.count("data:image/png;base64,") == 5
    assert not re.search(r'(src|href)="https?:', page)
    assert "in the best set" in page and "coverage 1%, 1 day" in page
    card = (run / "artifacts/market_risk/report/MODEL_CARD.md").read_text()
    assert "SYNTHETIC" in card and "No advice to buy or to sell" in card
    release = json.loads((run / "artifacts/market_risk/report/release_metrics.json").read_text())
    assert {gate["name"] for gate in release["gates"]} >= {"transfer", "no worse than ewma", "export parity"}


def test_predict_of_prices_equals_the_outlook_of_the_pipeline(run, tmp_path, monkeypatch):
    monkeypatch.chdir(run)
    synthetic_market(1200, seed=0).prices.to_csv(tmp_path / "prices.csv", index=False)
    command = ["predict", "market_risk", str(tmp_path / "prices.csv"), "-o", str(tmp_path / "outlook.csv")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Value at Risk 1%" in result.output
    newest = pd.read_csv(tmp_path / "outlook.csv").tail(3).reset_index(drop=True)
    expected = pd.read_csv(run / "artifacts/market_risk/export/outlook.csv")
    columns = ["daily_volatility_percent", "value_at_risk_0.01", "shortfall_0.05"]
    assert newest[columns].to_numpy() == pytest.approx(expected[columns].to_numpy(), rel=1e-6)


def test_predict_of_too_few_days_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(run)
    synthetic_market(200, seed=0).prices.to_csv(tmp_path / "prices.csv", index=False)
    result = CliRunner().invoke(app, ["predict", "market_risk", str(tmp_path / "prices.csv"), "-o", "x.csv"])
    assert result.exit_code != 0 and "more than 250" in str(result.output) + str(result.exception)


def test_import_of_prices_by_command_becomes_a_market(run, tmp_path, monkeypatch):
    root = shutil.copytree(run, tmp_path / "project")
    monkeypatch.chdir(root)
    prices = synthetic_market(800, seed=5).prices.rename(columns={"date": "jour", "close": "cours"})
    prices[["jour", "cours"]].to_csv(tmp_path / "prices.csv", index=False)
    command = ["import", "market_risk", "mine", str(tmp_path / "prices.csv"), "--date", "jour", "--close", "cours"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "800 rows taken in" in result.output
    write_params(root, prepare={"target_domain": "mine", "source_domains": ["here"]})
    run_stage("prepare", "market_risk", root=root)
    assert read_panel(Artifacts(root / "artifacts", "market_risk")).target.name == "mine"


@pytest.mark.parametrize("option", [["--mask", "m"], ["--label", "y"]])
def test_import_option_that_a_market_has_not_is_refused(run, tmp_path, monkeypatch, option):
    monkeypatch.chdir(run)
    synthetic_market(800, seed=5).prices.to_csv(tmp_path / "prices.csv", index=False)
    result = CliRunner().invoke(app, ["import", "market_risk", "other", str(tmp_path / "prices.csv"), *option])
    assert result.exit_code != 0 and option[0] in str(result.output) + str(result.exception)
    assert not (run / "data/market_risk/other").exists()


@pytest.mark.parametrize("command", ["label", "proposals"])
def test_command_for_cases_says_that_a_market_forecasts(run, monkeypatch, command):
    monkeypatch.chdir(run)
    arguments = {"label": ["here", "labels.csv", "--batch", "x"], "proposals": []}[command]
    result = CliRunner().invoke(app, [command, "market_risk", *arguments])
    assert result.exit_code != 0
    assert "forecasts days to come" in str(result.output) + str(result.exception), result.output


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"prepare": {"target_domain": "hear"}}, MissingArtifactError, "Did you mean 'here'"),
        ({"prepare": {"source_domains": ["here"]}}, BadParamsError, "repeat a domain or hold the target"),
        ({"prepare": {"test_from": "1999-01-01"}}, BadInputError, "0 days before"),
        ({"prepare": {"test_from": "2004-07-01"}}, BadInputError, "110 are needed"),
        ({"prepare": {"horizons": [5, 1]}}, BadParamsError, "horizons must rise"),
        ({"prepare": {"horizon": [5]}}, BadParamsError, "Did you mean 'horizons'"),
    ],
)
def test_prepare_refuses_what_cannot_serve(run, tmp_path, changes, error, expected):
    root = shutil.copytree(run, tmp_path / "project")
    write_params(root, **changes)
    with pytest.raises(error) as caught:
        run_stage("prepare", "market_risk", root=root)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"method": "gjr_grach"}}, "Did you mean 'gjr_garch'"),
        ({"train": {"method_options": {"network": {"epoch": 1}}}}, "Did you mean 'epochs'"),
        ({"compare": {"baseline": "garch"}}, "is not among compare.methods"),
        ({"prepare": {"source_domains": []}}, "needs a source"),
    ],
)
def test_run_refuses_choices_that_do_not_fit_before_any_work(run, tmp_path, monkeypatch, changes, expected):
    root = shutil.copytree(run, tmp_path / "project")
    write_params(root, **changes)
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["run", "market_risk"])
    assert result.exit_code != 0 and expected in str(result.output) + str(result.exception)


def test_ledger_in_words_has_a_line_for_each_history_and_method(run):
    ledger = read_json(run / "artifacts/market_risk/compare/ledger_metrics.json")
    lines = forecast_lines(ledger)
    assert len(lines) == 2 + 2 * 6
    (entry,) = [
        e for e in ledger["entries"] if (e["method"], e["budget"], e["horizon"]) == ("network_lp_ft", "all", "mean")
    ]
    (line,) = [line for line in lines if line.strip().startswith("all") and "network_lp_ft" in line]
    assert f"{entry['mean']:.4f}" in line and f"{entry['transfer_difference']:+.4f} {entry['verdict']}" in line
