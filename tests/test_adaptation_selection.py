"""Oracles of the criteria that choose without target labels, and what the choice must not fall for."""

import math

import numpy as np
import pytest

from core.alignments.selection import (
    Candidate,
    choose,
    deep_embedded_validation,
    density_ratio_of,
    information_maximisation,
    is_collapsed,
    mean_entropy,
    soft_neighbourhood_density,
    temperature_of,
)
from core.errors import BadParamsError

EQUAL = np.array([0.5, 0.5])


def make_probability(num_rows=9, num_classes=3, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_rows)


def two_classes(positive):
    positive = np.asarray(positive, dtype=float)
    return np.column_stack([1 - positive, positive])


def make_candidate(name, positive, losses=(0.5, 0.6, 0.4), ratio=(1.0, 1.5, 0.5)):
    return Candidate(name, two_classes(positive), np.array(losses), np.array(ratio))


def test_mean_entropy_equals_the_formula_by_loops():
    probability = make_probability()
    expected = sum(-p * math.log(p) for row in probability for p in row) / len(probability)
    assert mean_entropy(probability) == pytest.approx(expected)
    assert mean_entropy(np.eye(3)) == pytest.approx(0.0, abs=1e-9)


def test_information_maximisation_with_equal_priors_is_the_mutual_information():
    probability = make_probability()
    mean = [sum(row[c] for row in probability) / len(probability) for c in range(3)]
    of_mean = -sum(p * math.log(p) for p in mean)
    expected = of_mean - mean_entropy(probability) - math.log(3)
    assert information_maximisation(probability) == pytest.approx(expected)


def test_information_maximisation_with_a_prior_equals_the_formula_by_loops():
    probability, prior = make_probability(), np.array([0.7, 0.2, 0.1])
    mean = [sum(row[c] for row in probability) / len(probability) for c in range(3)]
    divergence = sum(p * math.log(p / q) for p, q in zip(mean, prior, strict=True))
    assert information_maximisation(probability, prior) == pytest.approx(-mean_entropy(probability) - divergence)


def test_information_maximisation_prefers_the_expected_shares():
    rare = two_classes([0.99] * 1 + [0.01] * 9)
    even = two_classes([0.99] * 5 + [0.01] * 5)
    prior = np.array([0.9, 0.1])
    assert information_maximisation(rare, prior) > information_maximisation(even, prior)
    assert information_maximisation(rare) < information_maximisation(even)


def test_soft_neighbourhood_density_equals_the_formula_by_loops():
    probability = make_probability()
    rows = [[p / math.sqrt(sum(q * q for q in row)) for p in row] for row in probability]
    entropies = []
    for i, row in enumerate(rows):
        others = [
            math.exp(sum(a * b for a, b in zip(row, other, strict=True)) / 0.05)
            for j, other in enumerate(rows)
            if j != i
        ]
        shares = [value / sum(others) for value in others]
        entropies.append(-sum(share * math.log(share) for share in shares))
    assert soft_neighbourhood_density(probability) == pytest.approx(np.mean(entropies))


def test_soft_neighbourhood_density_is_highest_for_one_dense_class():
    assert soft_neighbourhood_density(two_classes([0.1] * 8)) == pytest.approx(math.log(7))
    assert soft_neighbourhood_density(two_classes(np.linspace(0, 1, 8))) < math.log(7)


def test_deep_embedded_validation_equals_the_formula_by_loops():
    random = np.random.default_rng(0)
    losses, ratio = random.exponential(size=30), random.exponential(size=30)
    weighted = [w * value for w, value in zip(ratio, losses, strict=True)]
    mean_weighted, mean_ratio = sum(weighted) / 30, sum(ratio) / 30
    covariance = sum((a - mean_weighted) * (w - mean_ratio) for a, w in zip(weighted, ratio, strict=True)) / 29
    variance = sum((w - mean_ratio) ** 2 for w in ratio) / 29
    eta = -covariance / variance
    assert deep_embedded_validation(losses, ratio) == pytest.approx(mean_weighted + eta * mean_ratio - eta)


