"""The operating point for a stated sensitivity: against loops over cut-offs, binomial tails, and fresh rows."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.evaluation.operating_point import operating_point_for_sensitivity, sensitivity_lower_bound
from core.evaluation.thresholds import cheapest_threshold
from core.params import TrainParams, parse_section
from core.stages.train import choose_threshold


def scored(num_positive, num_negative, *, seed=0, decimals=12):
    generator = np.random.default_rng(seed)
    is_positive = np.r_[np.ones(num_positive, dtype=bool), np.zeros(num_negative, dtype=bool)]
    score = 1 / (1 + np.exp(-generator.normal(np.where(is_positive, 1.0, -1.0))))
    return is_positive, np.round(score, decimals)


def chance_of_so_many(num_found, num_positives, rate):
    return sum(
        comb(num_positives, k) * rate**k * (1 - rate) ** (num_positives - k)
        for k in range(num_found, num_positives + 1)
    )


@pytest.mark.parametrize(("num_found", "num_positives"), [(1, 1), (3, 20), (59, 59), (97, 100), (60, 80)])
def test_lower_bound_is_where_the_binomial_tail_is_five_percent(num_found, num_positives):
    low, high = 0.0, 1.0
    for _ in range(60):  # bisection of the tail's chance, which rises with the rate
        middle = (low + high) / 2
        low, high = (middle, high) if chance_of_so_many(num_found, num_positives, middle) < 0.05 else (low, middle)
    assert sensitivity_lower_bound(num_found, num_positives) == pytest.approx(low, abs=1e-9)


def test_lower_bound_of_nothing_found_is_zero():
    assert sensitivity_lower_bound(np.array([0, 5]), 5).tolist() == [0.0, pytest.approx(0.05 ** (1 / 5))]


@pytest.mark.parametrize("decimals", [1, 12])  # with ties and without
@pytest.mark.parametrize(("target", "num_positive"), [(0.9, 80), (0.8, 60), (0.95, 100), (0.5, 9)])
def test_operating_point_is_the_largest_cut_whose_bound_reaches_the_target(target, num_positive, decimals):
    is_positive, score = scored(num_positive, 70, seed=num_positive, decimals=decimals)
    found = operating_point_for_sensitivity(is_positive, score, target)
    best = -np.inf
    for cut in np.unique(score):
        num_found = sum(1 for s, p in zip(score, is_positive, strict=True) if p and s >= cut)
        if num_found and sensitivity_lower_bound(num_found, num_positive) >= target:
            best = max(best, cut)
    assert found.is_bound_reached and found.threshold == best
    called = score >= found.threshold
    assert found.sensitivity == called[is_positive].mean() and found.specificity == (~called)[~is_positive].mean()
    assert found.sensitivity_low >= target and found.sensitivity > target
    assert (found.num_positives, found.num_negatives) == (num_positive, 70)


def test_operating_point_of_too_few_positives_falls_back_to_the_estimate_and_says_so():
    is_positive, score = scored(58, 100)  # 0.05 ** (1 / 58) < 0.95: even all of 58 do not promise it
    found = operating_point_for_sensitivity(is_positive, score, 0.95)
    assert not found.is_bound_reached and "58 positive rows are too few" in found.note and "(59 that" in found.note
    assert found.sensitivity >= 0.95 > found.sensitivity_low
    higher = np.sort(score[is_positive & (score > found.threshold)])
    assert (score[is_positive] >= higher[0]).mean() < 0.95
    assert operating_point_for_sensitivity(*scored(59, 100), 0.95).is_bound_reached


def test_operating_point_keeps_its_promise_on_fresh_rows_in_95_of_100_draws():
    kept = []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        positive = np.ones(120, dtype=bool)
        found = operating_point_for_sensitivity(positive, generator.random(120), 0.9)
        kept.append(1 - found.threshold >= 0.9)  # the true sensitivity of uniform scores
    assert 0.93 <= np.mean(kept) <= 0.995


@pytest.mark.parametrize(("target", "positives"), [(0.0, 5), (1.0, 5), (0.9, 0)])
def test_operating_point_of_impossible_demands_is_refused(target, positives):
    with pytest.raises(BadInputError):
        operating_point_for_sensitivity(np.arange(10) < positives, np.linspace(0, 1, 10), target)


def test_train_params_know_the_rule_and_refuse_others():
    params = parse_section(TrainParams, {"threshold_rule": "sensitivity", "target_sensitivity": 0.9}, where="train")
    assert (params.threshold_rule, params.target_sensitivity) == ("sensitivity", 0.9)
    assert TrainParams().threshold_rule == "cost" and TrainParams().input_gate_error_rate is None
    for bad in ({"threshold_rule": "recall"}, {"target_sensitivity": 1.0}, {"input_gate_error_rate": 0.0}):
        with pytest.raises(BadParamsError):
            parse_section(TrainParams, bad, where="train")


def test_threshold_follows_the_rule_of_the_params():
    is_positive, score = scored(120, 150, seed=2)
    by_cost, none = choose_threshold(TrainParams(), is_positive, score)
    assert none is None and by_cost == cheapest_threshold(is_positive, score, 5.0, 1.0)
    params = TrainParams(threshold_rule="sensitivity", target_sensitivity=0.9)
    threshold, point = choose_threshold(params, is_positive, score)
    assert threshold == point.threshold == operating_point_for_sensitivity(is_positive, score, 0.9).threshold
    assert threshold != by_cost


def test_threshold_that_is_fixed_is_taken_whatever_the_rows_are():
    is_positive, score = scored(120, 150, seed=2)
    params = TrainParams(threshold_rule="fixed", fixed_threshold=0.37)
    assert choose_threshold(params, is_positive, score) == (0.37, None)
