"""The five stages of a vertical that predicts a number, on a prepared folder with a planted mechanism."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from small_values import USELESS, VERTICAL, edit_table, value_params, write_prepared

from core.artifacts import Artifacts, read_json, write_json
from core.errors import BadInputError, BadParamsError, VerificationError
from core.model_manifest import model_files
from core.regression.intervals import bootstrap_value_interval
from core.regression.metrics import REGRESSION_METRICS
from core.regression.naive_gain import naive_gain
from core.regression.predicted_rows import PredictedRows
from core.regression.regression_model import RegressionModel
from core.regression.transfer import REGRESSION_TRANSFERS
from core.stages.value_compare import value_compare
from core.stages.value_evaluate import value_evaluate
from core.stages.value_export import relative_difference, value_export
from core.stages.value_report import value_report
from core.stages.value_train import value_train

PARAMS = value_params()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All five stages; not to be changed."""
    artifacts = write_prepared(tmp_path_factory.mktemp("values"))
    for stage in (value_train, value_evaluate, value_compare, value_export, value_report):
        stage(VERTICAL, PARAMS, artifacts, seed=0)
    return artifacts


@pytest.fixture
def own_run(run, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(run.root, tmp_path / "own")
    return Artifacts(tmp_path / "own", run.vertical)


def trained(artifacts, params=PARAMS):
    """The bytes of the model that `value_train` makes, by file."""
    value_train(VERTICAL, params, artifacts, seed=0)
    folder = artifacts.path("train", "model")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in model_files(folder)}


def test_train_saves_a_model_with_unit_band_and_provenance(run):
    model = RegressionModel.load(run.path("train", "model"))
    told = read_json(run.path("train", "train_metrics.json"))
    assert model.unit == "EUR" and model.band.num_units == 60 and model.band.below == model.band.above > 0
    assert model.provenance["source_domains"] == ["south"] and model.provenance["params"]["train"]["seed"] == 0
    assert told["rows"]["train"] == {"rows": 240, "labelled": 40} and "test" not in told["rows"]
    assert told["band_note"] == "90 % band from 60 labelled validation rows"
    assert told["label_units"] == {"north": "EUR", "south": "USD"}
    assert set(told["validation"]) == {"mae", "rmse", "r2", "median_absolute_error", "mean_error"}
    assert list(pd.read_csv(run.path("train", "learning_curve.csv"))) == ["step", "loss"]
    assert read_json(run.path("train", "feature_ranges.json"))["rows"] == 240


def test_train_does_not_open_test_rows(tmp_path):
    clean = trained(write_prepared(tmp_path / "clean"))
    artifacts = write_prepared(tmp_path / "poisoned")
    is_test = (
        pd.read_parquet(artifacts.path("prepare", "manifest.parquet")).query("domain == 'north'")["split"] == "test"
    )

    def poison(table):
        table.loc[table["split"] == "test", "label"] = 1e9

    def poison_columns(table):
        table.loc[is_test.to_numpy(), "load"] = -1e9
        table.loc[is_test.to_numpy(), "make"] = "an unknown make"

    edit_table(artifacts.path("prepare", "manifest.parquet"), poison)
    edit_table(artifacts.path("prepare", "columns/columns_north.parquet"), poison_columns)
    assert trained(artifacts) == clean


def test_train_does_not_read_masked_labels(tmp_path):
    clean = trained(write_prepared(tmp_path / "clean"))
    artifacts = write_prepared(tmp_path / "poisoned")
    # the typed label, as a prepare that kept it would have left it there
    edit_table(artifacts.path("prepare", "columns/columns_north.parquet"), lambda t: t.insert(0, "cost", 1e9))
    assert trained(artifacts) == clean
    told = read_json(artifacts.path("train", "train_metrics.json"))
    assert told["rows"]["train"]["labelled"] == 40


