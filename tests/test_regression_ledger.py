"""The ledger of predicted numbers: planted gains and losses, means and intervals by loop, refusals, what reads it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from core.artifacts import to_plain
from core.errors import BadInputError
from core.evaluation.ledger import LedgerRun, build_ledger, champion_verdict
from core.evaluation.ledger_plot import plot_ledger
from core.evaluation.release import transfer_gate
from core.evaluation.resampling import resample_counts
from core.regression.metrics import REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows
from core.regression.regression_ledger import RegressionRun, build_regression_ledger

NUM_ROWS = 240
TRUTH = 5000 + 900 * np.random.default_rng(0).standard_normal(NUM_ROWS)
POINT_METRICS = ("mae", "median_absolute_error", "r2", "rmse")


def told(noise: float, seed: int) -> np.ndarray:
    return TRUTH + noise * np.random.default_rng([7, seed]).standard_normal(NUM_ROWS)


def make_runs() -> list[RegressionRun]:
    """`better` helps, `same` is the baseline with a whisper of noise, `worse` harms; 3 draws at 50, one at all."""
    noises = {"target_only": 400, "better": 150, "worse": 900}
    runs = []
    for budget, draws in (("all", 1), (50, 3)):
        for draw in range(draws):
            for index, (method, noise) in enumerate(noises.items()):
                value = told(noise, 100 * draw + index)
                runs.append(RegressionRun(method, budget, draw, draw, value, 1.0 + draw, {"picked": method}))
            same = told(400, 100 * draw) + told(1, 50) - TRUTH
            runs.append(RegressionRun("same", budget, draw, draw, same))
    return runs


def build(runs, truth=TRUTH, **changes):
    options = {"metric": "mae", "baseline": "target_only", "num_bootstrap": 300} | changes
    return build_regression_ledger(runs, truth, **options)


def entry_of(ledger, method, budget):
    return next(e for e in ledger["entries"] if (e["method"], e["budget"]) == (method, budget))


@pytest.fixture(scope="module")
def ledger():
    return build(make_runs())


@pytest.mark.parametrize("metric", POINT_METRICS)
def test_ledger_verdicts_follow_planted_effects_by_every_metric(metric):
    found = build(make_runs(), metric=metric)
    verdicts = {(e["method"], e["budget"]): e["verdict"] for e in found["entries"]}
    for budget in (50, "all"):
        assert verdicts["better", budget] == "gain" and entry_of(found, "better", budget)["difference"] > 0
        assert verdicts["worse", budget] == "negative transfer" and entry_of(found, "worse", budget)["difference"] < 0
        assert verdicts["same", budget] == "no difference"
        assert verdicts["target_only", budget] == "baseline"
    assert found["best_method"] == "better" and found["best_by_budget"] == {"50": "better", "all": "better"}
    assert list(found["best_by_budget"]) == ["50", "all"]


def test_ledger_of_equal_methods_seldom_shows_a_difference():
    """Nominal 5 % of 60 ledgers; 8 would be seen by chance once in 100."""
    verdicts = []
    for seed in range(60):
        pair = (RegressionRun(m, "all", 0, 0, told(400, 1000 + 2 * seed + i)) for i, m in enumerate(("base", "other")))
        verdicts.append(entry_of(build(list(pair), baseline="base"), "other", "all")["verdict"])
    assert sum(verdict != "no difference" for verdict in verdicts) <= 8


@pytest.mark.parametrize("metric", ["mae", "r2"])
def test_ledger_entries_are_in_order_of_budget_then_quality(metric):
    entries = build(make_runs(), metric=metric)["entries"]
    assert [e["budget"] for e in entries] == [50] * 4 + ["all"] * 4
    for budget in (50, "all"):
        means = [e["mean"] for e in entries if e["budget"] == budget]
        assert means == sorted(means, reverse=metric == "r2")


def test_ledger_means_equal_loop(ledger):
    runs = [run for run in make_runs() if (run.method, run.budget) == ("better", 50)]
    entry, against = entry_of(ledger, "better", 50), entry_of(ledger, "target_only", 50)
    for name in POINT_METRICS:
        values = [REGRESSION_METRICS[name].of_rows(PredictedRows.checked(TRUTH, run.value)) for run in runs]
        assert entry[name] == pytest.approx(np.mean(values))
    errors = [np.mean(np.abs(run.value - TRUTH)) for run in runs]
    assert entry["mean"] == pytest.approx(np.mean(errors)) and entry["sd"] == pytest.approx(np.std(errors, ddof=1))
    assert entry["mean_error"] == pytest.approx(np.mean([np.mean(run.value - TRUTH) for run in runs]))
    assert entry["difference"] == pytest.approx(against["mean"] - entry["mean"])
    assert entry["draws"] == 3 and entry["fit_seconds"] == pytest.approx(2.0)
    assert entry["low"] < entry["mean"] < entry["high"]
    assert not {"coverage", "band_width", "interval_score"} & set(entry)


@pytest.mark.parametrize("groups", [None, np.arange(NUM_ROWS) // 4])
def test_ledger_interval_and_p_value_equal_two_way_bootstrap_loop(groups):
    by_draw = {
        method: [run.value for run in make_runs() if (run.method, run.budget) == (method, 50)]
        for method in ("same", "target_only")
    }
    drawn = np.random.default_rng([4, 3]).integers(3, size=(300, 3))
    counts = np.concatenate(list(resample_counts(NUM_ROWS, 300, seed=4, groups=groups)))
    gaps = []
    for count, picks in zip(counts, drawn, strict=True):
        rows = np.repeat(np.arange(NUM_ROWS), count.astype(int))
        per_draw = [
            np.mean(np.abs(by_draw["target_only"][d][rows] - TRUTH[rows]))
            - np.mean(np.abs(by_draw["same"][d][rows] - TRUTH[rows]))
            for d in range(3)
        ]
        centre = np.mean(per_draw)
        gaps.append(centre + np.sqrt(3 / 2) * (np.mean([per_draw[d] for d in picks]) - centre))
    found = build(make_runs(), seed=4, groups=groups)
    entry = entry_of(found, "same", 50)
    wanted = tuple(np.quantile(gaps, [0.025, 0.975]))
    assert (entry["difference_low"], entry["difference_high"]) == pytest.approx(wanted)
    tail = min(np.sum(np.array(gaps) <= 0), np.sum(np.array(gaps) >= 0))
    assert entry["p_value"] == pytest.approx(min(1, 2 * (tail + 1) / 301))
    tested = [e for e in found["entries"] if e["method"] != "target_only"]
    by_rank = sorted(tested, key=lambda e: e["p_value"])
    steps = [(len(by_rank) - place) * e["p_value"] for place, e in enumerate(by_rank)]
    for place, e in enumerate(by_rank):
        assert e["p_adjusted"] == pytest.approx(min(1, max(steps[: place + 1])))


def test_ledger_intervals_by_group_are_wider():
    doubled = [replace(run, value=np.repeat(run.value, 4)) for run in make_runs()]
    truth, groups = np.repeat(TRUTH, 4), np.repeat(np.arange(NUM_ROWS), 4)
    naive = entry_of(build(doubled, truth), "better", "all")
    grouped = entry_of(build(doubled, truth, groups=groups), "better", "all")
    assert grouped["high"] - grouped["low"] > 1.5 * (naive["high"] - naive["low"])


def test_ledger_has_the_form_of_the_ledger_of_probabilities(ledger):
    probability = np.tile([[0.4, 0.6], [0.7, 0.3]], (60, 1))
    runs = [LedgerRun(m, b, 0, 0, probability) for m in ("target_only", "better") for b in (50, "all")]
    other = build_ledger(
        runs, np.tile([0, 1], 60), metric="brier", positive_index=1, baseline="target_only", num_bootstrap=20
    )
    assert set(ledger) == set(other) - {"num_test_positives"}
    assert set(ledger["runs"][0]) == set(other["runs"][0])
    shared = {key for key in other["entries"][0] if key not in {"auc", "gini", "ks", "brier"}}
    common = {"budget", "method", "mean", "difference_low", "p_adjusted", "verdict", "fit_seconds"}
    assert common <= shared & set(ledger["entries"][0])
    kinds = {key: type(ledger["entries"][0][key]) for key in common}
    assert kinds == {key: type(other["entries"][0][key]) for key in common}


def test_ledger_is_json_and_keeps_every_run(ledger):
    loaded = json.loads(json.dumps(to_plain(ledger), allow_nan=False))
    assert len(loaded["runs"]) == len(make_runs())
    assert loaded["runs"][0]["info"] == {"picked": "target_only"}
    assert loaded["runs"][0]["value"] == pytest.approx(np.mean(np.abs(told(400, 0) - TRUTH)))
    assert (loaded["num_test_rows"], loaded["metric"], loaded["is_higher_better"]) == (NUM_ROWS, "mae", False)


def test_champion_verdict_and_release_gate_read_the_ledger(ledger):
    verdict = champion_verdict(ledger, "better")
    assert verdict["is_promotable"] and verdict["budget"] == "all"
    assert verdict["reason"].startswith("Gain at all labels: +") and "Mean absolute error" in verdict["reason"]
    worse = champion_verdict(ledger, "worse")
    assert not worse["is_promotable"] and worse["by_budget"] == {"50": "negative transfer", "all": "negative transfer"}
    assert transfer_gate(ledger, "better").is_passed
    gate = transfer_gate(ledger, "worse")
    assert not gate.is_passed and gate.consequence == "refuse"


def test_ledger_plot_shows_every_method(ledger):
    figure = plot_ledger(ledger)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["better", "same", "target_only (baseline)", "worse"]
    assert figure.axes[0].get_ylabel() == "Mean absolute error (lower is better)"
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    assert len(buffer.getvalue()) > 3000


def test_ledger_without_baseline_at_budget_zero_says_so():
    found = build([*make_runs(), RegressionRun("worse", 0, 0, 0, told(900, 2))])
    entry = found["entries"][0]
    assert (entry["budget"], entry["verdict"], entry["difference"]) == (0, "no baseline", None)
    assert list(found["best_by_budget"]) == ["0", "50", "all"]
    assert not transfer_gate({**found, "entries": [entry]}, "worse").is_passed
    assert plot_ledger(found).axes


def change(index, **values):
    runs = make_runs()
    runs[index] = replace(runs[index], **values)
    return runs


IDS = np.arange(NUM_ROWS)


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ([], {}, "no runs"),
        (change(1, value=told(1, 1)[:-1]), {}, "better at all labels, draw 0 scored 239 test rows"),
        (change(1, value=np.full(NUM_ROWS, np.nan)), {}, "better at all labels, draw 0: 240 of 240 value"),
        (make_runs()[:-1], {}, "same at 50 labels has draws [0, 1], target_only has [0, 1, 2]"),
        ([r for r in make_runs() if r.method != "target_only"], {}, "No run of the baseline 'target_only'"),
        ([*make_runs(), make_runs()[0]], {}, "given twice"),
        (
            [replace(make_runs()[0], test_ids=IDS), replace(make_runs()[1], test_ids=IDS[::-1])],
            {},
            "other test rows",
        ),
        (make_runs(), {"metric": "coverage"}, "'coverage' is a metric of bands"),
        (make_runs(), {"metric": "r2", "truth": np.ones(NUM_ROWS)}, "all true values are 1"),
        (make_runs(), {"groups": np.arange(3)}, "groups has 3 rows"),
    ],
)
def test_ledger_of_runs_that_cannot_be_compared_is_refused(runs, options, message):
    with pytest.raises(BadInputError) as caught:
        build(runs, **options)
    assert message in str(caught.value)
