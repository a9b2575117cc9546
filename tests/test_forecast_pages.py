"""The pages of a vertical that forecasts: with a run, without one, damaged, in Chinese."""

import shutil

import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from registered_models import facts

from apps.dashboard import SERIES_VIEWS
from core.artifacts import read_json
from core.lifecycle.history import run_now
from core.lifecycle.registry import promote, register
from core.lifecycle.retrain.journal import begin_run


@pytest.mark.parametrize("name", SERIES_VIEWS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_with_a_run_shows_no_error(market_run, name, language):
    test = open_page(market_run, name, "market_risk", language=language)
    assert not test.exception
    assert not test.error, [element.value for element in test.error]
    assert "SYNTHETIC" in texts_of(test) or language == "zh" or name == "history"


@pytest.mark.parametrize("name", ["forecasts", "proof"])
def test_page_without_a_run_names_the_command(tmp_path, market_run, name):
    (tmp_path / "params.yaml").write_bytes((market_run / "params.yaml").read_bytes())
    test = open_page(tmp_path, name, "market_risk")
    assert not test.exception and not test.error
    assert "crossdomain run market_risk" in texts_of(test)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("forecasts", "evaluate/forecasts.parquet"),
        ("proof", "compare/ledger_metrics.json"),
        ("overview", "evaluate/metrics.json"),
    ],
)
def test_page_with_a_damaged_file_says_which(tmp_path, market_run, name, file):
    root = shutil.copytree(market_run, tmp_path / "damaged")
    (root / "artifacts/market_risk" / file).write_bytes(b"\x00 not what it was")
    test = open_page(root, name, "market_risk")
    assert not test.exception
    assert file.rsplit("/", 1)[-1] in texts_of(test)


def test_forecasts_show_the_newest_outlook_and_every_backtest(market_run):
    test = open_page(market_run, "forecasts", "market_risk")
    outlook = pd.read_csv(market_run / "artifacts/market_risk/export/outlook.csv")
    shown = [metric.value for metric in test.metric]
    assert shown == [f"{value:.1f} %" for value in outlook["yearly_volatility_percent"]]
    metrics = read_json(market_run / "artifacts/market_risk/evaluate/metrics.json")
    table = test.dataframe[0].value
    told = [tail["exceeded"] for days in metrics["horizons"].values() for tail in days["tails_of_method"]]
    assert table["exceeded"].tolist() == told


def test_forecasts_of_another_horizon_are_shown_when_asked_for(market_run):
    test = open_page(market_run, "forecasts", "market_risk")
    test.segmented_control(key="forecast_days").set_value(22).run()
    assert not test.exception and not test.error
    assert any("22" in element.value for element in test.subheader)


def test_proof_tells_the_verdict_of_what_transfers(market_run):
    ledger = read_json(market_run / "artifacts/market_risk/compare/ledger_metrics.json")
    (entry,) = [
        e for e in ledger["entries"] if (e["method"], e["budget"], e["horizon"]) == ("network_lp_ft", "all", "mean")
    ]
    told = texts_of(open_page(market_run, "proof", "market_risk"))
    assert f"**network_lp_ft**: {entry['verdict']} (against network)" in told


def test_overview_has_a_card_for_the_market(market_run):
    told = texts_of(open_page(market_run, "overview", "market_risk"))
    assert "Market risk" in told and "network_lp_ft" in told and "Against ewma" in told


def test_history_tells_runs_and_versions_of_a_market_that_is_retrained(market_run, tmp_path):
    root = shutil.copytree(market_run, tmp_path / "retrained")
    version = register(
        root, "market_risk", root / "artifacts/market_risk/train/model", facts(metrics={"qlike": {"value": 1.25}})
    )
    promote(root, "market_risk", version.version, who="retrain", reason="first")
    journal = begin_run(root, "market_risk", {"name": "2026-11", "domain": "here", "file": "x.csv", "sha256": "0"})
    journal.step("decide", lambda: {"champion": "v0001", "reason": "The forecasts hold on 21 days."})
    journal.end("kept")
    page = open_page(root, "history", "market_risk")
    assert not page.exception and not page.error
    told = "\n".join([texts_of(page), *(table.value.to_string() for table in page.dataframe)])
    for wanted in ("2026-11", "The forecasts hold on 21 days.", "v0001", "1.25", "registry rollback market_risk"):
        assert wanted in told, wanted


def test_run_of_a_market_has_its_losses_and_its_verdict(market_run):
    run = run_now(market_run, "market_risk")
    told = read_json(market_run / "artifacts/market_risk/evaluate/metrics.json")["horizons"]
    assert run.metrics["qlike"] == told["1"]["qlike"] and run.metrics["qlike_22_days"] == told["22"]["qlike"]
    assert run.metrics["squared_error"]["value"] == told["1"]["squared_error"]
    assert run.verdict in ("gain", "no difference", "negative transfer") and run.release
