"""A month's watch: false alarms over all tests with groups, what each drift sets off, degenerate batches, report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInputError, BadParamsError
from core.evaluation.multiple_testing import holm
from core.evaluation.shift import population_stability_index
from core.lifecycle.monitor.family import corrected, month_family
from core.lifecycle.monitor.watch import MonitorOptions, MonitorTest, Snapshot, watch
from core.params import parse_section

QUICK = MonitorOptions(num_permutations=99, num_bootstrap=100)


def draw_inputs(num_rows: int, random: np.random.Generator, *, rows_a_group: int = 1) -> pd.DataFrame:
    """Rows of a group share most of their amount and all of their kind."""
    num_groups = -(-num_rows // rows_a_group)
    amount = np.repeat(random.normal(size=num_groups), rows_a_group)[:num_rows] + 0.3 * random.normal(size=num_rows)
    kind = np.repeat(random.choice(["a", "b", "c"], num_groups, p=[0.5, 0.3, 0.2]), rows_a_group)[:num_rows]
    return pd.DataFrame({"amount": amount, "age": random.normal(size=num_rows), "kind": kind.astype(object)})


def as_snapshot(
    inputs: pd.DataFrame, random: np.random.Generator, *, rows_a_group: int = 1, side: str = ""
) -> Snapshot:
    """Scored by a champion that is calibrated by construction, and labelled."""
    log_odds = -0.5 + inputs["amount"].fillna(0) + 0.8 * (inputs["kind"] == "b")
    probability = 1 / (1 + np.exp(-log_odds.to_numpy(dtype=float)))
    targets = (random.uniform(size=len(inputs)) < probability).astype(float)
    group = np.char.add(side, (np.arange(len(inputs)) // rows_a_group).astype(str))
    return Snapshot(inputs, None, group, probability, targets, 0.4)


def two_sides(num_reference: int, num_batch: int, *, seed: int, rows_a_group: int = 1) -> tuple[Snapshot, Snapshot]:
    random = np.random.default_rng(seed)
    sizes = (("r", num_reference), ("b", num_batch))
    return tuple(
        as_snapshot(draw_inputs(num, random, rows_a_group=rows_a_group), random, rows_a_group=rows_a_group, side=side)
        for side, num in sizes
    )


def alarms_of(report) -> set[tuple[str, str]]:
    return {(test.kind, test.name) for test in report.alarms}


@pytest.mark.parametrize("rows_a_group", [1, 4])
def test_months_without_drift_alarm_no_more_often_than_told(rows_a_group):
    options = replace(
        QUICK,
        min_psi=0,
        min_accuracy_gain=0,
        min_kernel_distance=0,
        min_calibration_gap=0,
        min_excess_brier=0,
        min_auc_drop=0,
    )  # significance alone
    num_repeats = 100
    hits = 0
    for seed in range(num_repeats):
        sides = two_sides(90, 60, seed=seed, rows_a_group=rows_a_group)
        hits += any(test.is_alarm for test in month_family(*sides, options, seed=seed).tests)
    assert hits / num_repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / num_repeats), hits


def test_no_drift_report_is_complete_and_json_ready():
    reference, batch = two_sides(300, 200, seed=0)
    report = watch(reference, batch, QUICK, seed=0)
    kinds = [test.kind for test in report.tests]
    assert sorted(kinds) == sorted(["input"] * 5 + ["prediction"] + ["calibration"] * 2 + ["performance"])
    assert report.num_permutations == 360 == 2 * 9 / 0.05
    adjusted = holm(np.array([test.p_value for test in report.tests]))
    np.testing.assert_allclose([test.p_adjusted for test in report.tests], adjusted)
    age = next(test for test in report.tests if test.name == "age")
    assert age.effect == population_stability_index(reference.inputs["age"], batch.inputs["age"])
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert told["tests"][0].keys() >= {
        "name",
        "kind",
        "statistic",
        "effect",
        "p_value",
        "p_adjusted",
        "is_alarm",
    }
    assert set(told["performance"]["estimated"]["auc"]) == {"value", "low", "high", "confidence"}
    assert report.performance.estimated.auc.low < report.performance.observed.auc.value
    assert report.calibration.num_rows == report.num_labelled == 200
    assert report.summary[0].startswith("0 of 9 tests alarm on 200 rows of 200 groups") and not report.problems
    assert watch(reference, batch, QUICK, seed=0).as_dict() == report.as_dict()


def with_inputs(batch: Snapshot, **columns) -> Snapshot:
    return replace(batch, inputs=batch.inputs.assign(**columns))


def missing_half(values: pd.Series) -> pd.Series:
    return values.where(np.arange(len(values)) % 2 == 0, None)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda b: with_inputs(b, age=b.inputs["age"] + 1.0), ("input", "age")),
        (lambda b: with_inputs(b, age=missing_half(b.inputs["age"])), ("input", "age is missing")),
        (lambda b: with_inputs(b, kind=missing_half(b.inputs["kind"])), ("input", "kind")),
        (lambda b: with_inputs(b, kind=np.where(b.inputs["age"] > 0, "c", b.inputs["kind"])), ("input", "kind")),
        (lambda b: replace(b, probability=b.probability**0.5), ("prediction", "probability")),
        (
            lambda b: replace(b, targets=np.maximum(b.targets, np.arange(len(b)) % 3 == 0)),
            ("calibration", "in the large"),
        ),
        (lambda b: replace(b, targets=1 - b.targets), ("performance", "AUC")),
    ],
)
def test_each_drift_sets_off_its_alarm(change, wanted):
    reference, batch = two_sides(400, 400, seed=1)
    report = watch(reference, change(batch), QUICK, seed=1)
    assert wanted in alarms_of(report)
    assert any(wanted[1] in sentence for sentence in report.summary[1:])


def test_columns_that_only_move_against_each_other_are_found_together():
    reference, batch = two_sides(400, 400, seed=1)
    reference = with_inputs(reference, age=reference.inputs["amount"] + 0.5 * reference.inputs["age"])
    batch = with_inputs(batch, age=-batch.inputs["amount"] - 0.5 * batch.inputs["age"])
    assert alarms_of(watch(reference, batch, QUICK, seed=1)) == {("input", "kernel two-sample")}


def test_trifle_in_many_rows_is_significant_but_no_alarm():
    reference, batch = two_sides(2500, 2500, seed=2)
    batch = with_inputs(batch, age=batch.inputs["age"] + 0.2)
    report = watch(reference, batch, replace(QUICK, max_rows=1500), seed=2)
    age = next(test for test in report.tests if test.name == "age")
    assert age.p_adjusted <= 0.05 and age.effect < 0.1 and not age.is_alarm


def test_unlabelled_batch_is_judged_by_inputs_and_estimate_alone():
    reference, batch = two_sides(150, 150, seed=3)
    report = watch(reference, replace(batch, targets=np.full(150, np.nan)), QUICK, seed=3)
    assert {test.kind for test in report.tests} == {"input", "prediction"}
    assert report.performance.observed is None and report.calibration is None
    assert report.left_out["labels"] == "0 rows are labelled, 50 are needed"
    assert "labels would show" in " ".join(report.summary)


def test_reference_without_labels_holds_the_batch_against_its_probabilities():
    reference, batch = two_sides(150, 150, seed=4)
    reference = replace(reference, targets=np.full(150, np.nan))
    report = watch(reference, replace(batch, targets=np.ones(150)), QUICK, seed=4)
    assert ("calibration", "in the large") in alarms_of(report)
    assert "performance" not in {test.kind for test in report.tests}
    large = next(test for test in report.tests if test.name == "in the large")
    assert (
        large.effect == report.calibration.calibration_gap and large.p_value == report.calibration.in_the_large_p_value
    )


def test_embeddings_replace_the_joint_test_of_columns():
    reference, batch = two_sides(150, 150, seed=5)
    random = np.random.default_rng(5)
    sides = [replace(side, features=random.normal(size=(150, 80))) for side in (reference, batch)]
    sides[1] = replace(sides[1], features=sides[1].features + 0.3)
    alarms = alarms_of(watch(*sides, QUICK, seed=5))
    assert alarms == {("embedding", "classifier two-sample"), ("embedding", "kernel two-sample")}
    no_columns = [replace(side, inputs=side.inputs[[]]) for side in sides]
    assert alarms_of(watch(*no_columns, QUICK, seed=5)) == alarms


def test_constant_empty_and_date_columns_are_left_out():
    extra = {"one": 1.0, "none": np.nan, "same": "x", "day": pd.Timestamp("2024-01-01")}
    reference, batch = (with_inputs(side, **extra) for side in two_sides(100, 100, seed=6))
    report = watch(reference, batch, QUICK, seed=6)
    assert list(report.left_out) == ["one", "none", "same", "day"]
    assert not report.has_alarm() and not report.outliers.vanished


def test_vanished_and_outlying_values_are_told():
    reference, batch = two_sides(100, 100, seed=7)
    kinds = batch.inputs["kind"].where(np.arange(100) >= 30, "never seen")
    batch = with_inputs(batch, amount=np.nan, age=batch.inputs["age"].where(np.arange(100) != 50, 1e6), kind=kinds)
    outliers = watch(reference, batch, QUICK, seed=7).outliers
    assert outliers.vanished == ("amount",)
    assert outliers.share == 0.31 and outliers.columns == {"kind": 30, "age": 1}


def test_far_embedding_rows_are_outliers():
    reference, batch = two_sides(100, 100, seed=8)
    random = np.random.default_rng(8)
    sides = [replace(side, features=random.normal(size=(100, 6))) for side in (reference, batch)]
    sides[1].features[:10] *= 30
    assert watch(*sides, QUICK, seed=8).outliers.share == pytest.approx(0.1)


def test_too_few_rows_or_groups_give_a_report_without_tests():
    reference, batch = two_sides(100, 100, seed=9)
    few = Snapshot(batch.inputs[:20], None, batch.group[:20], batch.probability[:20], batch.targets[:20], 0.4)
    report = watch(reference, few, QUICK, seed=9)
    assert not report.tests and report.problems == ("The batch has 20 rows; 50 are needed.",)
    assert np.isfinite(report.performance.estimated.auc.low)
    report = watch(reference, replace(batch, group=np.full(100, "one")), QUICK, seed=9)
    assert "one group" in report.problems[0]
    halves = np.repeat(["a", "b"], 50)
    report = watch(replace(reference, group=halves), replace(batch, group=halves), QUICK, seed=9)
    assert not report.tests and "2 groups" in report.problems[0]
    json.dumps(report.as_dict(), allow_nan=False)


def test_batch_of_one_class_has_no_auc_and_the_chance_of_that():
    reference, batch = two_sides(100, 100, seed=10)
    report = watch(reference, replace(batch, targets=np.zeros(100)), QUICK, seed=10)
    assert report.one_class_chance == pytest.approx(np.prod(batch.probability) + np.prod(1 - batch.probability))
    auc = next(test for test in report.tests if test.kind == "performance")
    assert np.isnan(auc.p_value) and not auc.is_alarm and report.tests[-1] is auc


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": pd.DataFrame({"a": []})}, "no rows"),
        ({"probability": np.array([0.1, np.nan, 0.3])}, "1 probabilities"),
        ({"probability": np.array([0.1, 0.2])}, r"probability has shape \(2,\)"),
        ({"targets": np.array([0.0, 2.0, np.nan])}, "targets"),
        ({"features": np.zeros((2, 4))}, "features"),
        ({"threshold": np.nan}, "threshold"),
    ],
)
def test_snapshot_that_is_none_is_refused(change, message):
    fine = {
        "inputs": pd.DataFrame({"a": [1.0, 2.0, 3.0]}),
        "features": None,
        "group": np.arange(3),
        "probability": np.array([0.1, 0.2, 0.3]),
        "targets": np.array([0, 1, np.nan]),
        "threshold": 0.5,
    }
    assert len(Snapshot(**fine)) == 3
    with pytest.raises(BadInputError, match=message):
        Snapshot(**fine | change)


def test_sides_that_do_not_fit_are_refused():
    reference, batch = two_sides(60, 60, seed=11)
    with pytest.raises(BadInputError, match="'more'"):
        watch(reference, with_inputs(batch, more=1), QUICK, seed=0)
    with pytest.raises(BadInputError, match="The reference has no features"):
        watch(reference, replace(batch, features=np.zeros((60, 2))), QUICK, seed=0)
    wide = pd.DataFrame(np.arange(60.0 * 300).reshape(60, 300))
    with pytest.raises(BadInputError, match="Watch fewer columns"):
        watch(replace(reference, inputs=wide), replace(batch, inputs=wide), QUICK, seed=0)


def test_alarm_needs_both_significance_and_effect():
    def test_of(p_value, effect):
        return MonitorTest("x", "input", "KS", 0.0, "PSI", effect, 0.1, p_value)

    judged = corrected([test_of(0.5, 9), test_of(0.001, 0.09), test_of(0.002, -0.2), test_of(np.nan, 9)], QUICK)
    assert [(test.p_value, test.is_alarm) for test in judged[:3]] == [(0.002, True), (0.001, False), (0.5, False)]
    assert judged[0].p_adjusted == pytest.approx(0.004) and np.isnan(judged[3].p_adjusted)


def test_misspelt_option_names_the_nearest():
    with pytest.raises(BadParamsError, match="min_psi"):
        parse_section(MonitorOptions, {"min_pis": 0.2}, where="monitor")