def test_train_regressor_does_not_stop_early_on_the_rows_of_the_band(tmp_path):
    trees = {"num_rounds": 40, "early_stopping_rounds": 3, "learning_rate": 0.3}
    train = {"transfer": "target_only", "regressor": "boosted_trees", "regressor_options": {"boosted_trees": trees}}
    params, many = value_params(train=train), {"valid": 220}
    clean = trained(write_prepared(tmp_path / "clean", num_by_split=many), params)
    artifacts = write_prepared(tmp_path / "poisoned", num_by_split=many)

    def poison(table):
        table.loc[(table["split"] == "valid") & (table["domain"] == "north"), "label"] += 1e6

    edit_table(artifacts.path("prepare", "manifest.parquet"), poison)
    changed = {name for name, content in trained(artifacts, params).items() if content != clean[name]}
    assert changed == {"regression_model.json", "manifest.json"}  # the band, and its checksum
    assert RegressionModel.load(artifacts.path("train", "model")).band.above > 1e5
    assert len(pd.read_csv(artifacts.path("train", "learning_curve.csv"))) > 1


@pytest.mark.parametrize("transfer", sorted(REGRESSION_TRANSFERS))
def test_train_fits_every_transfer(tmp_path, transfer):
    artifacts = write_prepared(tmp_path, num_by_split={"train": 220})
    value_train(VERTICAL, value_params(train={"transfer": transfer}), artifacts, seed=0)
    told = read_json(artifacts.path("train", "train_metrics.json"))
    assert told["transfer"] == transfer and told["validation"]["mae"] > 0
    assert bool(told["selection"]) == (transfer == "auto")


def test_train_of_groups_takes_whole_groups_for_the_band(tmp_path):
    artifacts = write_prepared(tmp_path, group_size=3)
    value_train(VERTICAL, PARAMS, artifacts, seed=0)
    assert RegressionModel.load(artifacts.path("train", "model")).band.num_units == 20
    assert read_json(artifacts.path("train", "train_metrics.json"))["band_note"].endswith(
        "20 labelled validation groups"
    )
    value_evaluate(VERTICAL, PARAMS, artifacts, seed=0)
    metrics = read_json(artifacts.path("evaluate", "metrics.json"))
    assert metrics["groups"] == metrics["band"]["num_units"] == 65 and metrics["band"]["units"] == "groups"
    rows = pd.read_parquet(artifacts.path("evaluate", "predictions.parquet")).dropna()
    groups = pd.read_parquet(artifacts.path("prepare", "manifest.parquet")).set_index("sample_id")["group"]
    predicted = PredictedRows.checked(rows["truth"], rows["value"])
    by_group = {"num_bootstrap": 200, "groups": groups[rows["sample_id"]].to_numpy()}
    wanted = naive_gain(predicted, metrics["naive"]["value"], **by_group)["gain"]
    assert metrics["naive"]["gain"] == pytest.approx(wanted)
    interval = bootstrap_value_interval(REGRESSION_METRICS["mae"], predicted, **by_group)
    assert (metrics["mae"]["low"], metrics["mae"]["high"]) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(
    ("num_valid", "is_symmetric", "needed"), [(8, True, None), (9, True, 9), (18, False, None), (19, False, 19)]
)
def test_train_with_few_validation_rows_makes_no_band_and_says_so(tmp_path, num_valid, is_symmetric, needed):
    artifacts = write_prepared(tmp_path, num_by_split={"valid": num_valid})
    value_train(VERTICAL, value_params(train={"is_band_symmetric": is_symmetric}), artifacts, seed=0)
    band = RegressionModel.load(artifacts.path("train", "model")).band
    note = read_json(artifacts.path("train", "train_metrics.json"))["band_note"]
    if needed:
        assert band.num_units == needed and np.isfinite([band.below, band.above]).all()
    else:
        limit = 9 if is_symmetric else 19
        assert band is None
        assert note == f"no band: {num_valid} labelled validation rows, and a band of error rate 0.1 needs {limit}"


