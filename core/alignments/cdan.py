"""Conditional domain-adversarial training: the discriminator sees features together with predicted classes."""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.alignments.domain_discriminator import domain_loss, make_discriminator, reversal_strength, reverse_gradient
from core.alignments.entropy import row_entropy
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class CdanOptions:
    """use_entropy: sure predictions count more. use_prediction_gradient: the loss moves the predictions, too.

    hidden_size: of the discriminator. highest_strength: of the reversed gradient at the end of training.
    """

    use_entropy: bool = True
    use_prediction_gradient: bool = False
    hidden_size: int = Field(default=64, ge=1)
    highest_strength: float = Field(default=1.0, ge=0.0)


@ALIGNMENTS.register("cdan")
class Cdan(Alignment):
    """The discriminator's cross-entropy on f x g, the outer product of features and class probabilities.

    With entropy conditioning a row weighs 1 + exp(-H(g)), scaled to mean 1 in each domain, without gradient.

    Source: Long et al. 2018, "Conditional adversarial domain adaptation", equations 5 (multilinear map) and 8
    (entropy).
    """

    Options = CdanOptions

    def prepare(self, num_features: int, num_classes: int, *, seed: int) -> None:
        """Make the discriminator."""
        self.discriminator = make_discriminator(num_features * num_classes, self.options.hidden_size, seed=seed)
        self.strength = self.options.highest_strength

    def set_progress(self, fraction: float) -> None:
        """The reversed gradient grows from nothing."""
        self.strength = reversal_strength(fraction, self.options.highest_strength)

    def forward(self, views: AlignmentViews) -> Tensor:
        """The discriminator's loss."""
        source = self._discriminate(views.source_features, views.source_logits)
        target = self._discriminate(views.target_features, views.target_logits)
        if not self.options.use_entropy:
            return domain_loss(source, target)
        return domain_loss(source, target, entropy_weights(views.source_logits), entropy_weights(views.target_logits))

    def _discriminate(self, features: Tensor, logits: Tensor) -> Tensor:
        """(N, 1) log-odds of being a source row."""
        probability = torch.softmax(logits, dim=1)
        if not self.options.use_prediction_gradient:
            probability = probability.detach()
        return self.discriminator(reverse_gradient(multilinear_map(features, probability), self.strength))


def multilinear_map(features: Tensor, probability: Tensor) -> Tensor:
    """(N, C * D): row n, place c * D + d holds probability[n, c] * features[n, d]."""
    return (probability[:, :, None] * features[:, None, :]).flatten(1)


def entropy_weights(logits: Tensor) -> Tensor:
    """(N,) of mean 1, without gradient."""
    weights = 1.0 + torch.exp(-row_entropy(logits.detach()))
    return weights / weights.mean()
