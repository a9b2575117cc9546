"""Every metric against scikit-learn or a plain loop, with and without ties and row weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from core.errors import BadInputError, BadParamsError
from core.evaluation.curves import gains_table, precision_recall_table, roc_table
from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.metrics import METRICS
from core.evaluation.score_bands import score_band_table
from core.evaluation.scored_rows import ScoredRows


def rows_with(num_rows: int = 400, *, has_ties: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1, 1.2, num_rows)
    labels = (rng.random(num_rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    score = 1 / (1 + np.exp(-0.8 * log_odds - 0.4))
    score = np.round(score, 1) if has_ties else score
    return labels, np.column_stack([1 - score, score])


def ks_by_loop(labels, score, weights):
    best = 0.0
    for cut in np.unique(score):
        below = score <= cut
        positive = weights[(labels == 1) & below].sum() / weights[labels == 1].sum()
        negative = weights[(labels == 0) & below].sum() / weights[labels == 0].sum()
        best = max(best, abs(positive - negative))
    return best


def ece_by_loop(labels, score, weights):
    bins = equal_mass_bins(score, 10)
    total = 0.0
    for number in np.unique(bins):
        here = bins == number
        if weights[here].sum() == 0:
            continue
        observed = np.average(labels[here], weights=weights[here])
        told = np.average(score[here], weights=weights[here])
        total += weights[here].sum() / weights.sum() * abs(observed - told)
    return total


def recall_at_5_by_loop(labels, score, weights):
    best = 0.0
    for cut in np.unique(score):
        called = score >= cut
        if weights[(labels == 0) & called].sum() <= 0.05 * weights[labels == 0].sum() + 1e-9:
            best = max(best, weights[(labels == 1) & called].sum() / weights[labels == 1].sum())
    return best


ORACLES = {
    "auc": lambda y, p, w: reference.roc_auc_score(y, p[:, 1], sample_weight=w),
    "gini": lambda y, p, w: 2 * reference.roc_auc_score(y, p[:, 1], sample_weight=w) - 1,
    "ks": lambda y, p, w: ks_by_loop(y, p[:, 1], w),
    "pr_auc": lambda y, p, w: reference.average_precision_score(y, p[:, 1], sample_weight=w),
    "brier": lambda y, p, w: reference.brier_score_loss(y, p[:, 1], sample_weight=w),
    "log_loss": lambda y, p, w: reference.log_loss(y, p, sample_weight=w),
    "ece": lambda y, p, w: ece_by_loop(y, p[:, 1], w),
    "accuracy": lambda y, p, w: reference.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: reference.balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    "f1": lambda y, p, w: reference.f1_score(y, p.argmax(axis=1), sample_weight=w),
    "macro_f1": lambda y, p, w: reference.f1_score(y, p.argmax(axis=1), sample_weight=w, average="macro"),
    "recall_at_5_percent_false_alarms": lambda y, p, w: recall_at_5_by_loop(y, p[:, 1], w),
}


def test_oracles_cover_the_registry():
    assert set(ORACLES) == set(METRICS)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("has_ties", [False, True])
def test_metric_with_row_counts_equals_reference(name, has_ties):
    labels, probability = rows_with(has_ties=has_ties)
    rows = ScoredRows.checked(labels, probability, 1)
    counts = np.random.default_rng(1).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=4).astype(float)
    got = METRICS[name].weighted(rows, counts)
    wanted = [ORACLES[name](labels, probability, count) for count in counts]
    np.testing.assert_allclose(got, wanted, rtol=1e-10)
    assert METRICS[name].function(labels, probability, 1) == pytest.approx(
        ORACLES[name](labels, probability, np.ones(len(labels)))
    )


def test_positive_index_zero_is_the_mirrored_problem():
    labels, probability = rows_with(has_ties=False)
    for name in METRICS:
        mirrored = METRICS[name].function(1 - labels, probability[:, ::-1], 0)
        assert mirrored == pytest.approx(METRICS[name].function(labels, probability, 1)), name


def test_equal_mass_bins_keep_equal_values_together():
    values = np.array([0.1] * 7 + [0.2, 0.3, 0.4])
    bins = equal_mass_bins(values, 5)
    assert len(set(bins[:7])) == 1
    assert sorted(np.unique(bins)) == list(range(bins.max() + 1))
    assert np.bincount(equal_mass_bins(np.arange(100.0), 10)).tolist() == [10] * 10


@pytest.mark.parametrize(
    ("labels", "probability", "message"),
    [
        ([0, 0, 0], [[0.9, 0.1]] * 3, "All 3 rows are negative"),
        ([1, 1], [[0.9, 0.1]] * 2, "All 2 rows are positive"),
        ([0, np.nan], [[0.9, 0.1]] * 2, "1 of 2 labels are missing"),
        ([0, 2], [[0.9, 0.1]] * 2, "class indices 0 to 1"),
        ([0, 1], [[0.9, 0.1], [np.nan, 0.5]], "missing or infinite"),
        ([0, 1], [[0.9, 0.1], [0.9, 0.9]], "do not sum to one"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "expected 0 to 1"),
        ([0, 1, 1], [[0.9, 0.1]] * 2, "expected (2,)"),
        ([0, 1], [0.1, 0.9], "expected (N, C)"),
        ([], np.empty((0, 2)), "no rows"),
    ],
)
def test_auc_of_bad_rows_is_refused(labels, probability, message):
    with pytest.raises(BadInputError) as caught:
        METRICS["auc"].function(np.array(labels), np.array(probability), 1)
    assert message in str(caught.value)


def test_unknown_metric_names_the_nearest():
    with pytest.raises(BadParamsError, match="log_loss"):
        METRICS["logloss"]


def test_curve_tables_integrate_to_the_metrics():
    labels, probability = rows_with(has_ties=True)
    roc = roc_table(labels, probability[:, 1])
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(METRICS["auc"].function(labels, probability, 1))
    for row in roc.itertuples():
        assert (probability[labels == 1, 1] >= row.threshold).mean() == pytest.approx(row.true_positive_rate)
    curve = precision_recall_table(labels, probability[:, 1])
    falls = -np.diff(np.r_[curve["recall"], 0])
    assert (falls * curve["precision"]).sum() == pytest.approx(METRICS["pr_auc"].function(labels, probability, 1))


def test_roc_table_of_many_rows_stays_small_with_both_ends():
    labels, probability = rows_with(20_000, has_ties=False)
    roc = roc_table(labels, probability[:, 1])
    assert len(roc) <= 500
    assert roc[["false_positive_rate", "true_positive_rate"]].iloc[[0, -1]].to_numpy().ravel().tolist() == [0, 0, 1, 1]
    assert np.isfinite(roc.to_numpy()).all()


def test_gains_table_without_ties_equals_loop():
    labels, probability = rows_with(has_ties=False)
    ranked = labels[np.argsort(-probability[:, 1])]
    for row in gains_table(labels, probability[:, 1], num_bins=10).iloc[1:].itertuples():
        taken = ranked[: row.rows]
        assert row.captured_fraction == pytest.approx(taken.sum() / labels.sum())
        assert row.lift == pytest.approx(taken.mean() / labels.mean())


def test_gains_table_of_one_score_is_the_diagonal():
    labels, _ = rows_with(has_ties=False)
    table = gains_table(labels, np.full(len(labels), 0.3))
    np.testing.assert_allclose(table["captured_fraction"], table["population_fraction"], atol=1e-12)


def test_score_bands_with_letters_give_their_own_rates():
    labels, probability = rows_with(has_ties=False)
    bands = np.array(["A", "B", "C"])[np.searchsorted([0.2, 0.5], probability[:, 1])]
    table = score_band_table(labels, probability[:, 1], bands).set_index("band")
    assert list(table.index) == ["A", "B", "C"]
    for name, row in table.iterrows():
        here = labels[bands == name]
        assert (row["rows"], row["positives"]) == (len(here), here.sum())
        assert row["observed_low"] < row["observed_rate"] < row["observed_high"]
    assert table["cumulative_observed_rate"].iloc[-1] == pytest.approx(labels.mean())
    assert table["is_in_order"].all()
    upside_down = score_band_table(1 - labels, probability[:, 1], bands)
    assert upside_down["is_in_order"].tolist() == [True, False, False]
