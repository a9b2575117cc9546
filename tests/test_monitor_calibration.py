"""Calibration of labelled rows: sums by loops, scikit-learn's fit, level with groups, changes against the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from core.errors import BadInputError
from core.lifecycle.monitor.calibration_drift import calibration_drift
from core.lifecycle.monitor.label_tests import auc_drops, calibration_residuals, mean_changes
from core.lifecycle.monitor.permuted_units import PermutedUnits, permutation_p_value


def draw(num_rows, *, seed, slope=1.0, intercept=0.0):
    """(labels, told probabilities); the true log-odds are intercept + slope * the told ones."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-0.5, 1.2, size=num_rows)
    labels = random.uniform(size=num_rows) < 1 / (1 + np.exp(-(intercept + slope * log_odds)))
    return labels, 1 / (1 + np.exp(-log_odds))


def deal(num_reference, num_batch, *, rows_a_group=1, num_permutations=199, seed=0):
    groups = [np.arange(num) // rows_a_group for num in (num_reference, num_batch)]
    return PermutedUnits.deal(*groups, num_permutations=num_permutations, seed=seed)


def test_both_z_equal_loops():
    labels, told = draw(80, seed=0)
    found = calibration_drift(labels, told)
    large = spread = large_variance = spread_variance = 0.0
    for y, p in zip(labels, told, strict=True):
        large += y - p
        spread += (y - p) * (1 - 2 * p)
        large_variance += p * (1 - p)
        spread_variance += (1 - 2 * p) ** 2 * p * (1 - p)
    assert found.in_the_large_z == pytest.approx(large / math.sqrt(large_variance))
    assert found.spiegelhalter_z == pytest.approx(spread / math.sqrt(spread_variance))
    assert found.in_the_large_p_value == pytest.approx(2 * norm.sf(abs(found.in_the_large_z)))
    assert found.spiegelhalter_p_value == pytest.approx(2 * norm.sf(abs(found.spiegelhalter_z)))
    assert (found.observed, found.expected) == (labels.sum(), pytest.approx(told.sum()))
    assert found.calibration_gap == pytest.approx((labels.sum() - told.sum()) / 80)


def test_excess_brier_is_the_brier_score_less_its_expectation():
    labels, told = draw(200, seed=1)
    wanted = brier_score_loss(labels, told) - (told * (1 - told)).mean()
    assert calibration_drift(labels, told).excess_brier == pytest.approx(wanted)


def test_cox_line_equals_an_unpenalised_fit_and_its_inverse_information():
    labels, told = draw(500, seed=2, slope=0.6, intercept=0.3)
    log_odds = np.log(told / (1 - told))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds[:, None], labels)
    found = calibration_drift(labels, told, confidence=0.9)
    assert found.slope.value == pytest.approx(model.coef_[0, 0], abs=1e-5)
    assert found.intercept.value == pytest.approx(model.intercept_[0], abs=1e-5)
    fitted = model.predict_proba(log_odds[:, None])[:, 1]
    information = np.zeros((2, 2))
    for x, p in zip(log_odds, fitted, strict=True):
        information += p * (1 - p) * np.outer([1, x], [1, x])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    for interval, error in zip((found.intercept, found.slope), errors, strict=True):
        assert (interval.high - interval.low) / 2 == pytest.approx(norm.ppf(0.95) * error, rel=1e-4)


def test_variance_with_groups_equals_loops_over_groups():
    labels, told = draw(90, seed=3)
    groups = np.arange(90) // 6
    told = np.repeat(told[::6], 6)
    labels = np.repeat(labels[::6], 6)  # a group's rows share their label
    found = calibration_drift(labels, told, groups=groups)
    sums = [sum(labels[i] - told[i] for i in range(90) if groups[i] == group) for group in range(15)]
    z = sum(sums) / math.sqrt(sum(value**2 for value in sums) * 15 / 14)
    assert found.in_the_large_z == pytest.approx(z)
    assert found.in_the_large_p_value == pytest.approx(2 * student_t(14).sf(abs(z)))


def test_groups_of_one_row_change_nothing():
    labels, told = draw(60, seed=4)
    assert calibration_drift(labels, told, groups=np.arange(60)) == calibration_drift(labels, told)


