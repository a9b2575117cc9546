"""The retraining loop of a predicted number: promoted, kept, held, refused; resumed after a stop; the way back."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from loop_yard import DOMAIN, PARAMS, VERTICAL, known_yard, make_yard, month_rows, retrain, without_dvc, write_month
from project_copy import git

from core.artifacts import read_json
from core.data.held_batches import held_batches
from core.errors import BadParamsError
from core.lifecycle.registry import champion_folder, list_versions, read_stages, rollback
from core.lifecycle.retrain import run
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.gates import promotion_gates
from core.lifecycle.retrain.journal import unfinished_run
from core.lifecycle.retrain.rehearsal import rehearse
from core.params import parse_section, set_params
from core.regression.params import RegressionParams
from core.regression.predicted_rows import PredictedRows
from core.regression.regression_model import RegressionModel
from core.regression.retrain.value_comparisons import compare_values
from core.regression.retrain.value_retrain_params import ValueGateLimits
from core.regression.retrain.value_run import ValueRun, learns_unlabelled
from core.regression.retrain.value_watching import recommend_values


@pytest.fixture(scope="module", autouse=True)
def _vertical(tmp_path_factory):
    with known_yard(tmp_path_factory.mktemp("packages")):
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A yard after its first promotion, not to be changed."""
    return make_yard(tmp_path_factory.mktemp("yard") / "project")


@pytest.fixture
def yard(first, tmp_path, monkeypatch):
    """A copy of it; the loop runs without DVC."""
    shutil.copytree(first, tmp_path / "project")
    without_dvc(monkeypatch)
    return tmp_path / "project"


def champion_error(root, month, **told):
    """Mean absolute error of the model in service on a month that nobody has touched."""
    from core.regression.value_scorer import ValueScorer

    rows = month_rows(month, **told)
    scorer = ValueScorer.load(champion_folder(root, VERTICAL))
    columns, _ = scorer.score(rows.drop(columns="cost").astype(str).astype(object))
    return float(np.mean(np.abs(columns["value"] - rows["cost"])))


def always(root):
    set_params(root / "params.yaml", {f"{VERTICAL}.retrain.when": "always"}, RegressionParams)
    git(root, "commit", "-qam", "always")


def test_first_run_promotes_with_lineage_and_report(first):
    (version,) = list_versions(first, VERTICAL)
    assert read_stages(first, VERTICAL).champion == "v0001" == version.version
    assert version.lineage.batches[DOMAIN] == ["initial", "start"]
    assert 30 < version.metrics["mae"]["value"] < 60 and set(version.metrics) == {"mae", "rmse", "coverage"}
    model = RegressionModel.load(champion_folder(first, VERTICAL))
    assert model.learned is not None and model.learned.contains(np.array([f"{DOMAIN}/m000_0000"])).shape == (1,)
    page = (first / f"artifacts/{VERTICAL}/retrain/r0001/report.html").read_text(encoding="utf-8")
    assert "Repair yard" in page and "is the new champion" in page


def test_usual_month_changes_nothing(yard, tmp_path):
    journal = retrain(yard, write_month(tmp_path, 8))
    assert journal.outcome == "kept" and "No test alarms" in journal.result("decide")["reason"]
    report = journal.result("watch")["reports"][0]["report"]
    assert {test["name"] for test in report["tests"]} >= {"hours", "predicted value", "absolute error", "mean error"}
    told = report["performance"]["observed"]
    assert told["mae"]["low"] < told["mae"]["value"] < told["mae"]["high"] and told["num_rows"] > 100
    page = (yard / f"artifacts/{VERTICAL}/retrain/r0002/report.html").read_text(encoding="utf-8")
    assert "Mean absolute error" in page


