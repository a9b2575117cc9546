"""Minimum class confusion on target predictions."""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.alignments.entropy import row_entropy
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class MccOptions:
    """temperature: divides the logits, so that sure predictions still tell of the second-best class."""

    temperature: float = Field(default=2.5, gt=0.0)


@ALIGNMENTS.register("mcc")
class Mcc(Alignment):
    """Off-diagonal part of the class confusion, each class's row scaled to sum 1, divided by C.

    Y = softmax(Z / T); W_i = M (1 + exp(-H(y_i))) / sum_i' (1 + exp(-H(y_i'))), without gradient;
    confusion = Y^T W Y, its rows scaled to 1.

    Source: Jin et al. 2020, "Minimum class confusion for versatile domain adaptation", section 3.2 (probability
    rescaling, class correlation, uncertainty reweighting, category normalisation) and the loss of section 3.3.
    """

    Options = MccOptions

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss, 0 to (C - 1) / C."""
        logits = views.target_logits / self.options.temperature
        probability = torch.softmax(logits, dim=1)
        weights = 1.0 + torch.exp(-row_entropy(logits.detach()))
        weights = weights * len(weights) / weights.sum()
        confusion = (probability * weights[:, None]).T @ probability
        confusion = confusion / confusion.sum(dim=1, keepdim=True)
        return (confusion.sum() - confusion.diagonal().sum()) / len(confusion)
