"""Tabled TreeSHAP: equal to XGBoost's own and to Shapley's definition over all subsets of columns."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import xgboost
from small_credit_model import make_raw_rows, make_samples

from core.learners import LEARNERS, tree_ensemble, tree_shapley
from core.learners.tree_shapley import TreeShapley

NUM_COLUMNS, NUM_CATEGORIES = 5, 7


def make_rows(num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, two columns of category codes and 15 % missing values; labels that depend on all of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, NUM_COLUMNS)).astype(np.float32)
    values[:, 3:] = rng.integers(0, NUM_CATEGORIES, (num_rows, 2))
    score = values[:, 0] * values[:, 1] + (values[:, 3] % 3) - np.abs(values[:, 4] - 3) + rng.normal(size=num_rows)
    values[rng.random(values.shape) < 0.15] = np.nan
    return values, (np.nan_to_num(score) > 0).astype(float)


def matrix_of(values: np.ndarray, labels: np.ndarray | None = None) -> xgboost.DMatrix:
    kinds = ["q", "q", "q", "c", "c"]
    return xgboost.DMatrix(values, labels, feature_types=kinds, enable_categorical=True)


def fit_booster(num_rounds: int = 25, **params) -> xgboost.Booster:
    values, labels = make_rows(800, seed=0)
    params = {"objective": "binary:logistic", "nthread": 1, "seed": 0, "eta": 0.2} | params
    return xgboost.train(params, matrix_of(values, labels), num_rounds)


@pytest.mark.parametrize(
    "params",
    [
        {"max_depth": 1},
        {"max_depth": 3, "max_cat_to_onehot": 1},
        {"max_depth": 4, "max_cat_to_onehot": 100},
        {"max_depth": 6, "min_child_weight": 0},
        {"max_depth": 8, "max_cat_to_onehot": 1},
        {"max_depth": 4, "num_parallel_tree": 3, "subsample": 0.5},
    ],
)
def test_tree_shapley_equals_xgboost_on_every_row(params, monkeypatch):
    monkeypatch.setattr(tree_shapley, "ROWS_PER_BLOCK", 300)  # several blocks, the last one not full
    booster = fit_booster(**params)
    values, _ = make_rows(1000, seed=1)
    expected = booster.predict(matrix_of(values), pred_contribs=True)[:, :-1]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(TreeShapley.of_booster(booster).contributions(values), expected, atol=2e-5)


def test_tree_shapley_of_a_sliced_and_continued_booster_equals_xgboost():
    values, labels = make_rows(800, seed=0)
    continued = xgboost.train({"nthread": 1}, matrix_of(values, labels), 5, xgb_model=fit_booster()[:10])
    expected = continued.predict(matrix_of(values), pred_contribs=True)[:, :-1]
    np.testing.assert_allclose(TreeShapley.of_booster(continued).contributions(values), expected, atol=2e-5)


def test_shapley_of_leaf_equals_the_definition_over_all_subsets():
    rng = np.random.default_rng(0)
    for num_columns in (1, 2, 4):
        passes = rng.integers(0, 2, (num_columns, 6)).astype(float)
        fraction = rng.random(num_columns)
        shares = tree_shapley._shapley_of_leaf(passes, fraction)
        for pattern in range(6):
            outcome = passes[:, pattern]

            def worth(chosen, outcome=outcome, fraction=fraction):
                return np.prod([outcome[j] if j in chosen else fraction[j] for j in range(len(fraction))])

            for i in range(num_columns):
                others = [j for j in range(num_columns) if j != i]
                expected = 0.0
                for size in range(num_columns):
                    weight = factorial(size) * factorial(num_columns - size - 1) / factorial(num_columns)
                    for chosen in combinations(others, size):
                        expected += weight * (worth({*chosen, i}) - worth(set(chosen)))
                np.testing.assert_allclose(shares[i, pattern], expected)


def test_tree_shapley_of_deep_trees_gives_none():
    assert TreeShapley.of_booster(fit_booster(num_rounds=1, max_depth=14, min_child_weight=0, gamma=0)) is None


def test_contributions_of_many_rows_equal_those_of_few_also_after_a_new_fit(monkeypatch):
    fresh = make_samples(make_raw_rows(120, seed=3))
    learner = LEARNERS["boosted_trees"]({"num_rounds": 20, "num_bags": 2}, seed=0)
    for seed in (1, 2):
        train = make_samples(make_raw_rows(400, seed=seed))
        learner.fit(train)
        samples = fresh.with_inputs(fresh.inputs, train.schema)
        few = learner.contributions(samples)
        with monkeypatch.context() as patch:
            patch.setattr(tree_ensemble, "MIN_ROWS_FOR_TABLES", 1)
            patch.setattr(xgboost.Booster, "predict", None)  # the walk must not be taken
            many = learner.contributions(samples)
        assert np.abs(few.to_numpy()).max() > 0.05
        np.testing.assert_allclose(many, few, atol=2e-5)