def test_dearer_hours_ask_for_training_and_the_new_model_errs_less(yard, tmp_path):
    before = champion_error(yard, 40, slope=75.0)
    for month in (8, 9):
        journal = retrain(yard, write_month(tmp_path, month, slope=75.0))
    reasons = " ".join(journal.result("watch")["recommendation"]["reasons"])
    assert "absolute error" in reasons and "mean error" in reasons
    assert (
        journal.outcome == "promoted" and read_stages(yard, VERTICAL).champion == journal.result("decide")["champion"]
    )
    assert champion_error(yard, 40, slope=75.0) < before - 5  # it has learned from one of the dear months
    gates = {gate["name"]: gate for gate in journal.result("judge")["gates"]}
    assert gates["fresh hold-out: Mean absolute error"]["is_passed"]
    assert gates["regression set: Mean absolute error"] and gates["latency"]["is_passed"]
    assert [one["metric"] for one in journal.result("judge")["comparisons"]][:2] == ["mae", "interval_score"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.assign(cost=100 * rows["cost"]), "in another unit"),
        (lambda rows: rows.assign(cost=np.roll(rows["cost"], 1) + 900.0), "beside the wrong rows"),
        (lambda rows: rows.assign(hours=60 * rows["hours"]), "unlike anything in the reference"),
        (lambda rows: rows.assign(hours=None), "No value at all in: hours"),
    ],
)
def test_delivery_that_is_not_to_be_believed_is_set_aside(yard, tmp_path, change, words):
    journal = retrain(yard, write_month(tmp_path, 8, change(month_rows(8))))
    assert journal.outcome == "held" and words in journal.result("decide")["reason"]
    assert [held.batch for held in held_batches(yard / "data" / VERTICAL / DOMAIN)] == ["month_008"]
    assert read_stages(yard, VERTICAL).champion == "v0001" and len(list_versions(yard, VERTICAL)) == 1


def test_rows_without_labels_do_not_train_the_same_labels_again(yard, tmp_path):
    rows = month_rows(8, shift=0.8).assign(cost=None)
    journal = retrain(yard, write_month(tmp_path, 8, rows))
    assert journal.result("watch")["recommendation"]["action"] == "adapt"
    assert journal.outcome == "held" and journal.result("train")["kind"] == "labels needed"


def test_with_every_delivery_and_back(yard, tmp_path):
    always(yard)
    assert retrain(yard, write_month(tmp_path, 8)).outcome == "promoted"
    assert read_stages(yard, VERTICAL).champion == "v0002"
    rollback(yard, VERTICAL, who="owner", reason="a look first")
    assert read_stages(yard, VERTICAL).champion == "v0001"


def test_code_that_is_in_no_commit_holds(yard, tmp_path):
    set_params(yard / "params.yaml", {f"{VERTICAL}.retrain.when": "always"}, RegressionParams)
    journal = retrain(yard, write_month(tmp_path, 8))
    assert journal.outcome == "held" and "code" in journal.result("decide")["reason"]


