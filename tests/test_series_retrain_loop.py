"""The retraining loop on a small market: promoted, kept, set aside, refused; resumed after a stop; rolled back."""

import shutil

import numpy as np
import pandas as pd
import pytest
from loop_lender import bytes_of
from loop_market import (
    DOMAIN,
    MONTH,
    NUM_FIRST_DAYS,
    VERTICAL,
    change_params,
    make_market,
    market_prices,
    month_of,
    retrain,
    run_stages,
    without_dvc,
    write_days,
)
from typer.testing import CliRunner

from core.artifacts import Artifacts
from core.cli import app
from core.data.held_batches import held_batches
from core.errors import BadInputError
from core.forecasting.panel import PANEL_FILE
from core.forecasting.retrain import series_run
from core.forecasting.retrain.series_run import SeriesRun
from core.lifecycle.registry import champion_folder, list_versions, read_stages
from core.lifecycle.retrain import loop, run
from core.lifecycle.retrain.journal import unfinished_run
from core.stages.__main__ import run_stage

pytest.importorskip("arch", reason="the extra `market` is not installed")
PRICES = ["open", "high", "low", "close"]


@pytest.fixture(autouse=True)
def no_dvc(monkeypatch):
    without_dvc(monkeypatch)


@pytest.fixture(scope="module")
def first_champion(tmp_path_factory):
    """A project whose first forecaster was promoted; not to be changed."""
    return make_market(tmp_path_factory.mktemp("market") / "project")


@pytest.fixture
def market(first_champion, tmp_path):
    return shutil.copytree(first_champion, tmp_path / "project")


@pytest.fixture(scope="module")
def first_of_returns(tmp_path_factory):
    """The same of a market of returns as fractions."""
    days = fractions().iloc[:NUM_FIRST_DAYS]
    told = {"return_column": "move", "returns": "log", "unit": "fraction"}
    return make_market(tmp_path_factory.mktemp("returns") / "project", days, told)


@pytest.fixture
def returns_market(first_of_returns, tmp_path):
    return shutil.copytree(first_of_returns, tmp_path / "project")


def fractions():
    prices = market_prices()
    return pd.DataFrame({"date": prices["date"], "move": np.log(prices["close"]).diff()}).iloc[1:]


def champion_state(root):
    return read_stages(root, VERTICAL).to_dict(), bytes_of(champion_folder(root, VERTICAL))


def failed_gates(journal):
    return [gate["name"] for gate in journal.result("judge")["gates"] if not gate["is_passed"]]


def test_first_run_promotes_with_lineage_and_headline_metric(first_champion):
    version = list_versions(first_champion, VERTICAL)[0]
    assert read_stages(first_champion, VERTICAL).champion == version.version == "v0001"
    assert version.lineage.batches == {DOMAIN: ["initial"]} and not version.lineage.is_code_dirty
    told = version.metrics["qlike"]
    assert told["low"] < told["value"] < told["high"] and {"qlike_5_days", "qlike_22_days"} <= set(version.metrics)


def test_month_of_new_days_is_learned_and_judged_on_the_days_since_the_champion(market, tmp_path):
    journal = retrain(market, write_days(tmp_path, "month_0", month_of(0)))
    assert journal.outcome == "promoted" and read_stages(market, VERTICAL).champion == "v0002"
    assert list_versions(market, VERTICAL)[1].lineage.batches == {DOMAIN: ["initial", "month_0"]}
    watched, judged = journal.result("watch"), journal.result("judge")
    assert watched["num_new_days"] == MONTH and watched["reports"][0]["report"]["tests"]
    compared = judged["comparisons"][0]
    assert (compared["num_rows"], compared["metric"], compared["slice"]) == (MONTH, "qlike", "1 day ahead")
    values = {gate["name"]: gate["value"] for gate in judged["gates"]}
    assert "refitted" in values["refitting, 1 day ahead"] and "not measured" in values["refitting, 22 days ahead"]
    page = (market / journal.result("tell")["report"]).read_text()
    assert "QLIKE" in page and "22 days ahead" in page


