"""The loss that brings two views of one picture together and pushes all other pictures away."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.2) -> Tensor:
    """Mean over all 2 N views i of -log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) ), j the other view of i's picture.

    Shape: first and second (N, D), two views of the same N pictures, of any length; s is the cosine. A scalar.
    Source: Chen et al. 2020, "A simple framework for contrastive learning of visual representations", equation 1 and
    algorithm 1.
    """
    num = len(first)
    views = normalize(torch.cat([first, second]), dim=1)
    similarity = views @ views.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * num, dtype=torch.bool, device=views.device), float("-inf"))
    partner = torch.arange(2 * num, device=views.device).roll(num)
    return cross_entropy(similarity, partner)