@pytest.mark.parametrize("step", ["watch", "fit", "judge", "register_challenger"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_run_that_stops_goes_on_there(yard, tmp_path, monkeypatch, step, when):
    always(yard)
    path, owner = write_month(tmp_path, 8), run if hasattr(run, step) else ValueRun
    original = getattr(owner, step)

    def stopped(*arguments, **keywords):
        if when == "after":
            original(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            retrain(yard, path)
    assert unfinished_run(yard, VERTICAL).run == "r0002"
    assert retrain(yard, path).outcome == "promoted" and unfinished_run(yard, VERTICAL) is None
    assert [version.version for version in list_versions(yard, VERTICAL)] == ["v0001", "v0002"]


def test_rehearsal_says_what_would_be_done_and_changes_nothing(yard, tmp_path):
    lines = "\n".join(rehearse(yard, VERTICAL, BatchSource(write_month(tmp_path, 8), "month_008", DOMAIN)))
    assert "120 rows of 'month_008'" in lines and "watch: no_action" in lines and "train: nothing" in lines
    assert not (yard / "data" / VERTICAL / DOMAIN / "rows" / "month_008.parquet").exists()
    assert unfinished_run(yard, VERTICAL) is None


def sides(num_rows=400, *, worse=0.0, seed=0):
    """Champion and challenger on the same rows; worse: what the challenger errs more, in units of the label."""
    random = np.random.default_rng(seed)
    truth = random.normal(100, 20, num_rows)
    error = random.normal(0, 5, num_rows)
    values = {"champion": truth + error, "challenger": truth + error + worse * np.sign(error)}
    rows = {
        name: PredictedRows.checked(truth, value, value - 8, value + 8, error_rate=0.1)
        for name, value in values.items()
    }
    return rows, np.arange(num_rows).astype(str)


def compared(limits=ValueGateLimits(), slices=None, **told):  # noqa: B008
    rows, groups = sides(**told)
    slices = pd.DataFrame(index=range(len(groups))) if slices is None else slices
    return compare_values("fresh hold-out", rows, groups, slices, limits, metric="mae", seed=0)


def test_comparison_is_the_difference_of_the_errors():
    rows, _ = sides(worse=1.0)
    mae, score = compared(worse=1.0)
    wanted = [np.abs(rows[name].error).mean() for name in ("champion", "challenger")]
    assert (mae.champion, mae.challenger) == pytest.approx(wanted) and mae.difference == pytest.approx(-1.0)
    assert mae.low == pytest.approx(-1.0) and mae.high == pytest.approx(-1.0)  # each row errs by 1 more
    assert score.metric == "interval_score" and score.difference < 0


@pytest.mark.parametrize(("worse", "passes", "consequence"), [(0.0, True, "refuse"), (0.5, False, "refuse")])
def test_gate_refuses_what_errs_more_beyond_chance(worse, passes, consequence):
    gates = promotion_gates(compared(worse=worse), None, ValueGateLimits(), latency_ratio=1.0)
    gate = next(gate for gate in gates if gate.name == "fresh hold-out: Mean absolute error")
    assert gate.is_passed == passes and gate.consequence == consequence


def test_gate_holds_where_rows_are_few_and_slices_say_what_they_need():
    gates = {
        gate.name: gate for gate in promotion_gates(compared(num_rows=60), None, ValueGateLimits(), latency_ratio=3.0)
    }
    assert gates["fresh hold-out: Mean absolute error"].consequence == "hold"
    assert "60 rows of 60 groups" in gates["fresh hold-out: Mean absolute error"].reason
    assert "50 rows and 10 groups" in gates["slices"].reason and not gates["latency"].is_passed


def test_slice_that_errs_more_is_named():
    attribute = pd.DataFrame({"make": np.where(np.arange(400) < 100, "alba", "borea")})
    rows, groups = sides()
    value = rows["challenger"].value + np.where(np.arange(400) < 100, 4 * np.sign(rows["challenger"].error), 0)
    rows["challenger"] = replace(rows["challenger"], value=value)
    found = compare_values("fresh hold-out", rows, groups, attribute, ValueGateLimits(), metric="mae", seed=0)
    gate = next(g for g in promotion_gates(found, None, ValueGateLimits(), latency_ratio=1.0) if g.name == "slices")
    assert not gate.is_passed and "make = alba" in gate.value and gate.consequence == "refuse"


@pytest.mark.parametrize(
    ("tests", "has_labels", "action"),
    [
        ([], True, "no_action"),
        ([{"is_alarm": False}], True, "no_action"),
        ([{"is_alarm": True}], True, "retrain"),
        ([{"is_alarm": True}], False, "adapt"),
    ],
)
def test_recommendation_follows_the_alarms(tests, has_labels, action):
    told = {"name": "hours", "effect_name": "PSI", "effect": 0.3, "effect_limit": 0.1, "p_adjusted": 0.01}
    report = {"problems": [], "tests": [{**told, **test} for test in tests]}
    assert recommend_values(report, has_labels=has_labels)["action"] == action


def test_unknown_key_of_retrain_is_named_with_the_nearest():
    params = parse_section(RegressionParams, {**PARAMS, "retrain": {"gates": {"min_row": 5}}}, where=VERTICAL)
    with pytest.raises(BadParamsError, match="min_rows"):
        ValueRun.parse(params, VERTICAL)


def test_transfer_that_weighs_unlabelled_rows_learns_from_them():
    params = parse_section(RegressionParams, PARAMS, where=VERTICAL).train
    assert not learns_unlabelled(params)
    assert learns_unlabelled(replace(params, transfer="importance_weighting"))
    assert learns_unlabelled(replace(params, transfer="auto"))
    assert not learns_unlabelled(replace(params, transfer="auto", candidates=("pooled",)))


def test_report_json_has_the_champions_error(yard, tmp_path):
    retrain(yard, write_month(tmp_path, 8))
    told = read_json(yard / f"artifacts/{VERTICAL}/retrain/r0002/report.json")["summary"]
    assert told["champion_metric"]["observed"]["metric"] == "mae" and told["champion_metric"]["observed"]["value"] > 30
