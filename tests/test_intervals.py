"""Resampling, bootstrap intervals, Wilson and DeLong against plain loops and their promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from core.errors import BadInputError
from core.evaluation import resampling
from core.evaluation.delong import auc_covariance, delong_interval
from core.evaluation.intervals import bootstrap_interval, percentile_range, wilson_interval
from core.evaluation.metrics import METRICS
from core.evaluation.resampling import resample_counts


def draw_rows(num_rows: int, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(num_rows) < 0.3).astype(int)
    score = 1 / (1 + np.exp(-(rng.normal(size=num_rows) + shift * labels)))
    return labels, np.column_stack([1 - score, score])


def covariance_by_loop(labels, scores):
    """The U-statistic's covariance, pair by pair (DeLong 1988, equations 4 to 7)."""
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    num_scores = len(scores)
    won = np.zeros((num_scores, len(positives), len(negatives)))
    for k in range(num_scores):
        for i, positive in enumerate(positives):
            for j, negative in enumerate(negatives):
                a, b = scores[k][positive], scores[k][negative]
                won[k, i, j] = 1.0 if a > b else 0.5 if a == b else 0.0
    area = won.mean(axis=(1, 2))
    covariance = np.zeros((num_scores, num_scores))
    for k in range(num_scores):
        for m in range(num_scores):
            by_positive = sum(
                (won[k, i].mean() - area[k]) * (won[m, i].mean() - area[m]) for i in range(len(positives))
            )
            by_negative = sum(
                (won[k, :, j].mean() - area[k]) * (won[m, :, j].mean() - area[m]) for j in range(len(negatives))
            )
            covariance[k, m] = by_positive / (len(positives) - 1) / len(positives)
            covariance[k, m] += by_negative / (len(negatives) - 1) / len(negatives)
    return area, covariance


@pytest.mark.parametrize("decimals", [1, 12])
def test_delong_covariance_equals_pairwise_loop(decimals):
    labels, first = draw_rows(60, 1)
    noise = np.random.default_rng(2).normal(scale=0.2, size=60)
    scores = np.round(np.stack([first[:, 1], first[:, 1] + noise, noise]), decimals)
    area, covariance = auc_covariance(labels, scores)
    wanted_area, wanted = covariance_by_loop(labels, scores)
    np.testing.assert_allclose(area, wanted_area)
    np.testing.assert_allclose(covariance, wanted, atol=1e-14)


def test_delong_interval_agrees_with_bootstrap():
    labels, probability = draw_rows(600, 3)
    exact = delong_interval(labels, probability[:, 1])
    drawn = bootstrap_interval(METRICS["auc"], labels, probability, 1, num_bootstrap=2000)
    assert exact.value == pytest.approx(drawn.value)
    assert (exact.low, exact.high) == pytest.approx((drawn.low, drawn.high), abs=0.01)


def test_delong_with_one_positive_is_refused():
    with pytest.raises(BadInputError, match="two rows of each class"):
        delong_interval(np.array([1, 0, 0]), np.array([0.5, 0.2, 0.1]))


def test_bootstrap_interval_equals_loop_over_repeated_rows():
    labels, probability = draw_rows(80, 4)
    got = bootstrap_interval(METRICS["auc"], labels, probability, 1, num_bootstrap=200, seed=5)
    values = []
    for count in np.concatenate(list(resample_counts(80, 200, seed=5))):
        rows = np.repeat(np.arange(80), count.astype(int))
        values.append(METRICS["auc"].function(labels[rows], probability[rows], 1))
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


@pytest.mark.parametrize(("name", "least"), [("auc", 0.89), ("brier", 0.89), ("ks", 0.80), ("ece", 0.80)])
def test_bootstrap_interval_covers_the_truth(name, least):
    truth = METRICS[name].function(*draw_rows(200_000, 0), 1)
    found = [
        bootstrap_interval(METRICS[name], *draw_rows(250, seed), 1, num_bootstrap=200, seed=seed)
        for seed in range(1, 121)
    ]
    assert np.mean([interval.low <= truth <= interval.high for interval in found]) >= least
    assert all(interval.low <= interval.value <= interval.high for interval in found)


def test_bootstrap_by_groups_is_wider_for_copied_rows():
    labels, probability = draw_rows(100, 6)
    copied = np.repeat(np.arange(100), 9)
    rows = {"labels": labels[copied], "probability": probability[copied], "positive_index": 1}
    alone = bootstrap_interval(METRICS["auc"], labels, probability, 1)
    naive = bootstrap_interval(METRICS["auc"], **rows)
    grouped = bootstrap_interval(METRICS["auc"], **rows, groups=copied)
    assert naive.high - naive.low < 0.5 * (alone.high - alone.low)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_resample_counts_keep_groups_whole_and_strata_full():
    groups = np.array(["a", "b", "b", "c", "c", "c"])
    for count in np.concatenate(list(resample_counts(6, 50, seed=0, groups=groups))):
        assert count[1] == count[2] and count[3] == count[4] == count[5]
        assert count[0] + count[1] + count[3] == 3
    strata = np.array([0, 0, 0, 0, 1, 1])
    counts = np.concatenate(list(resample_counts(6, 50, seed=0, strata=strata)))
    assert (counts[:, strata == 1].sum(axis=1) == 2).all() and (counts.sum(axis=1) == 6).all()
    assert len(np.unique(counts, axis=0)) > 10


def test_resample_counts_mean_and_variance_are_those_of_drawing_with_replacement():
    counts = np.concatenate(list(resample_counts(20, 20_000, seed=1)))
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.03)
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / 20, atol=0.05)


def test_resample_counts_in_chunks_have_all_replicates(monkeypatch):
    monkeypatch.setattr(resampling, "MAX_CHUNK_CELLS", 100)
    assert [len(chunk) for chunk in resample_counts(30, 7, seed=0)] == [3, 3, 1]


def test_resample_with_groups_and_strata_is_refused():
    with pytest.raises(BadInputError, match="not both"):
        list(resample_counts(2, 5, seed=0, groups=np.array([0, 1]), strata=np.array([0, 1])))


def test_percentile_range_of_mostly_undefined_replicates_is_refused():
    with pytest.raises(BadInputError, match="lack a class"):
        percentile_range(np.array([0.5, np.nan, np.nan]), 0.95)
    with pytest.raises(BadInputError, match="confidence"):
        percentile_range(np.array([0.5]), 95)


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (3, 10), (10, 10), (70, 100)])
def test_wilson_interval_equals_scipy(hits, total):
    wanted = binomtest(hits, total).proportion_ci(0.9, method="wilson")
    assert tuple(map(float, wilson_interval(hits, total, 0.9))) == pytest.approx((wanted.low, wanted.high))
    assert np.isnan(wilson_interval(0, 0)[0])
