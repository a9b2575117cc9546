"""Conformal sets: the quantile by hand, the promise by simulation, and what is saved."""

import json

import numpy as np
import pytest

from core.errors import BadInputError
from core.evaluation.conformal import ConformalSets


def two_class(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, num)
    positive = 1 / (1 + np.exp(-(1.5 * (2 * labels - 1) + rng.normal(0, 1.5, num))))
    return np.column_stack([1 - positive, positive]), labels


def test_conformal_limit_equals_the_ranked_score():
    probability, labels = two_class(97, 0)
    fitted = ConformalSets.fit(probability, labels, error_rate=0.1)
    for label in (0, 1):
        scores = sorted(1 - row[label] for row, truth in zip(probability, labels, strict=True) if truth == label)
        rank = int(np.ceil((len(scores) + 1) * 0.9))
        assert fitted.limits[label] == scores[rank - 1]


def test_conformal_sets_hold_the_truth_as_promised_class_by_class():
    held = np.zeros((2, 2))
    for seed in range(200):
        fitted = ConformalSets.fit(*two_class(120, seed), error_rate=0.1)
        probability, labels = two_class(200, 10_000 + seed)
        sets = fitted.sets(probability)
        for label in (0, 1):
            rows = labels == label
            held[label] += [sets[rows, label].sum(), rows.sum()]
    assert (held[:, 0] / held[:, 1] >= 0.895).all()
    assert (held[:, 0] / held[:, 1] <= 0.95).all()


def test_conformal_with_too_few_rows_abstains_everywhere():
    probability, labels = two_class(6, 1)
    fitted = ConformalSets.fit(probability, labels, error_rate=0.05)
    assert np.isinf(fitted.limits).all()
    assert fitted.abstains(probability).all()


def test_conformal_saved_and_loaded_is_equal():
    fitted = ConformalSets.fit(*two_class(50, 2), error_rate=0.2)
    again = ConformalSets.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.limits, fitted.limits)


def test_conformal_with_an_impossible_error_rate_is_refused():
    with pytest.raises(BadInputError, match="error_rate"):
        ConformalSets.fit(*two_class(20, 3), error_rate=1.0)