def test_run_without_a_band_is_held_and_its_report_says_so(own_run, tmp_path):
    prepared = write_prepared(tmp_path / "few", num_by_split={"valid": 5})
    shutil.copytree(prepared.path("prepare"), own_run.path("prepare"), dirs_exist_ok=True)
    for stage in (value_train, value_evaluate, value_export, value_report):
        stage(VERTICAL, PARAMS, own_run, seed=0)
    metrics = read_json(own_run.path("evaluate", "metrics.json"))
    assert metrics["band"] is None and "coverage" not in metrics and "interval_score" not in metrics
    assert pd.read_parquet(own_run.path("evaluate", "predictions.parquet"))[["low", "high"]].isna().all(axis=None)
    assert read_json(own_run.path("export", "export_metrics.json"))["is_equal"]
    release = read_json(own_run.path("report", "release_metrics.json"))
    assert release["decision"] == "hold"
    assert "no band: 5 labelled validation rows" in own_run.path("report", "report.html").read_text()


def test_evaluate_writes_a_row_a_test_row_and_its_metrics(run):
    table = pd.read_parquet(run.path("evaluate", "predictions.parquet"))
    metrics = read_json(run.path("evaluate", "metrics.json"))
    assert list(table) == ["sample_id", "domain", "truth", "value", "low", "high"]
    assert len(table) == 200 and table["truth"].isna().sum() == 5 and metrics["rows"] == 195
    known = table.dropna()
    error = known["value"] - known["truth"]
    assert metrics["mae"]["value"] == pytest.approx(error.abs().mean())
    assert metrics["rmse"]["value"] == pytest.approx(np.sqrt((error**2).mean()))
    assert metrics["mean_error"]["value"] == pytest.approx(error.mean())
    is_inside = known["truth"].between(known["low"], known["high"])
    assert metrics["coverage"]["value"] == metrics["band"]["share"] == pytest.approx(is_inside.mean())
    for name in ("mae", "rmse", "r2", "median_absolute_error", "coverage", "band_width", "interval_score"):
        assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"]
    assert metrics["unit"] == "EUR" and metrics["truth"]["max"] == pytest.approx(known["truth"].max())
    assert len(pd.read_parquet(run.path("evaluate", "valid_predictions.parquet"))) == 60


