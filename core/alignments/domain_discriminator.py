"""A small network that tells source from target, and the layer that turns its gradient round."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class _ReversedGradient(torch.autograd.Function):
    """Identity forward, -strength times the gradient backward."""

    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """The features; their gradient comes back times -strength.

    Source: Ganin et al. 2016, "Domain-adversarial training of neural networks", equations 16 and 17.
    """
    return _ReversedGradient.apply(features, strength)


def reversal_strength(progress: float, highest: float) -> float:
    """highest * (2 / (1 + exp(-10 p)) - 1): the discriminator learns first, then the features follow it.

    Source: Ganin et al. 2016, section 5.2.2 (the schedule of lambda).
    """
    return highest * (2.0 / (1.0 + math.exp(-10.0 * progress)) - 1.0)


def make_discriminator(num_inputs: int, hidden_size: int, *, seed: int) -> nn.Module:
    """(N, num_inputs) -> (N, 1) log-odds of being a source row; one hidden layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(num_inputs, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1))


def domain_loss(
    source_logits: Tensor,
    target_logits: Tensor,
    source_weights: Tensor | None = None,
    target_weights: Tensor | None = None,
) -> Tensor:
    """Mean of the two domains' (weighted) mean cross-entropies, source = 1; each domain counts half.

    Shape: logits (N, 1) and (M, 1); weights (N,) and (M,), of mean 1.
    """
    source_losses = nn.functional.softplus(-source_logits[:, 0])
    target_losses = nn.functional.softplus(target_logits[:, 0])
    if source_weights is not None:
        source_losses = source_losses * source_weights
    if target_weights is not None:
        target_losses = target_losses * target_weights
    return 0.5 * (source_losses.mean() + target_losses.mean())
