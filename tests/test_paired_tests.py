"""Paired tests against their formulas, and their false alarms and misses by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from core.errors import BadInputError
from core.evaluation.metrics import METRICS
from core.evaluation.multiple_testing import benjamini_hochberg, holm
from core.evaluation.paired_tests import (
    bootstrap_p_value,
    bootstrap_paired_test,
    corrected_resampled_t_test,
    delong_test,
)


def two_models(num_rows: int, seed: int, noise_a: float, noise_b: float):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=num_rows)
    labels = (rng.random(num_rows) < 1 / (1 + np.exp(-2 * truth))).astype(int)
    scores = [truth + noise * rng.normal(size=num_rows) for noise in (noise_a, noise_b)]
    told = [1 / (1 + np.exp(-score)) for score in scores]
    return labels, *[np.column_stack([1 - p, p]) for p in told]


def test_delong_test_equals_published_formula():
    labels, a, b = two_models(80, 0, 0.5, 1.0)
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(labels == 0)

    def wins(score):
        return np.array([[(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for j in negatives] for i in positives])

    gap = wins(a[:, 1]) - wins(b[:, 1])
    variance = gap.mean(axis=1).var(ddof=1) / len(positives) + gap.mean(axis=0).var(ddof=1) / len(negatives)
    result = delong_test(labels, a[:, 1], b[:, 1], confidence=0.9)
    z = gap.mean() / math.sqrt(variance)
    assert result.difference == pytest.approx(gap.mean())
    assert result.p_value == pytest.approx(2 * norm.sf(abs(z)))
    assert result.high - result.difference == pytest.approx(1.6448536 * math.sqrt(variance))


def test_delong_and_bootstrap_agree():
    labels, a, b = two_models(500, 1, 0.5, 0.9)
    exact = delong_test(labels, a[:, 1], b[:, 1])
    drawn = bootstrap_paired_test(METRICS["auc"], labels, a, b, 1, num_bootstrap=2000)
    assert drawn.difference == pytest.approx(exact.difference)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.006)


def test_paired_tests_of_equal_scores_see_no_difference():
    labels, a, _ = two_models(60, 2, 0.5, 0.5)
    for result in (delong_test(labels, a[:, 1], a[:, 1]), bootstrap_paired_test(METRICS["auc"], labels, a, a, 1)):
        assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_paired_tests_keep_their_level_and_find_a_real_gap():
    same, other = [], []
    for seed in range(150):
        labels, a, b = two_models(200, seed, 0.8, 0.8)
        same.append(
            [
                delong_test(labels, a[:, 1], b[:, 1]).p_value,
                bootstrap_paired_test(METRICS["auc"], labels, a, b, 1, num_bootstrap=200).p_value,
            ]
        )
        labels, a, b = two_models(200, seed, 0.2, 2.5)
        other.append(delong_test(labels, a[:, 1], b[:, 1]).p_value)
    assert (np.mean(np.array(same) < 0.05, axis=0) < 0.11).all()
    assert np.mean(np.array(other) < 0.05) > 0.9


def test_bootstrap_p_value_counts_the_smaller_tail():
    replicates = np.array([-1.0, 1, 2, 3, 4, 5, 6, 7, 8, np.nan])
    assert bootstrap_p_value(replicates) == pytest.approx(2 * (1 + 1) / (9 + 1))
    assert bootstrap_p_value(np.ones(99)) == pytest.approx(0.02)


def test_delong_of_different_lengths_is_refused():
    with pytest.raises(BadInputError, match="expected equal"):
        delong_test(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2]))


def test_corrected_resampled_t_test_equals_formula():
    differences = [0.010, 0.004, -0.002, 0.012, 0.006]
    mean = sum(differences) / 5
    variance = sum((d - mean) ** 2 for d in differences) / 4
    statistic = mean / math.sqrt((1 / 5 + 0.2 / 0.8) * variance)
    result = corrected_resampled_t_test(np.array(differences), 0.2)
    assert result.difference == pytest.approx(mean)
    assert result.p_value == pytest.approx(2 * t.sf(statistic, 4))
    assert result.low == pytest.approx(mean - t.ppf(0.975, 4) * mean / statistic)


@pytest.mark.parametrize(("differences", "fraction"), [([0.1], 0.2), ([0.1, np.nan], 0.2), ([0.1, 0.2], 1.0)])
def test_corrected_resampled_t_test_of_bad_input_is_refused(differences, fraction):
    with pytest.raises(BadInputError):
        corrected_resampled_t_test(np.array(differences), fraction)


def test_holm_equals_step_down_loop_and_leaves_missing_out():
    p_values = np.array([0.04, np.nan, 0.01, 0.03, 0.5])
    known = sorted(p for p in p_values if not np.isnan(p))
    wanted, largest = {}, 0.0
    for step, p in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - step) * p))
        wanted[p] = largest
    got = holm(p_values)
    assert np.isnan(got[1])
    assert [got[i] for i in (0, 2, 3, 4)] == pytest.approx([wanted[p_values[i]] for i in (0, 2, 3, 4)])


def test_benjamini_hochberg_equals_step_up_loop():
    p_values = np.array([0.02, 0.01, 0.2, np.nan])
    assert benjamini_hochberg(p_values)[:3] == pytest.approx([0.03, 0.03, 0.2])
    assert np.isnan(benjamini_hochberg(p_values)[3])
