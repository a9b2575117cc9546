"""Information maximisation: sure about every row, and in all of them together near the expected class shares."""

from __future__ import annotations

import torch
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.alignments.entropy import row_entropy


@ALIGNMENTS.register("information_maximisation")
class InformationMaximisation(Alignment):
    """Mean H(p) - H(mean p) over target rows: the negative mutual information of row and predicted class.

    Source: Liang, Hu & Feng 2020, "Do we really need to access the source data?" (SHOT), equations 3 and 4.
    """

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss, -log C to 0."""
        mean_probability = torch.softmax(views.target_logits, dim=1).mean(dim=0)
        diversity = -(mean_probability * mean_probability.clamp_min(1e-12).log()).sum()
        return row_entropy(views.target_logits).mean() - diversity