@pytest.mark.parametrize("rows_a_group", [1, 5])
def test_level_of_the_z_and_coverage_of_the_line_hold_with_and_without_groups(rows_a_group):
    random, num_repeats = np.random.default_rng(5), 400
    hits, covered = np.zeros(2), np.zeros(2)
    for _ in range(num_repeats):
        log_odds = np.repeat(random.normal(-0.5, 1.2, size=200 // rows_a_group), rows_a_group)
        uniform = np.repeat(random.uniform(size=200 // rows_a_group), rows_a_group)
        told = 1 / (1 + np.exp(-log_odds))  # rows of a group share label and probability
        found = calibration_drift(uniform < told, told, groups=np.arange(200) // rows_a_group)
        hits += [found.in_the_large_p_value <= 0.05, found.spiegelhalter_p_value <= 0.05]
        covered += [found.intercept.low <= 0 <= found.intercept.high, found.slope.low <= 1 <= found.slope.high]
    slack = 3 * np.sqrt(0.05 * 0.95 / num_repeats)
    assert (hits / num_repeats < 0.05 + slack).all(), hits / num_repeats
    assert (covered / num_repeats > (0.95 if rows_a_group == 1 else 0.9) - slack).all(), covered / num_repeats


def test_too_bold_and_too_low_probabilities_are_found():
    bold = calibration_drift(*draw(2000, seed=6, slope=0.5))
    assert bold.spiegelhalter_p_value < 1e-6 and bold.excess_brier > 0.01 and bold.slope.high < 1
    low = calibration_drift(*draw(2000, seed=7, intercept=0.7))
    assert low.in_the_large_p_value < 1e-6 and low.calibration_gap > 0.08 and low.intercept.low > 0


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([1, 1, 1, 1], [0.2, 0.4, 0.6, 0.8]),  # one class
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]),  # constant
        ([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.8]),  # apart: no largest likelihood
    ],
)
def test_line_that_cannot_be_fitted_is_missing(labels, told):
    found = calibration_drift(np.array(labels), np.array(told))
    assert np.isnan(found.slope.value) and np.isnan(found.intercept.low)
    assert np.isfinite(found.in_the_large_z)


def test_probabilities_without_doubt_have_no_z():
    found = calibration_drift(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]))
    assert np.isnan(found.in_the_large_p_value) and np.isnan(found.spiegelhalter_z)
    assert np.isnan(calibration_drift(np.array([0, 1]), np.array([0.5, 0.5])).spiegelhalter_z)


@pytest.mark.parametrize(
    ("labels", "told", "groups"),
    [
        ([], [], None),
        ([0, np.nan], [0.1, 0.2], None),
        ([0, 1], [0.1, 1.2], None),
        ([0, 1], [0.1, 0.2], ["a"]),
        ([0, 1], [0.1, 0.2], ["a", "a"]),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(labels, told, groups):
    with pytest.raises(BadInputError):
        calibration_drift(np.array(labels), np.array(told), groups=None if groups is None else np.array(groups))


def test_change_of_a_mean_equals_loops_in_every_deal():
    values = np.random.default_rng(8).normal(size=30)
    units = deal(18, 12, rows_a_group=3, num_permutations=8)
    statistics, change = mean_changes(values, units)
    for place, deal_of_units in enumerate(units.sides.T):
        parts = []
        for side in (0, 1):
            groups = [values[units.unit == unit] for unit in np.flatnonzero(deal_of_units == side)]
            num_rows = sum(len(group) for group in groups)
            mean = sum(group.sum() for group in groups) / num_rows
            squares = sum((group.sum() - mean * len(group)) ** 2 for group in groups)
            parts.append((mean, len(groups) / (len(groups) - 1) * squares / num_rows**2))
        difference = parts[1][0] - parts[0][0]
        assert statistics[place] == pytest.approx(abs(difference) / math.sqrt(parts[0][1] + parts[1][1]))
        if place == 0:
            assert change == pytest.approx(difference)


def test_change_of_calibration_holds_its_level_when_only_the_mix_of_cases_moved():
    """Batch of other risk and size, both calibrated: the studentised test may not alarm."""
    random, num_repeats, hits = np.random.default_rng(9), 400, np.zeros(2)
    for repeat in range(num_repeats):
        units = deal(150, 60, num_permutations=99, seed=repeat)
        told = np.concatenate([random.beta(1, 9, size=150), random.beta(3, 4, size=60)])
        labels = random.uniform(size=210) < told
        for place, residual in enumerate(calibration_residuals(labels, told).values()):
            hits[place] += permutation_p_value(mean_changes(residual, units)[0]) <= 0.05
    assert (hits / num_repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / num_repeats)).all(), hits / num_repeats


def test_auc_drop_equals_scikit_learn_in_every_deal():
    labels, told = draw(60, seed=10)
    units = deal(40, 20, rows_a_group=2, num_permutations=8)
    for deal_of_rows, drop in zip(units.sides[units.unit].T, auc_drops(labels, told, units), strict=True):
        sides = [roc_auc_score(labels[deal_of_rows == side], told[deal_of_rows == side]) for side in (0, 1)]
        assert drop == pytest.approx(sides[0] - sides[1])


def test_auc_drop_of_a_batch_of_one_class_is_missing():
    labels = np.r_[np.tile([0, 1], 10), np.zeros(10)]
    assert np.isnan(auc_drops(labels, np.linspace(0, 1, 30), deal(20, 10))[0])
