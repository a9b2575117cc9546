"""The ledger: means, the two-way bootstrap and verdicts against loops and planted effects; refusals; the picture."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from core.artifacts import to_plain
from core.errors import BadInputError
from core.evaluation.calibration import calibration_table
from core.evaluation.curves import gains_table, roc_table
from core.evaluation.ledger import LedgerRun, build_ledger, champion_verdict
from core.evaluation.ledger_plot import plot_ledger
from core.evaluation.metrics import METRICS
from core.evaluation.plots import plot_calibration, plot_gains, plot_roc, plot_score_bands
from core.evaluation.resampling import resample_counts
from core.evaluation.score_bands import score_band_table

NUM_ROWS = 240
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=NUM_ROWS)
LABELS = (RNG.random(NUM_ROWS) < 1 / (1 + np.exp(-2 * TRUTH))).astype(int)


def told(noise: float, seed: int) -> np.ndarray:
    score = 1 / (1 + np.exp(-1.5 * (TRUTH + noise * np.random.default_rng([7, seed]).normal(size=NUM_ROWS))))
    return np.column_stack([1 - score, score])


def make_runs() -> list[LedgerRun]:
    """`better` helps, `same` is the baseline with a whisper of noise, `worse` harms; 3 draws at 50, one at all."""
    noises = {"target_only": 1.5, "better": 0.1, "worse": 6.0}
    runs = []
    for budget, draws in (("all", 1), (50, 3)):
        for draw in range(draws):
            for index, (method, noise) in enumerate(noises.items()):
                probability = told(noise, seed=100 * draw + index)
                runs.append(LedgerRun(method, budget, draw, draw, probability, 1.0 + draw, {"picked": method}))
            same = told(1.5, 100 * draw) * 0.999 + 0.0005
            runs.append(LedgerRun("same", budget, draw, draw, same))
    return runs


def build(runs, labels=LABELS, **changes):
    options = {"metric": "auc", "positive_index": 1, "baseline": "target_only", "num_bootstrap": 300} | changes
    return build_ledger(runs, labels, **options)


def entry_of(ledger, method, budget):
    return next(e for e in ledger["entries"] if (e["method"], e["budget"]) == (method, budget))


@pytest.fixture(scope="module")
def ledger():
    return build(make_runs())


def test_ledger_verdicts_follow_planted_effects(ledger):
    verdicts = {(e["method"], e["budget"]): e["verdict"] for e in ledger["entries"]}
    for budget in (50, "all"):
        assert verdicts["better", budget] == "gain"
        assert verdicts["worse", budget] == "negative transfer"
        assert verdicts["same", budget] == "no difference"
        assert verdicts["target_only", budget] == "baseline"
    assert ledger["best_method"] == "better" and ledger["best_by_budget"] == {"50": "better", "all": "better"}


def test_ledger_entries_are_in_order_of_budget_then_quality(ledger):
    assert [e["budget"] for e in ledger["entries"]] == [50] * 4 + ["all"] * 4
    for budget in (50, "all"):
        means = [e["mean"] for e in ledger["entries"] if e["budget"] == budget]
        assert means == sorted(means, reverse=True)


def test_ledger_means_equal_loop(ledger):
    runs = [run for run in make_runs() if (run.method, run.budget) == ("better", 50)]
    entry = entry_of(ledger, "better", 50)
    for name in METRICS:
        values = [METRICS[name].function(LABELS, run.probability, 1) for run in runs]
        assert entry[name] == pytest.approx(np.mean(values))
    values = [METRICS["auc"].function(LABELS, run.probability, 1) for run in runs]
    assert entry["mean"] == pytest.approx(np.mean(values)) and entry["sd"] == pytest.approx(np.std(values, ddof=1))
    assert entry["draws"] == 3 and entry["fit_seconds"] == pytest.approx(2.0)
    assert entry["low"] < entry["mean"] < entry["high"]


def test_ledger_interval_equals_two_way_bootstrap_loop(ledger):
    by_draw = {
        method: [run.probability for run in make_runs() if (run.method, run.budget) == (method, 50)]
        for method in ("better", "target_only")
    }
    drawn = np.random.default_rng([0, 3]).integers(3, size=(300, 3))
    gaps = []
    for count, picks in zip(np.concatenate(list(resample_counts(NUM_ROWS, 300, seed=0))), drawn, strict=True):
        rows = np.repeat(np.arange(NUM_ROWS), count.astype(int))
        per_draw = [
            METRICS["auc"].function(LABELS[rows], by_draw["better"][d][rows], 1)
            - METRICS["auc"].function(LABELS[rows], by_draw["target_only"][d][rows], 1)
            for d in range(3)
        ]
        centre = np.mean(per_draw)
        gaps.append(centre + np.sqrt(3 / 2) * (np.mean([per_draw[d] for d in picks]) - centre))
    entry = entry_of(ledger, "better", 50)
    assert (entry["difference_low"], entry["difference_high"]) == pytest.approx(
        tuple(np.quantile(gaps, [0.025, 0.975]))
    )


def test_ledger_interval_with_few_draws_has_the_draws_own_variance():
    """Draws that differ while rows tell nothing: the spread of the mean must be sd / sqrt(draws), not less."""
    num_rows, probabilities = 4000, []
    labels = np.tile([0, 1], num_rows // 2)
    for level in (0.55, 0.65, 0.75, 0.60):
        probabilities.append(np.tile([[level, 1 - level], [1 - level, level]], (num_rows // 2, 1)))
    runs = [LedgerRun("m", 50, draw, draw, p) for draw, p in enumerate(probabilities)]
    found = build(runs, labels, metric="brier", baseline="m", num_bootstrap=4000)["entries"][0]
    spread = (found["high"] - found["low"]) / (2 * 1.96)
    assert spread == pytest.approx(found["sd"] / 2, rel=0.1)


def test_ledger_with_lower_is_better_metric_turns_the_sign():
    found = build(make_runs(), metric="brier")
    better = entry_of(found, "better", "all")
    wanted = entry_of(found, "target_only", "all")["mean"] - better["mean"]
    assert better["difference"] == pytest.approx(wanted) and better["difference"] > 0
    assert better["verdict"] == "gain" and found["best_method"] == "better"


def test_ledger_intervals_by_group_are_wider():
    doubled = [replace(run, probability=np.repeat(run.probability, 4, axis=0)) for run in make_runs()]
    labels, groups = np.repeat(LABELS, 4), np.repeat(np.arange(NUM_ROWS), 4)
    naive = entry_of(build(doubled, labels), "better", "all")
    grouped = entry_of(build(doubled, labels, groups=groups), "better", "all")
    assert grouped["high"] - grouped["low"] > 1.5 * (naive["high"] - naive["low"])


def test_ledger_is_json_and_keeps_every_run(ledger):
    loaded = json.loads(json.dumps(to_plain(ledger), allow_nan=False))
    assert len(loaded["runs"]) == len(make_runs())
    assert loaded["runs"][0]["info"] == {"picked": "target_only"}
    assert loaded["num_test_rows"] == NUM_ROWS and loaded["num_test_positives"] == LABELS.sum()


def test_ledger_without_baseline_at_budget_zero_says_so():
    found = build([*make_runs(), LedgerRun("worse", 0, 0, 0, told(6.0, 2))])
    entry = found["entries"][0]
    assert (entry["budget"], entry["verdict"], entry["difference"]) == (0, "no baseline", None)
    only_zero = [e for e in found["entries"] if e["budget"] == 0]
    verdict = champion_verdict({**found, "entries": only_zero}, "worse")
    assert "No run of target_only at 0 labels" in verdict["reason"]
    assert png_size(plot_ledger(found)) > 3000


def test_champion_verdict_is_that_of_the_largest_budget(ledger):
    assert champion_verdict(ledger, "better")["is_promotable"]
    worse = champion_verdict(ledger, "worse")
    assert not worse["is_promotable"] and worse["budget"] == "all"
    assert worse["by_budget"] == {"50": "negative transfer", "all": "negative transfer"}
    assert champion_verdict(ledger, "target_only")["verdict"] == "baseline"
    with pytest.raises(BadInputError, match="better"):
        champion_verdict(ledger, "beter")


def change(index, **values):
    runs = make_runs()
    runs[index] = replace(runs[index], **values)
    return runs


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "no runs"),
        (change(1, probability=told(1, 1)[:-1]), "better at all labels, draw 0 scored 239 test rows"),
        (change(1, probability=np.full((NUM_ROWS, 2), np.nan)), "better at all labels, draw 0: 480 probability"),
        (make_runs()[:-1], "same at 50 labels has draws [0, 1], target_only has [0, 1, 2]"),
        ([r for r in make_runs() if (r.method, r.budget) != ("better", "all")], "better at all labels has draws []"),
        ([r for r in make_runs() if r.method != "target_only"], "No run of the baseline 'target_only'"),
        ([*make_runs(), make_runs()[0]], "given twice"),
        (
            [
                replace(make_runs()[0], test_ids=np.arange(NUM_ROWS)),
                replace(make_runs()[1], test_ids=np.arange(NUM_ROWS)[::-1]),
            ],
            "other test rows",
        ),
    ],
)
def test_ledger_of_runs_that_cannot_be_compared_is_refused(runs, message):
    with pytest.raises(BadInputError) as caught:
        build(runs)
    assert message in str(caught.value)


def test_ledger_of_one_class_is_refused():
    with pytest.raises(BadInputError, match="negative"):
        build(make_runs(), np.zeros(NUM_ROWS))


def png_size(figure) -> int:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return len(buffer.getvalue())


def test_figures_are_drawn_for_every_table(ledger):
    positive, score = LABELS == 1, told(1.0, 5)[:, 1]
    only_all = build([run for run in make_runs() if run.budget == "all"])
    figures = [
        plot_ledger(ledger),
        plot_ledger(only_all),
        plot_roc(roc_table(positive, score), threshold=0.5),
        plot_gains(gains_table(positive, score)),
        plot_score_bands(score_band_table(positive, score)),
        plot_calibration(calibration_table(positive, score), raw_table=calibration_table(positive, score**2)),
    ]
    assert all(png_size(figure) > 3000 for figure in figures)
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert sorted(labels) == ["better", "same", "target_only (baseline)", "worse"]