def test_evaluate_sets_the_model_against_the_training_median(run):
    metrics = read_json(run.path("evaluate", "metrics.json"))
    manifest = pd.read_parquet(run.path("prepare", "manifest.parquet"))
    train = manifest[(manifest["domain"] == "north") & (manifest["split"] == "train")]["label"].dropna()
    table = pd.read_parquet(run.path("evaluate", "predictions.parquet")).dropna()
    median = np.sort(train)[len(train) // 2 - 1]  # the lower one of both in the middle
    errors = [abs(median - truth) for truth in table["truth"]]
    assert metrics["naive"]["value"] == pytest.approx(median)
    assert metrics["naive"]["mae"]["value"] == pytest.approx(sum(errors) / len(errors))
    assert metrics["naive"]["gain"]["value"] == pytest.approx(sum(errors) / len(errors) - metrics["mae"]["value"])
    assert 0 < metrics["naive"]["gain"]["low"] < metrics["naive"]["gain"]["value"] < metrics["naive"]["gain"]["high"]


def test_evaluate_writes_slices_errors_and_contributions(run):
    slices = pd.read_csv(run.path("evaluate", "slices.csv"))
    assert slices["attribute"].tolist() == ["operator_sex"] * 2 and slices["rows"].sum() == 195
    bins = pd.read_csv(run.path("evaluate", "errors_by_prediction.csv"))
    assert len(bins) == 10 and bins["rows"].sum() == 195 and bins["mean_value"].is_monotonic_increasing
    contributions = pd.read_csv(run.path("evaluate", "contributions.csv"))
    assert contributions["feature"].tolist()[:2] == ["running_hours", "age_years"]  # the largest planted slopes
    assert contributions["mean_absolute"].is_monotonic_decreasing and len(contributions) == 10


def test_evaluate_slice_that_is_wrongly_predicted_is_flagged_and_held(own_run):
    manifest = pd.read_parquet(own_run.path("prepare", "manifest.parquet"))
    is_wrong = (manifest["split"] == "test") & (manifest["slice_operator_sex"] == "f")
    edit_table(
        own_run.path("prepare", "manifest.parquet"),
        lambda t: t.update({"label": t["label"].where(~is_wrong, t["label"] + 500)}),
    )
    value_evaluate(VERTICAL, PARAMS, own_run, seed=0)
    value_report(VERTICAL, PARAMS, own_run, seed=0)
    gates = {gate["name"]: gate for gate in read_json(own_run.path("report", "release_metrics.json"))["gates"]}
    assert not gates["protected groups"]["is_passed"] and gates["protected groups"]["consequence"] == "hold"
    assert "operator_sex = f" in gates["protected groups"]["value"]
    assert not gates["band coverage"]["is_passed"]


def test_evaluate_without_a_test_label_is_refused(own_run):
    def remove(table):
        table.loc[table["split"] == "test", "label"] = np.nan

    edit_table(own_run.path("prepare", "manifest.parquet"), remove)
    with pytest.raises(BadInputError, match="None of the 200 test rows of 'north' has a label"):
        value_evaluate(VERTICAL, PARAMS, own_run, seed=0)


def test_evaluate_of_equal_true_values_leaves_r_squared_out(own_run):
    def level(table):
        table.loc[(table["split"] == "test") & table["label"].notna(), "label"] = 4000.0

    edit_table(own_run.path("prepare", "manifest.parquet"), level)
    value_evaluate(VERTICAL, PARAMS, own_run, seed=0)
    metrics = read_json(own_run.path("evaluate", "metrics.json"))
    assert "r2" not in metrics and metrics["mae"]["value"] > 0
    value_report(VERTICAL, PARAMS, own_run, seed=0)


def entries(artifacts):
    ledger = read_json(artifacts.path("compare", "ledger_metrics.json"))
    return {(entry["method"], entry["budget"]): entry for entry in ledger["entries"]}


def test_compare_planted_mechanism_gains_with_few_labels(run):
    found = entries(run)
    assert set(found) == {(m, b) for m in PARAMS.compare.methods for b in (25, "all")}
    assert found["source_offset", 25]["verdict"] == "gain" and found["source_offset", 25]["draws"] == 3
    assert found["source_offset", 25]["difference"] > 0.15 * found["target_only", 25]["mean"]
    assert found["target_only:median", 25]["verdict"] == "negative transfer"
    ledger = read_json(run.path("compare", "ledger_metrics.json"))
    assert (ledger["metric_title"], ledger["metric_unit"]) == ("Mean absolute error (EUR)", "EUR")
    assert len(ledger["runs"]) == 4 * 3 + 4 and run.path("compare", "ledger.png").stat().st_size > 10_000
    assert len(pd.read_csv(run.path("compare", "ledger.csv"))) == 8


def test_compare_useless_source_does_not_gain_and_raw_source_values_lose(tmp_path, capsys):
    artifacts = write_prepared(tmp_path, source=USELESS)
    methods = ["target_only", "source_only", "source_offset"]
    value_compare(VERTICAL, value_params(compare={"methods": methods}), artifacts, seed=0)
    found = entries(artifacts)
    assert {found["source_offset", budget]["verdict"] for budget in (25, "all")} <= {
        "no difference",
        "negative transfer",
    }
    assert {found["source_only", budget]["verdict"] for budget in (25, "all")} == {"negative transfer"}
    assert "compare: 12/12 source_offset at all labels, draw 0" in capsys.readouterr().out


def test_compare_does_not_hand_on_test_labels_and_gives_all_methods_the_same(own_run, monkeypatch):
    seen = []
    for name in ("target_only", "source_offset"):
        kind = REGRESSION_TRANSFERS[name]

        def spy(self, task, fit=kind.fit, name=name):
            fitted = fit(self, task)
            seen.append((name, task))
            predict = fitted.predict
            monkeypatch.setattr(fitted, "predict", lambda rows: (_refuse_labels(rows), predict(rows))[1])
            return fitted

        monkeypatch.setattr(kind, "fit", spy)
    params = value_params(compare={"methods": ["target_only", "source_offset"], "budgets": [0, 25], "num_draws": 2})
    value_compare(VERTICAL, params, own_run, seed=0)
    by_method = {
        name: [task.target.labels for other, task in seen if other == name] for name in ("target_only", "source_offset")
    }
    assert len(by_method["target_only"]) == 2  # none at 0 labels
    for ours, theirs in zip(*by_method.values(), strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True) and (~np.isnan(ours)).sum() == 25
    assert not np.array_equal(*by_method["target_only"], equal_nan=True)


def _refuse_labels(rows):
    assert rows.num_labelled == 0, "a test label was handed on"


def test_compare_budget_that_no_method_can_learn_from_is_refused_before_any_fit(own_run):
    with pytest.raises(BadParamsError, match=r"1 labels, draw 0, hold 1 different label.*Raise the budget"):
        value_compare(VERTICAL, value_params(compare={"budgets": [25, 1]}), own_run, seed=0)


def test_export_files_predict_the_same_without_labels(run, tmp_path):
    told = read_json(run.path("export", "export_metrics.json"))
    assert told["is_equal"] and told["rows_compared"] == 200 and told["rows_compared_one_by_one"] == 30
    assert told["format"] == "json" and told["one_row_ms"] > 0 and told["unit"] == "EUR"
    files = shutil.copytree(run.path("export", "files"), tmp_path / "elsewhere")
    assert RegressionModel.load(files).unit == "EUR"
    text = (files / "regressor/source_offset.json").read_text()
    (files / "regressor/source_offset.json").write_text(text.replace('"offset": ', '"offset": 1'))
    with pytest.raises(VerificationError):
        RegressionModel.load(files)


@pytest.mark.parametrize("is_wrong", [lambda rows: len(rows) > 1, lambda rows: len(rows) == 1])
def test_export_that_predicts_otherwise_in_batch_or_singly_is_not_equal_and_refused(own_run, monkeypatch, is_wrong):
    load = RegressionModel.load.__func__

    def changed(cls, folder):
        model = load(cls, folder)
        if folder.name == "files":
            predict = model.regressor.predict
            model.regressor.predict = lambda rows: predict(rows) + 0.1 * is_wrong(rows)
        return model

    monkeypatch.setattr(RegressionModel, "load", classmethod(changed))
    value_export(VERTICAL, PARAMS, own_run, seed=0)
    monkeypatch.undo()
    told = read_json(own_run.path("export", "export_metrics.json"))
    assert not told["is_equal"] and 1e-5 < told["largest_relative_difference"] < 1e-4
    value_report(VERTICAL, PARAMS, own_run, seed=0)
    assert read_json(own_run.path("report", "release_metrics.json"))["decision"] == "refuse"


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ([100.0, 200.0], [100.0, 200.0], 0.0),
        ([100.0, 200.0, 200.0], [100.0, 202.0, 200.0], 0.01),
        ([0.0, 100.0, 100.0], [1.0, 100.0, 100.0], 0.01),  # near zero: against the median size
        ([np.nan, 100.0], [np.nan, 101.0], 0.01),
        ([np.nan, 100.0], [1.0, 100.0], np.inf),
        ([np.nan], [np.nan], 0.0),
    ],
)
def test_relative_difference_is_measured_at_the_size_of_the_values(wanted, found, expected):
    assert relative_difference(np.array(wanted), np.array(found)) == pytest.approx(expected)


