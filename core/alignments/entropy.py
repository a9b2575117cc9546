"""Entropy minimisation: the boundary is pushed out of dense regions of the target."""

from __future__ import annotations

import torch
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews


@ALIGNMENTS.register("entropy")
class Entropy(Alignment):
    """Mean of -sum_c p_c log p_c over target rows.

    Source: Grandvalet & Bengio 2004, "Semi-supervised learning by entropy minimization", equation 6 (second term).
    """

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss, 0 to log C."""
        return row_entropy(views.target_logits).mean()


def row_entropy(logits: Tensor) -> Tensor:
    """(N,) entropy of the softmax of (N, C) logits, in nats."""
    log_probability = torch.log_softmax(logits, dim=1)
    return -(log_probability.exp() * log_probability).sum(dim=1)
