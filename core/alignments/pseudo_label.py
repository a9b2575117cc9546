"""Sure target predictions taken as labels."""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class PseudoLabelOptions:
    """threshold: a row counts when its best class is at least this probable."""

    threshold: float = Field(default=0.95, ge=0.0, le=1.0)


@ALIGNMENTS.register("pseudo_label")
class PseudoLabel(Alignment):
    """Cross-entropy of target rows with their own best class, summed over the sure ones and divided by all rows.

    Source: Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method", equations 14 and 15
    (there every row counts: threshold 0).
    """

    Options = PseudoLabelOptions

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss; 0 where no row is sure."""
        confidence, labels = torch.softmax(views.target_logits.detach(), dim=1).max(dim=1)
        losses = nn.functional.cross_entropy(views.target_logits, labels, reduction="none")
        return (losses * (confidence >= self.options.threshold)).mean()
