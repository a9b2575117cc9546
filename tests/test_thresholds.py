"""Cut-offs against a search over all of them, ties, costs, profit and sensitivity."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadInputError
from core.evaluation.thresholds import (
    bayes_threshold,
    cheapest_threshold,
    cost_curve,
    cutoff_table,
    threshold_cost,
    threshold_for_sensitivity,
)


def rows_with_ties(seed: int, num_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(num_rows), 1)
    return rng.random(num_rows) < score, score


def cost_at(is_positive, score, threshold, miss, alarm):
    total = 0.0
    for positive, value in zip(is_positive, score, strict=True):
        is_adverse = value >= threshold
        total += miss if positive and not is_adverse else alarm if is_adverse and not positive else 0.0
    return total / len(score)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("costs", [(5, 1), (1, 1), (1, 7)])
def test_cheapest_threshold_is_no_dearer_than_any_cut(seed, costs):
    is_positive, score = rows_with_ties(seed)
    chosen = cheapest_threshold(is_positive, score, *costs)
    best = min(cost_at(is_positive, score, cut, *costs) for cut in np.r_[np.linspace(0, 1, 201), 1.01])
    assert cost_at(is_positive, score, chosen, *costs) == pytest.approx(best)
    assert threshold_cost(is_positive, score, chosen, *costs).value == pytest.approx(best)


def test_cost_curve_equals_loop_at_each_threshold():
    is_positive, score = rows_with_ties(3)
    for row in cost_curve(is_positive, score, 5, 1).itertuples():
        assert row.cost_per_row == pytest.approx(cost_at(is_positive, score, row.threshold, 5, 1))
        assert row.adverse_rate == pytest.approx((score >= row.threshold).mean())


def test_cheapest_threshold_among_equal_costs_is_nearest_to_bayes():
    is_positive, score = np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.5, 0.9])
    # Cutting at 0.2 (one alarm) and at 0.7 (one miss) cost the same; the Bayes threshold of equal costs is 0.5.
    assert bayes_threshold(1, 1) == 0.5
    assert cheapest_threshold(is_positive, score, 1, 1) == pytest.approx(0.7)
    assert cheapest_threshold(is_positive, score, 1.001, 1) == pytest.approx(0.2)


def test_cheapest_threshold_where_nobody_is_worth_turning_away_is_finite_and_above_all():
    is_positive, score = np.array([1, 0, 0, 0]), np.array([0.1, 0.2, 0.9, 1.0])
    threshold = cheapest_threshold(is_positive, score, 1, 100)
    assert np.isfinite(threshold) and not (score >= threshold).any()
    assert (score >= cheapest_threshold(is_positive, score, 100, 1)).all()


def test_cheapest_threshold_between_neighbouring_floats_separates_them():
    low = 0.3
    high = np.nextafter(low, 1)
    threshold = cheapest_threshold(np.array([0, 1]), np.array([low, high]), 1, 1)
    assert low < threshold <= high


def test_threshold_cost_interval_equals_bootstrap_of_row_costs():
    is_positive, score = rows_with_ties(1, 200)
    result = threshold_cost(is_positive, score, 0.5, 5, 1, num_bootstrap=4000)
    costs = np.where(is_positive, 5.0 * (score < 0.5), 1.0 * (score >= 0.5))
    error = costs.std() / np.sqrt(200)
    assert (result.low, result.high) == pytest.approx(
        (costs.mean() - 1.96 * error, costs.mean() + 1.96 * error), abs=0.15 * error * 2
    )


def test_cutoff_table_counts_rates_and_profit_equal_loops():
    is_positive, score = rows_with_ties(2, 150)
    amounts = np.random.default_rng(0).uniform(500, 5000, 150)
    table = cutoff_table(is_positive, score, 5, 1, amounts=amounts, margin_fraction=0.1, loss_fraction=0.6)
    assert table["is_cheapest"].sum() == 1
    assert table["approved"].is_monotonic_increasing
    assert (table["approved"].iloc[0], table["approved"].iloc[-1]) == (0, 150)
    for row in table.itertuples():
        approved = score < row.threshold
        assert row.approved == approved.sum()
        assert row.cost_per_applicant == pytest.approx(cost_at(is_positive, score, row.threshold, 5, 1))
        assert row.sensitivity == pytest.approx((~approved & is_positive).sum() / is_positive.sum())
        assert row.false_positive_rate == pytest.approx((~approved & ~is_positive).sum() / (~is_positive).sum())
        profit = 0.1 * amounts[approved & ~is_positive].sum() - 0.6 * amounts[approved & is_positive].sum()
        assert row.profit_per_applicant == pytest.approx(profit / 150)
        assert row.approved_amount == pytest.approx(amounts[approved].sum())
        if approved.any():
            assert row.bad_rate_approved == pytest.approx(is_positive[approved].mean())
            assert row.bad_rate_low <= row.bad_rate_approved <= row.bad_rate_high


@pytest.mark.parametrize(("sensitivity", "wanted"), [(1.0, 0.2), (0.9, 0.3), (0.5, 0.7), (0.01, 1.0)])
def test_threshold_for_sensitivity_is_the_highest_that_finds_enough(sensitivity, wanted):
    positive_scores = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
    score = np.r_[positive_scores, 0.85, 0.05]
    threshold = threshold_for_sensitivity(np.r_[np.ones(10), 0, 0], score, sensitivity)
    assert (positive_scores >= threshold).mean() >= sensitivity
    assert threshold == wanted
    assert (positive_scores > threshold).mean() < sensitivity


@pytest.mark.parametrize("costs", [(0, 1), (1, -1), (np.nan, 1)])
def test_costs_that_are_not_positive_are_refused(costs):
    with pytest.raises(BadInputError, match="above 0"):
        cheapest_threshold(np.array([0, 1]), np.array([0.1, 0.9]), *costs)


def test_thresholds_of_bad_rows_are_refused():
    with pytest.raises(BadInputError, match="All 2 rows are negative"):
        cheapest_threshold(np.array([0, 0]), np.array([0.1, 0.9]), 1, 1)
    with pytest.raises(BadInputError, match="no positive row"):
        threshold_for_sensitivity(np.array([0, 0]), np.array([0.1, 0.9]), 0.9)
    with pytest.raises(BadInputError, match="margin_fraction"):
        cutoff_table(np.array([0, 1]), np.array([0.1, 0.9]), 1, 1, amounts=np.ones(2))