def test_all_deliveries_are_one_series_in_time_order_whatever_their_order_of_rows(market, tmp_path):
    rows = market_prices().iloc[NUM_FIRST_DAYS - 5 : NUM_FIRST_DAYS + MONTH]  # five days are known already
    shuffled = pd.concat([rows, rows.tail(1)]).iloc[::-1]
    journal = retrain(market, write_days(tmp_path, "month_0", shuffled))
    assert journal.result("take_in")["rows"] == MONTH and journal.result("take_in")["quarantined"] == 6
    panel = pd.read_parquet(Artifacts(market / "artifacts", VERTICAL).path("prepare", PANEL_FILE))
    close = market_prices()["close"].iloc[: NUM_FIRST_DAYS + MONTH]
    np.testing.assert_allclose(panel["return_percent"], 100 * np.diff(np.log(close)), rtol=1e-6)
    assert panel["date"].is_monotonic_increasing


@pytest.mark.parametrize("num_days", [0, 3])
def test_nothing_or_next_to_nothing_new_is_kept_and_nothing_trained(market, tmp_path, num_days):
    before = champion_state(market)
    path = write_days(tmp_path, "days", month_of(0).head(num_days)) if num_days else None
    journal = retrain(market, path)
    assert journal.outcome == "kept" and journal.result("train")["kind"] == "none"
    said = "Of the 3 days since" if num_days else "No day has come since"
    assert said in journal.result("watch")["recommendation"]["reasons"][0]
    assert champion_state(market) == before and len(list_versions(market, VERTICAL)) == 1


def test_other_settings_are_trained_without_a_new_day(market):
    change_params(market, {"train.method": "ewma"})
    journal = retrain(market)
    assert journal.result("watch")["recommendation"]["action"] == "retrain"
    assert "'train' is another" in journal.result("watch")["recommendation"]["reasons"][0]
    assert journal.outcome == "promoted" and journal.result("judge")["comparisons"] == []


@pytest.mark.parametrize(("storm", "outcome", "action"), [(1.0, "kept", "no_action"), (4.0, "promoted", "retrain")])
def test_policy_of_drift_trains_where_the_forecasts_no_longer_hold(market, tmp_path, storm, outcome, action):
    """storm: the moves of every second week, times this: neither method foresees it, and Value at Risk breaks."""
    change_params(market, {"retrain.when": "drift"})
    moves = np.log(market_prices()[PRICES].iloc[NUM_FIRST_DAYS - 1 : NUM_FIRST_DAYS + 2 * MONTH])
    steps = moves["close"].diff().iloc[1:]
    wild = np.where(np.arange(len(steps)) // 5 % 2 == 1, storm, 1.0)
    close = moves["close"].iloc[0] + np.cumsum(steps * wild)
    span = moves.iloc[1:].sub(moves["close"].iloc[1:], axis=0).mul(wild, axis=0)
    days = np.exp(span.add(close, axis=0))
    # The close lies within the wilder range; the open as well.
    days["high"], days["low"] = days[["high", "open", "close"]].max(axis=1), days[["low", "open", "close"]].min(axis=1)
    days.insert(0, "date", market_prices()["date"].iloc[days.index])
    journal = retrain(market, write_days(tmp_path, "months", days))
    assert journal.result("watch")["recommendation"]["action"] == action, journal.result("watch")
    assert journal.outcome == outcome, failed_gates(journal)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda rows: rows.assign(**{name: 100.0 for name in PRICES}), "same price on 21 days"),
        (lambda rows: rows.assign(**{name: rows[name] * 100 for name in PRICES}), "like a split 100:1"),
        (lambda rows: rows.assign(**{name: rows[name] / 2 for name in PRICES}), "like a split 1:2"),
        (lambda rows: month_of(1), "More than 21 days without a row"),
    ],
    ids=["constant", "cents", "split", "gap"],
)
def test_delivery_that_is_not_believed_is_set_aside_and_the_champion_untouched(market, tmp_path, spoil, why):
    before = champion_state(market)
    journal = retrain(market, write_days(tmp_path, "month_0", spoil(month_of(0))))
    assert journal.outcome == "held" and why in journal.result("decide")["reason"]
    assert champion_state(market) == before and len(list_versions(market, VERTICAL)) == 1
    folder = market / f"data/{VERTICAL}/{DOMAIN}"
    assert [held.batch for held in held_batches(folder)] == ["month_0"] and (folder / "held/month_0.parquet").exists()
    panel = pd.read_parquet(Artifacts(market / "artifacts", VERTICAL).path("prepare", PANEL_FILE))
    assert len(panel) == NUM_FIRST_DAYS - 1