def test_deep_embedded_validation_with_equal_ratios_is_the_plain_risk():
    assert deep_embedded_validation(np.array([0.2, 0.4]), np.ones(2)) == pytest.approx(0.3)


def test_deep_embedded_validation_varies_less_than_the_weighted_risk():
    random = np.random.default_rng(0)
    plain, controlled = [], []
    for _ in range(300):
        ratio = random.exponential(size=50)
        losses = 1.0 + 0.1 * random.normal(size=50)
        plain.append((ratio * losses).mean())
        controlled.append(deep_embedded_validation(losses, ratio))
    assert np.std(controlled) < 0.3 * np.std(plain)
    assert np.mean(controlled) == pytest.approx(1.0, abs=0.02)


def test_density_ratio_of_a_shifted_normal_follows_the_true_ratio():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(1500, 1)), random.normal(1.0, 1.0, (1500, 1))
    held = np.linspace(-1, 2, 7)[:, None]
    found = density_ratio_of(source, target, held)
    np.testing.assert_allclose(np.log(found), held[:, 0] - 0.5, atol=0.25)


def test_density_ratio_is_capped():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(200, 1)), random.normal(9.0, 1.0, (100, 1))
    assert density_ratio_of(source, target, np.array([[15.0]])).tolist() == pytest.approx([20.0])


def test_temperature_of_doubled_logits_doubles():
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=4000)
    labels = (random.random(4000) < 1 / (1 + np.exp(-logits))).astype(float)
    assert temperature_of(logits, labels) == pytest.approx(1.0, abs=0.1)
    assert temperature_of(2 * logits, labels) == pytest.approx(2 * temperature_of(logits, labels), rel=1e-2)


def test_temperature_of_separable_rows_leaves_doubt():
    logits = np.repeat([-1.0, 1.0], 10)
    drawn_in = np.log(11.0)  # log-odds of (10 + 1) / (10 + 2)
    assert temperature_of(logits, (logits > 0).astype(float)) == pytest.approx(1 / drawn_in, rel=1e-3)


def test_collapse_is_told_against_the_expected_share():
    assert is_collapsed(two_classes([0.1] * 50), EQUAL)
    assert not is_collapsed(two_classes([0.9] * 1 + [0.1] * 49), np.array([0.95, 0.05]))


@pytest.mark.parametrize("criterion", ["snd", "entropy", "information_maximisation"])
def test_choice_passes_over_a_collapsed_candidate(criterion):
    good = make_candidate("good", [0.9] * 10 + [0.1] * 10)
    collapsed = make_candidate("collapsed", [0.001] * 20)
    best, table = choose([collapsed, good], criterion, EQUAL)
    assert best == 1 and [row["is_collapsed"] for row in table] == [True, False]


@pytest.mark.parametrize("criterion", ["snd", "entropy", "information_maximisation"])
def test_choice_prefers_sure_predictions_in_two_clusters(criterion):
    vague = make_candidate("vague", np.linspace(0.0, 1.0, 20))
    sure = make_candidate("sure", [0.97] * 10 + [0.03] * 10)
    assert choose([vague, sure], criterion, EQUAL)[0] == 1


def test_choice_by_dev_takes_the_least_risk_and_the_first_of_equals():
    positive = [0.9] * 5 + [0.1] * 5
    candidates = [
        make_candidate("a", positive),
        make_candidate("b", positive),
        make_candidate("c", positive, (0.9,) * 3),
    ]
    best, table = choose(candidates, "dev", EQUAL)
    assert best == 0 and table[2]["dev"] == pytest.approx(0.9)
    assert set(table[0]) == {"candidate", "information_maximisation", "snd", "entropy", "dev", "is_collapsed"}


def test_choice_by_an_unknown_criterion_offers_the_nearest():
    with pytest.raises(BadParamsError, match="entropy"):
        choose([make_candidate("a", [0.5, 0.5])], "entropi", EQUAL)


def test_choice_of_nothing_is_refused():
    with pytest.raises(BadParamsError, match="no candidate"):
        choose([], "snd", EQUAL)
