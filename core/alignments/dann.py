"""Domain-adversarial training: features from which a discriminator cannot tell the domain."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.alignments.domain_discriminator import domain_loss, make_discriminator, reversal_strength, reverse_gradient
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class DannOptions:
    """hidden_size: of the discriminator. highest_strength: of the reversed gradient at the end of training."""

    hidden_size: int = Field(default=64, ge=1)
    highest_strength: float = Field(default=1.0, ge=0.0)


@ALIGNMENTS.register("dann")
class Dann(Alignment):
    """The discriminator's cross-entropy, whose gradient reaches the features with its sign turned.

    Source: Ganin et al. 2016, "Domain-adversarial training of neural networks", equation 9 and section 4.2.
    """

    Options = DannOptions

    def prepare(self, num_features: int, num_classes: int, *, seed: int) -> None:
        """Make the discriminator."""
        self.discriminator = make_discriminator(num_features, self.options.hidden_size, seed=seed)
        self.strength = self.options.highest_strength

    def set_progress(self, fraction: float) -> None:
        """The reversed gradient grows from nothing."""
        self.strength = reversal_strength(fraction, self.options.highest_strength)

    def forward(self, views: AlignmentViews) -> Tensor:
        """The discriminator's loss."""
        return domain_loss(
            self.discriminator(reverse_gradient(views.source_features, self.strength)),
            self.discriminator(reverse_gradient(views.target_features, self.strength)),
        )