def test_delivery_that_the_import_refuses_is_held_at_the_door_and_may_come_again_corrected(market, tmp_path):
    before, data = champion_state(market), bytes_of(market / "data")
    rows = market_prices().iloc[NUM_FIRST_DAYS - 2 : NUM_FIRST_DAYS + MONTH]
    path = write_days(tmp_path, "month_0", rows.assign(close=rows["close"] * 1.001, high=rows["high"] * 1.001))
    journal = retrain(market, path)
    assert journal.outcome == "held" and "other values than in an earlier batch" in journal.result("decide")["reason"]
    assert journal.result("decide")["set_aside"] == [] and bytes_of(market / "data") == data
    assert champion_state(market) == before
    assert retrain(market, write_days(tmp_path, "month_0", rows)).outcome == "promoted"


@pytest.mark.parametrize(("num_days", "why"), [(MONTH, "standard deviation"), (10, "The scale is off")])
def test_returns_in_percent_for_fractions_are_held(returns_market, tmp_path, num_days, why):
    """Of a month the import can tell; of fewer days the watch."""
    before = champion_state(returns_market)
    begin = NUM_FIRST_DAYS
    rows = fractions().iloc[begin : begin + num_days]
    journal = retrain(returns_market, write_days(tmp_path, "days", rows.assign(move=100 * rows["move"])))
    assert journal.outcome == "held" and why in journal.result("decide")["reason"]
    assert champion_state(returns_market) == before


def test_taken_back_delivery_counts_as_looked_at(market, tmp_path, monkeypatch):
    path = write_days(tmp_path, "month_1", month_of(1))
    assert retrain(market, path).outcome == "held"
    monkeypatch.chdir(market)
    runner = CliRunner()
    assert "Is a delivery missing?" in runner.invoke(app, ["batches", "list", VERTICAL, DOMAIN]).output
    told = ["batches", "take-back", VERTICAL, DOMAIN, "month_1", "--reason", "a long strike", "--who", "owner"]
    assert runner.invoke(app, told).exit_code == 0
    journal = retrain(market)
    assert not journal.result("watch")["batch_problems"] and journal.outcome == "promoted"


def test_forecaster_of_another_scale_is_refused_and_stays_a_challenger(market, tmp_path, monkeypatch):
    def careless(vertical, root, *, to="report", **told):
        run_stages(vertical, root, to="prepare")
        path = Artifacts(root / "artifacts", vertical).path("prepare", PANEL_FILE)
        panel = pd.read_parquet(path)
        wild = {"day_variance": 100 * panel["day_variance"], "return_percent": 10 * panel["return_percent"]}
        panel.assign(**wild).to_parquet(path)
        for stage in ("train", "evaluate", "compare", "export"):
            run_stage(stage, vertical, root=root)
        panel.to_parquet(path)

    before = champion_state(market)
    monkeypatch.setattr(series_run, "reproduce", careless)
    journal = retrain(market, write_days(tmp_path, "month_0", month_of(0)))
    assert journal.outcome == "refused" and journal.result("decide")["challenger"] == "v0002"
    assert "newest forecast" in failed_gates(journal) and champion_state(market) == before


