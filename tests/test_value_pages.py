"""The pages of a vertical that predicts a number: with a run, without a stage, damaged, in Chinese."""

import shutil

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from small_values import NORTH
from streamlit.testing.v1 import AppTest
from value_project import NAME, known_value_vertical, write_value_project

from apps.dashboard import SERIES_VIEWS, VALUE_VIEWS, VIEWS, views_of
from apps.value_charts import coverage_table
from apps.value_form import unusual_values
from apps.value_words import p_text
from core.artifacts import read_json, write_json
from core.evaluation.intervals import wilson_interval
from core.lifecycle.users import LOWEST_ROLE
from core.regression.quantity import in_unit
from core.regression.regression_model import RegressionModel
from core.regression.value_scorer import ValueScorer
from core.vertical import load_vertical

PAGES = [name for name in VALUE_VIEWS if name.startswith("values_")]


@pytest.fixture(scope="module", autouse=True)
def vertical(tmp_path_factory):
    with known_value_vertical(tmp_path_factory.mktemp("packages")):
        yield load_vertical(NAME)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with all stages run; not to be changed."""
    return write_value_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def own_root(root, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(root, tmp_path / "own")


def run_file(root, name):
    return root / "artifacts" / NAME / name


def metric_values(test):
    return {metric.label: metric.value for metric in test.metric}


def test_views_are_chosen_by_what_a_vertical_gives(vertical):
    assert views_of(vertical) is VALUE_VIEWS and PAGES == ["values_overview", "values_score", "values_proof"]
    assert views_of(load_vertical("market_risk")) is SERIES_VIEWS
    assert views_of(load_vertical("credit_risk")) is VIEWS


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_with_a_run_shows_no_error_says_synthetic_and_unit(root, name, language):
    test = open_page(root, name, NAME, language=language)
    assert not test.exception
    assert not test.error, [element.value for element in test.error]
    told = texts_of(test)
    assert ("SYNTHETIC" if language == "en" else "合成数据") in told
    assert "EUR" in told
    assert any("\u4e00" <= letter <= "\u9fff" for letter in test.title[0].value) == (language == "zh")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("values_overview", "prepare/specs.json"),
        ("values_overview", "evaluate/metrics.json"),
        ("values_overview", "evaluate/errors_by_prediction.csv"),
        ("values_overview", "report/release_metrics.json"),
        ("values_score", "train/model"),
        ("values_proof", "train/train_metrics.json"),
        ("values_proof", "compare/ledger_metrics.json"),
        ("values_proof", "evaluate/slices.csv"),
    ],
)
def test_page_without_a_stage_names_what_is_missing_and_the_command(own_root, name, file):
    path = run_file(own_root, file)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    test = open_page(own_root, name, NAME)
    assert not test.exception and not test.error
    told = texts_of(test)
    assert f"crossdomain run {NAME}" in told
    assert ("No model was trained yet" if path.name == "model" else f"{file} of {NAME} is not there") in told


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("values_overview", "evaluate/predictions.parquet"),
        ("values_score", "train/model/regression_model.json"),
        ("values_proof", "compare/ledger_metrics.json"),
    ],
)
def test_page_with_a_damaged_file_says_which(own_root, name, file):
    run_file(own_root, file).write_bytes(b"\x00 not what it was")
    test = open_page(own_root, name, NAME)
    assert not test.exception
    assert file.rsplit("/", 1)[-1] in texts_of(test)
    assert "The cause is in the server's log" not in texts_of(test)


def test_overview_shows_metrics_with_unit_decision_and_every_gate(root):
    test = open_page(root, "values_overview", NAME)
    metrics = read_json(run_file(root, "evaluate/metrics.json"))
    release = read_json(run_file(root, "report/release_metrics.json"))
    shown = metric_values(test)
    assert shown["Mean absolute error"] == in_unit(metrics["mae"]["value"], "EUR")
    assert shown["Share inside the band"] == f"{metrics['coverage']['value']:.1%}"
    assert shown["Error saved against the training median"].startswith("+")
    told = texts_of(test)
    assert ":green-badge[release]" in told and release["decision"] == "ship"
    assert [told.count(f"**{gate['name']}**") for gate in release["gates"]] == [1] * len(release["gates"])
    band = metrics["band"]
    assert f"{band['share']:.1%}" in told and in_unit(band["below"], "EUR") in told


def test_overview_tells_gates_that_are_not_passed_and_a_missing_band(own_root):
    path = run_file(own_root, "report/release_metrics.json")
    release = read_json(path)
    gates = [{**gate, "is_passed": gate["name"] != "leakage"} for gate in release["gates"]]
    write_json(path, {**release, "decision": "hold", "gates": gates})
    path = run_file(own_root, "evaluate/metrics.json")
    without = {name: told for name, told in read_json(path).items() if name not in ("coverage", "naive")}
    write_json(path, {**without, "band": None, "naive": None})
    path = run_file(own_root, "evaluate/predictions.parquet")
    pd.read_parquet(path).assign(low=np.nan, high=np.nan).to_parquet(path)
    test = open_page(own_root, "values_overview", NAME)
    assert not test.exception and not test.error
    told = texts_of(test)
    assert ":orange-badge[hold]" in told and ":red[:material/close:] hold" in told
    assert "There is no band around the value." in told
    assert "Share inside the band" not in metric_values(test)


def test_score_by_form_shows_the_models_value_band_and_reasons(root):
    test = open_page(root, "values_score", NAME)
    assert not test.metric
    test.button[0].click().run()
    assert not test.exception and not test.error
    scorer = ValueScorer.load(run_file(root, "train/model"))
    typical = {name: str(value) for name, value in scorer.model.typical.items()}
    row = {name: values[0] for name, values in scorer.score(pd.DataFrame([typical]))[0].items()}
    shown = metric_values(test)
    assert shown[r"cost of the repair \(EUR\)"] == in_unit(row["value"], "EUR")
    assert shown["90 % band"].endswith(in_unit(row["high"], "EUR"))
    assert not [element for element in test.warning if "outside" in element.value]


def test_score_from_a_test_row_with_an_unusual_value_warns_and_tells_reasons(root):
    test = open_page(root, "values_score", NAME)
    predictions = pd.read_parquet(run_file(root, "evaluate/predictions.parquet"))
    test.selectbox(key="values_start").set_value(predictions["sample_id"][3]).run()
    test.button[0].click().run()
    assert metric_values(test)[r"cost of the repair \(EUR\)"] == in_unit(predictions["value"][3], "EUR")
    told = texts_of(test)
    assert "What moved the value most" in told and " EUR" in told and "typical" in told
    (hours,) = [field for field in test.number_input if field.label.startswith("running hours")]
    hours.set_value(99.0)
    test.button[0].click().run()
    (warning,) = [element.value for element in test.warning if "outside" in element.value]
    assert "running hours" in warning and "99" in warning


def test_unusual_values_of_missing_or_equal_to_the_ends_are_not_told(root):
    class OfRun:
        run = type("Run", (), {"find_json": staticmethod(lambda *_: {"features": FEATURES})})

        def text(self, key, **values):
            return values["name"]

    FEATURES = {"load": {"min": 1.0, "max": 2.0, "unit": "t"}, "make": {}, "dust": {"min": None, "max": None}}  # noqa: N806
    assert [unusual_values(OfRun(), {"load": load, "make": "alba", "dust": 5.0}) for load in (1.0, 2.0, None)] == [
        []
    ] * 3
    assert unusual_values(OfRun(), {"load": 2.1}) == unusual_values(OfRun(), {"load": 0.9}) == ["load (t)"]


def test_score_of_a_file_gives_the_models_values_in_order(root):
    rows = NORTH.rows(12, seed=4)[0]
    rows["load"] = rows["load"].astype(object)
    rows.loc[3, "load"] = "a lot"
    test = open_page(root, "values_score", NAME)
    test.file_uploader[0].upload("machines.csv", rows.to_csv(index=False).encode(), "text/csv").run()
    assert not test.exception and not test.error
    assert "12 scored" in texts_of(test)
    table = next(one.value for one in test.dataframe if "value" in one.value)
    expected = ValueScorer.load(run_file(root, "train/model")).score(rows.astype(str))[0]
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-8)
    assert set(table["data"]) == {"SYNTHETIC"} and set(table["unit"]) == {"EUR"}
    assert "a lot" in table["problems"].iloc[3]


def test_score_of_a_file_without_a_column_says_which(root):
    rows = NORTH.rows(3, seed=4)[0].drop(columns="load")
    test = open_page(root, "values_score", NAME)
    test.file_uploader[0].upload("machines.csv", rows.to_csv(index=False).encode(), "text/csv").run()
    assert not test.exception and "load" in test.error[0].value


def test_score_is_refused_to_roles_that_may_not(root, monkeypatch):
    monkeypatch.setitem(LOWEST_ROLE, "score", "owner")
    viewer = open_page(root, "values_score", NAME, role="viewer")
    assert not viewer.button and not viewer.file_uploader and "does not allow" in texts_of(viewer)


def test_score_hides_personal_values_of_test_rows_from_all_but_owners(root):
    shown = {}
    for role in ("owner", "labeller"):
        test = open_page(root, "values_score", NAME, role=role)
        test.selectbox(key="values_start").set_value("north/300").run()
        (shown[role],) = [box.value for box in test.selectbox if box.label.startswith("operator sex")]
    assert shown == {"owner": shown["owner"], "labeller": None} and shown["owner"] in {"f", "m"}


def test_proof_tells_verdicts_by_budget_with_p_after_holm(root):
    ledger = read_json(run_file(root, "compare/ledger_metrics.json"))
    test = open_page(root, "values_proof", NAME)
    told = texts_of(test)
    own = [entry for entry in ledger["entries"] if entry["method"] == "source_offset"]
    assert len(own) == 2
    for entry in own:
        badge = {"gain": "green", "no difference": "gray", "negative transfer": "red"}[entry["verdict"]]
        assert f"- {entry['budget']} labels: :{badge}-badge[{entry['verdict']}]" in told
        assert f"p after Holm {p_text(entry['p_adjusted'])}" in told
    is_chance = [entry["p_adjusted"] >= 0.05 and entry["verdict"] != "no difference" for entry in own]
    assert told.count("It does not survive the correction") == sum(is_chance) == 2  # 200 resamples, six comparisons
    table = test.dataframe[0].value
    assert len(table) == len(ledger["entries"]) and "Mean absolute error (EUR)" in table
    assert table["verdict"].tolist() == [entry["verdict"] for entry in ledger["entries"]]
    is_baseline = table["verdict"] == "baseline"
    assert set(table["p_adjusted"][is_baseline]) == {"–"} and "–" not in set(table["p_adjusted"][~is_baseline])
    assert "No difference beyond chance among the 2 groups" in told


def test_proof_flags_groups_that_differ_and_marks_protected_ones(own_root):
    path = run_file(own_root, "evaluate/slices.csv")
    slices = pd.read_csv(path)
    slices["flagged_gaps"] = ["mean_error, mae", None]
    slices["is_flagged"] = [True, False]
    slices.to_csv(path, index=False)
    test = open_page(own_root, "values_proof", NAME)
    (flag,) = [element.value for element in test.warning if "differs" in element.value]
    assert (
        rf"operator\_sex = {slices['value'][0]} \(protected attribute\)" in flag
        and "Mean error, Mean absolute error" in flag
    )
    assert "No difference beyond chance" not in texts_of(test)
    table = test.dataframe[1].value
    assert len(table) == 2 and "EUR" in "".join(table.columns)


def test_card_of_the_overview_has_unit_interval_and_verdict(root):
    test = AppTest.from_function(_draw_card, args=(str(root), NAME), default_timeout=60).run()
    assert not test.exception
    metrics = read_json(run_file(root, "evaluate/metrics.json"))
    assert metric_values(test) == {"Mean absolute error": in_unit(metrics["mae"]["value"], "EUR")}
    told = texts_of(test)
    assert "source_offset · ridge" in told and "south" in told and "all labels: :" in told


def _draw_card(root, name):
    from pathlib import Path

    from apps.page import Page, Visitor
    from apps.value_card import show_value_card

    page = Page("overview", Path(root), name, Visitor("ann", "owner"), "en")
    run = page.run
    show_value_card(
        page,
        run.read_json("train", "train_metrics.json"),
        run.read_json("evaluate", "metrics.json"),
        run.read_json("compare", "ledger_metrics.json"),
    )


def test_coverage_table_counts_rows_inside_by_bin():
    known = pd.DataFrame({"value": np.arange(40.0), "truth": np.arange(40.0)})
    known["low"], known["high"] = known["value"] - 1, known["value"] + 1
    known.loc[[0, 1, 39], "truth"] += [5.0, -5.0, 1.0]  # the last stands on the end of its band
    table = coverage_table(known, num_bins=4, confidence=0.95)
    assert table["rows"].tolist() == [10] * 4 and table["share"].tolist() == [0.8, 1.0, 1.0, 1.0]
    assert (table["low"][0], table["high"][0]) == pytest.approx(wilson_interval(8, 10, 0.95))
    assert table["mean_value"].tolist() == [4.5, 14.5, 24.5, 34.5]


@pytest.mark.parametrize(
    ("p_value", "text"), [(None, "–"), (float("nan"), "–"), (0.0, "< 0.001"), (0.001, "0.001"), (0.0344, "0.034")]
)
def test_p_text(p_value, text):
    assert p_text(p_value) == text


def test_shared_model_answers_as_the_model(root):
    from apps.value_models import SharedRegressionModel

    model = RegressionModel.load(run_file(root, "train/model"))
    scorer = ValueScorer(SharedRegressionModel.of(model))
    rows = NORTH.rows(5, seed=4)[0].astype(str)
    shared, own = scorer.score(rows)[0], ValueScorer(model).score(rows)[0]
    assert {name: values.tolist() for name, values in shared.items()} == {n: v.tolist() for n, v in own.items()}