def test_report_is_one_file_that_says_synthetic_unit_and_shows_its_figures(run):
    page = run.path("report", "report.html").read_text()
    assert "SYNTHETIC DATA" in page and page.count("data:image/png;base64,") == 3
    assert not re.search(r'(src|href)="https?:', page)
    metrics = read_json(run.path("evaluate", "metrics.json"))
    assert f"{metrics['mae']['value']:.1f} EUR" in page and "Demo AG: Repair costs, Plant North" in page
    titles = ("How good is it?", "Did transfer help?", "How far off may it be?", "For whom does it work?",
              "What is the model?", "What went in?", "What runs elsewhere?")  # fmt: skip
    assert [page.count(f"<h2>{title}</h2>") for title in titles] == [1] * 7
    assert "Mean absolute error (EUR)" in page and "running hours" in page and "south (USD)" in page
    card = run.path("report", "MODEL_CARD.md").read_text()
    assert "SYNTHETIC" in card and "Plan the yearly repair budget" in card and "EUR" in card
    assert read_json(run.path("report", "release_metrics.json"))["decision"] == "ship"


def test_report_of_auto_names_its_choice_and_candidates(own_run):
    params = value_params(train={"transfer": "auto", "candidates": ["source_offset"]})
    for stage in (value_train, value_report):
        stage(VERTICAL, params, own_run, seed=0)
    page = own_run.path("report", "report.html").read_text()
    assert "Transfer auto (chosen: source_offset)" in page and "held-out RMSE (EUR)" in page


