"""The alignment surface: features and logits of a source and a target batch in, one loss out; no target label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass as strict_dataclass
from torch import Tensor, nn

from core.params import STRICT, parse_section
from core.registry import Registry

ALIGNMENTS: Registry[type[Alignment]] = Registry("alignment")


@dataclass(frozen=True)
class AlignmentViews:
    """What a loss may see of one batch of each domain.

    Shape: source_features (N, D), target_features (M, D), source_logits (N, C), target_logits (M, C),
    source_labels (N,) integers. There is no place for target labels.
    """

    source_features: Tensor
    target_features: Tensor
    source_logits: Tensor
    target_logits: Tensor
    source_labels: Tensor


@strict_dataclass(frozen=True, config=STRICT)
class NoOptions:
    """An alignment without options."""


class Alignment(nn.Module):
    """One loss that draws two domains together. Its own parameters, if any, are made by `prepare`."""

    Options: ClassVar[type] = NoOptions

    def __init__(self, options: Mapping[str, Any] | Any | None = None) -> None:
        super().__init__()
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            self.options = parse_section(
                self.Options, options or {}, where=f"alignment_options of {type(self).__name__}"
            )

    def prepare(self, num_features: int, num_classes: int, *, seed: int) -> None:
        """Make the loss's own parameters (a discriminator), to be trained with the model's by one optimizer."""

    def set_progress(self, fraction: float) -> None:
        """Told before every step how much of the training is over, 0 to 1."""

    @abstractmethod
    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss, a scalar."""