@pytest.mark.parametrize("step", ["take_in", "watch", "fit", "judge", "register_challenger", "decide"])
def test_run_that_stops_after_a_step_goes_on_and_ends_as_if_never_stopped(market, tmp_path, monkeypatch, step):
    path = write_days(tmp_path, "month_0", month_of(0))
    owner = run if hasattr(run, step) and step != "take_in" else SeriesRun
    original = getattr(owner, step)

    def stopped(*arguments, **keywords):
        original(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            retrain(market, path)
    assert unfinished_run(market, VERTICAL).run == "r0002"
    with pytest.raises(BadInputError, match="stopped"):
        retrain(market, write_days(tmp_path, "month_1", month_of(1)))
    journal = retrain(market, path)
    assert journal.run == "r0002" and journal.outcome == "promoted" and unfinished_run(market, VERTICAL) is None
    assert [version.version for version in list_versions(market, VERTICAL)] == ["v0001", "v0002"]
    assert [change.version for change in read_stages(market, VERTICAL).changes] == ["v0001", "v0002"]


def test_given_up_run_leaves_the_champion(market, tmp_path, monkeypatch):
    before = champion_state(market)
    with monkeypatch.context() as patch:
        patch.setattr(SeriesRun, "watch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            retrain(market, write_days(tmp_path, "month_0", month_of(0)))
    monkeypatch.chdir(market)
    assert "r0002 is given up" in CliRunner().invoke(app, ["retrain", VERTICAL, "--abandon"]).output
    assert champion_state(market) == before and loop.abandon(market, VERTICAL) is None


def test_dry_run_tells_and_changes_nothing(market, tmp_path, monkeypatch):
    before = {name: bytes_of(market / name) for name in ("data", "registry", "artifacts", "models")}
    monkeypatch.chdir(market)
    good = write_days(tmp_path, "month_0", month_of(0))
    told = CliRunner().invoke(app, ["retrain", VERTICAL, "--batch", str(good), "--dry-run"])
    assert told.exit_code == 0 and "22 rows of 'month_0'" in told.output and "train: pipeline" in told.output
    flat = write_days(tmp_path, "flat", month_of(0).assign(**{name: 100.0 for name in PRICES}))
    told = CliRunner().invoke(app, ["retrain", VERTICAL, "--batch", str(flat), "--dry-run"])
    assert told.exit_code == 0 and "would be set aside" in told.output
    assert {name: bytes_of(market / name) for name in before} == before


def test_champion_serves_and_goes_back_by_the_registry_commands(market, tmp_path, monkeypatch):
    monkeypatch.chdir(market)
    runner = CliRunner()
    path = write_days(tmp_path, "month_0", month_of(0))
    assert runner.invoke(app, ["retrain", VERTICAL, "--batch", str(path)]).exit_code == 0
    listed = runner.invoke(app, ["registry", "list", VERTICAL]).output.splitlines()
    assert listed[2].split()[:2] == ["v0002", "champion"] and "qlike" in listed[2]
    history = write_days(tmp_path, "history", market_prices().iloc[: NUM_FIRST_DAYS + MONTH])
    out = str(tmp_path / "outlook.csv")
    told = runner.invoke(app, ["predict", VERTICAL, str(history), "-o", out])
    assert told.exit_code == 0 and "champion v0002" in told.output and "Value at Risk 1%" in told.output
    newest = pd.read_csv(out)
    back = runner.invoke(app, ["registry", "rollback", VERTICAL, "--reason", "too wild", "--who", "ann"])
    assert back.exit_code == 0 and read_stages(market, VERTICAL).champion == "v0001"
    told = runner.invoke(app, ["predict", VERTICAL, str(history), "-o", out])
    assert "champion v0001" in told.output and not newest.equals(pd.read_csv(out))
    assert runner.invoke(app, ["registry", "archive", VERTICAL, "v0002", "--reason", "put away"]).exit_code == 0
    assert "stage: archived" in runner.invoke(app, ["registry", "show", VERTICAL, "v0002"]).output
    assert runner.invoke(app, ["registry", "promote", VERTICAL, "v0002", "--reason", "again"]).exit_code == 0
    assert read_stages(market, VERTICAL).champion == "v0002"