def test_report_without_slices_says_that_none_was_examined(own_run):
    path = own_run.path("prepare", "manifest.parquet")
    edit_table(path, lambda table: table.pop("slice_operator_sex"))
    value_evaluate(VERTICAL, PARAMS, own_run, seed=0)
    value_report(VERTICAL, PARAMS, own_run, seed=0)
    assert pd.read_csv(own_run.path("evaluate", "slices.csv")).empty
    gates = {gate["name"]: gate for gate in read_json(own_run.path("report", "release_metrics.json"))["gates"]}
    assert gates["protected groups"]["value"] == "no group to judge" and gates["protected groups"]["is_passed"]


def test_report_of_a_source_model_without_target_labels_has_no_naive_rival_and_is_held(own_run, tmp_path):
    prepared = write_prepared(tmp_path / "unlabelled", num_masked=240, num_by_split={"valid": 0})
    shutil.copytree(prepared.path("prepare"), own_run.path("prepare"), dirs_exist_ok=True)
    for stage in (value_train, value_evaluate, value_report):
        stage(VERTICAL, value_params(train={"transfer": "source_only"}), own_run, seed=0)
    assert read_json(own_run.path("evaluate", "metrics.json"))["naive"] is None
    assert pd.read_parquet(own_run.path("evaluate", "valid_predictions.parquet")).empty
    gates = {gate["name"]: gate for gate in read_json(own_run.path("report", "release_metrics.json"))["gates"]}
    assert gates["better than the median"]["value"] == "no target training label"
    assert not gates["better than the median"]["is_passed"] and not gates["transfer"]["is_passed"]


def test_report_of_a_feature_that_may_leak_is_held(own_run):
    told = read_json(own_run.path("prepare", "data_report.json"))
    suspects = [{"column": name, "is_strong": True, "reason": "decides", "number": 1.0} for name in ("load", "gone")]
    write_json(own_run.path("prepare", "data_report.json"), {**told, "leakage_suspects": suspects})
    value_report(VERTICAL, PARAMS, own_run, seed=0)
    gates = {gate["name"]: gate for gate in read_json(own_run.path("report", "release_metrics.json"))["gates"]}
    assert (gates["leakage"]["value"], gates["leakage"]["is_passed"]) == ("load", False)
