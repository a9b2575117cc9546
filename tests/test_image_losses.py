"""Losses and weights of image learners against plain loops."""

import math

import numpy as np
import pytest
import torch

from core.learners.image_losses import balanced_batch, balanced_class_weights, focal_loss, prior_log_odds
from core.learners.torch_loop import soft_cross_entropy


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(7, 3)) * 2
    targets = generator.dirichlet([1, 1, 1], size=7)
    return logits, targets, generator.uniform(0, 2, 7)


def as_tensors(rows):
    return tuple(torch.tensor(part, dtype=torch.float64) for part in rows)


def plain_focal(logits, targets, weights, gamma):
    total = 0.0
    for row in range(len(logits)):
        sizes = [math.exp(value) for value in logits[row]]
        for label in range(len(sizes)):
            probability = sizes[label] / sum(sizes)
            total -= (
                weights[row] * targets[row, label] * (1 - probability) ** gamma * math.log(probability) / sum(weights)
            )
    return total


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_equals_a_plain_loop(rows, gamma):
    assert focal_loss(*as_tensors(rows), gamma=gamma).item() == pytest.approx(plain_focal(*rows, gamma), rel=1e-9)


def test_focal_loss_of_gamma_zero_is_the_cross_entropy(rows):
    tensors = as_tensors(rows)
    assert focal_loss(*tensors, gamma=0.0).item() == pytest.approx(soft_cross_entropy(*tensors).item(), rel=1e-9)


def test_focal_loss_of_a_sure_row_has_a_finite_gradient():
    logits = torch.tensor([[60.0, -60.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([[1.0, 0.0]]), torch.ones(1), gamma=0.5).backward()
    assert torch.isfinite(logits.grad).all()


def test_balanced_class_weights_give_every_class_the_same_total():
    targets, weights = np.eye(2)[[0, 0, 0, 0, 1]], np.array([1.0, 1.0, 1.0, 1.0, 2.0])
    found = balanced_class_weights(targets, weights)
    np.testing.assert_allclose(found, [6 / (2 * 4), 6 / (2 * 2)])
    totals = [sum(weights[row] * found[0] for row in range(4)), weights[4] * found[1]]
    assert totals[0] == pytest.approx(totals[1])
    assert sum(totals) == pytest.approx(weights.sum())


def test_balanced_class_weights_without_a_class_stay_finite():
    np.testing.assert_allclose(balanced_class_weights(np.eye(2)[[0, 0]], np.ones(2)), [0.5, 1.0])


def test_prior_log_odds_is_that_of_the_weighted_rows():
    found = prior_log_odds(np.eye(2)[[0, 0, 1]], np.array([1.0, 2.0, 0.5]))
    assert found == pytest.approx(math.log(0.5 / 3.0))


@pytest.mark.parametrize("num_rows", [1, 2, 7, 16])
def test_balanced_batch_holds_as_many_of_each_class(num_rows):
    targets = np.array([0] * 20 + [1] * 2)
    rows = balanced_batch(targets, num_rows, torch.Generator().manual_seed(0))
    counts = np.bincount(targets[rows], minlength=2)
    assert len(rows) == num_rows
    assert abs(counts[0] - counts[1]) <= 1
    common = rows[targets[rows] == 0]
    assert len(set(common)) == len(common)


def test_balanced_batch_of_a_seed_is_the_same_and_of_another_is_not():
    targets = np.arange(40) % 2
    first, again, other = (balanced_batch(targets, 16, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
