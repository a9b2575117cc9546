"""Figures without labels: every label vector enumerated, the interval by simulation, what it can't see."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import BadInputError
from core.evaluation.metrics import METRICS
from core.evaluation.scored_rows import ScoredRows
from core.lifecycle.monitor.performance_estimate import FIGURES, estimate_performance, observe_performance

PROBABILITY = np.array([0.9, 0.1, 0.45, 0.45, 0.7, 0.3, 0.05, 0.6])
THRESHOLD = 0.45


def all_label_vectors(probability):
    """(chance, labels) of every way the labels may fall."""
    for labels in product([0, 1], repeat=len(probability)):
        labels = np.array(labels)
        yield float(np.prod(np.where(labels == 1, probability, 1 - probability))), labels


def auc_pairs(labels, probability):
    """(pairs won, pairs) by loops."""
    won = pairs = 0.0
    for i, j in product(range(len(labels)), repeat=2):
        if labels[i] == 1 and labels[j] == 0:
            pairs += 1
            won += (probability[i] > probability[j]) + 0.5 * (probability[i] == probability[j])
    return won, pairs


def test_every_figure_is_the_ratio_of_its_parts_expectations_over_all_label_vectors():
    is_adverse = PROBABILITY >= THRESHOLD
    sums = dict.fromkeys(("won", "pairs", "right", "found", "positive", "passed", "negative", "cost"), 0.0)
    for chance, labels in all_label_vectors(PROBABILITY):
        won, pairs = auc_pairs(labels, PROBABILITY)
        parts = {
            "won": won,
            "pairs": pairs,
            "right": (is_adverse == labels).sum(),
            "found": (is_adverse & (labels == 1)).sum(),
            "positive": (labels == 1).sum(),
            "passed": (~is_adverse & (labels == 0)).sum(),
            "negative": (labels == 0).sum(),
            "cost": (np.where(labels == 1, 5.0 * ~is_adverse, 1.0 * is_adverse)).sum(),
        }
        sums = {name: sums[name] + chance * parts[name] for name in sums}
    found = estimate_performance(PROBABILITY, THRESHOLD)
    assert found.auc.value == pytest.approx(sums["won"] / sums["pairs"])
    assert found.accuracy.value == pytest.approx(sums["right"] / 8)
    assert found.sensitivity.value == pytest.approx(sums["found"] / sums["positive"])
    assert found.specificity.value == pytest.approx(sums["passed"] / sums["negative"])
    assert found.cost_per_case.value == pytest.approx(sums["cost"] / 8)


def test_auc_is_near_the_expectation_of_the_auc_itself_over_all_label_vectors():
    random = np.random.default_rng(0)
    probability = random.uniform(0.1, 0.9, size=9)
    total = weight = 0.0
    for chance, labels in all_label_vectors(probability):
        if 0 < labels.sum() < len(labels):
            total += chance * roc_auc_score(labels, probability)
            weight += chance
    assert estimate_performance(probability, 0.5).auc.value == pytest.approx(total / weight, abs=0.015)


def test_observed_figures_equal_the_projects_metrics():
    random = np.random.default_rng(1)
    probability = random.uniform(size=60)
    labels = random.uniform(size=60) < probability
    found = observe_performance(labels, probability, 0.5)
    rows = ScoredRows.of_score(labels, probability)
    assert found.auc.value == pytest.approx(roc_auc_score(labels, probability))
    for name in ("auc", "accuracy"):
        assert getattr(found, name).value == pytest.approx(METRICS[name].of_rows(rows))
    assert found.sensitivity.value == pytest.approx((probability[labels] >= 0.5).mean())
    assert found.specificity.value == pytest.approx((probability[~labels] < 0.5).mean())


def test_labels_for_certain_give_the_observed_figures():
    certain = np.array([0.0, 1.0, 1.0, 0.0])
    found = estimate_performance(certain, 0.5)
    assert [getattr(found, name).value for name in FIGURES] == [1, 1, 1, 1, 0]


def test_interval_holds_the_truth_of_batches_whose_labels_are_drawn():
    random, num_repeats, hits = np.random.default_rng(2), 120, np.zeros(len(FIGURES))
    for repeat in range(num_repeats):
        probability = random.beta(1, 2, size=150)
        labels = random.uniform(size=150) < probability
        told = estimate_performance(probability, 0.3, num_bootstrap=200, seed=repeat)
        seen = observe_performance(labels, probability, 0.3, num_bootstrap=100)
        for place, name in enumerate(FIGURES):
            interval = getattr(told, name)
            hits[place] += interval.low <= getattr(seen, name).value <= interval.high
    assert (hits / num_repeats > 0.95 - 3 * np.sqrt(0.05 * 0.95 / num_repeats)).all()


def test_groups_widen_the_interval():
    random = np.random.default_rng(3)
    probability = np.repeat(random.beta(1, 2, size=20), 10)
    alone = estimate_performance(probability, 0.3).accuracy
    grouped = estimate_performance(probability, 0.3, groups=np.repeat(np.arange(20), 10)).accuracy
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 1.15 * (alone.high - alone.low)


def test_concept_drift_leaves_the_estimate_as_it_was():
    """What the docstring says: labels turned round change the truth, not the estimate."""
    random = np.random.default_rng(4)
    probability = random.beta(1, 2, size=400)
    labels = random.uniform(size=400) < probability
    told = estimate_performance(probability, 0.3).auc
    assert told.low < observe_performance(labels, probability, 0.3).auc.value < told.high
    assert observe_performance(~labels, probability, 0.3).auc.value < told.low - 0.2


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rows_that_are_all_of_one_class_have_no_auc(value):
    found = estimate_performance(np.full(20, value), 0.5)
    assert np.isnan(found.auc.value) and np.isnan(found.auc.low)
    assert found.accuracy.value == 1
    seen = observe_performance(np.full(20, bool(value)), np.linspace(0.1, 0.9, 20), 0.5)
    assert np.isnan(seen.auc.value) and np.isfinite(seen.accuracy.low)


def test_equal_probabilities_rank_nothing():
    assert estimate_performance(np.full(30, 0.3), 0.5).auc.value == pytest.approx(0.5)


@pytest.mark.parametrize("probability", [[], [0.5, np.nan], [0.5, 1.2], [[0.5]]])
def test_no_rows_or_no_probabilities_are_refused(probability):
    with pytest.raises(BadInputError, match="Probabilities"):
        estimate_performance(np.array(probability), 0.5)


def test_wrong_costs_and_groups_are_refused():
    with pytest.raises(BadInputError, match="Costs"):
        estimate_performance(PROBABILITY, 0.5, cost_false_negative=0)
    with pytest.raises(BadInputError, match="groups has 3 rows"):
        estimate_performance(PROBABILITY, 0.5, groups=np.arange(3))
