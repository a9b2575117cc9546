"""An image backbone with a fresh linear head; it runs from pixels or from activations that were kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.backbones.image import ImageBackbone
from core.errors import VerificationError
from core.strategies.base import ParameterGroup, rest_frozen_stages

POOLED = -1  # in place of a number of stages: the inputs are pooled features


class ImageModel(nn.Module):
    """(N, C) logits of (N, 3, S, S) normalised pictures.

    keep_statistics: batch norms use the pretrained means and variances while training too, also where weights move.
    """

    def __init__(
        self, backbone: ImageBackbone, *, num_classes: int = 2, dropout: float = 0.0, keep_statistics: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.feature_dim, num_classes)
        self.keep_statistics = keep_statistics
        self.eval()

    def forward(self, inputs: Tensor, start: int = 0) -> Tensor:
        """(N, C) logits; `inputs` are those of stage `start`, or pooled features where `start` is POOLED."""
        backbone = self.backbone
        features = inputs if start == POOLED else backbone.pool(backbone.run(inputs, start))
        return self.head(self.dropout(features))

    def forward_from(self, activations: Tensor, cut: int) -> Tensor:
        """(N, C) logits of the activations after the first `cut` stages."""
        return self(activations, cut)

    def train(self, mode: bool = True) -> ImageModel:
        """As usual, but what is frozen stays in inference mode: its batch statistics do not move."""
        super().train(mode)
        if mode:
            rest_frozen_stages(self)
            for module in self.modules():
                if self.keep_statistics and isinstance(module, _BatchNorm):
                    module.eval()
        return self


def statistics_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers that a saved model has (means, variances, counts), by name."""
    saved = model.state_dict()
    return {name: buffer.detach().cpu().clone() for name, buffer in model.named_buffers() if name in saved}


def moved_tensors(model: nn.Module, moved: Collection[str], first: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the parameters `moved`, and of the buffers that are no longer as in `first`."""
    named = dict(model.named_parameters())
    tensors = {name: named[name].detach().cpu().clone().contiguous() for name in sorted(moved)}
    for name, buffer in statistics_of(model).items():
        if name not in first or not torch.equal(buffer, first[name]):
            tensors[name] = buffer.contiguous()
    return tensors


@torch.no_grad()
def put_tensors(
    model: nn.Module, groups: Collection[ParameterGroup], tensors: Mapping[str, Tensor], first: Mapping[str, Tensor]
) -> frozenset[str]:
    """Give a model that a strategy has prepared the tensors of `moved_tensors`; the names of those that move.

    first: the buffers before the strategy prepared the model; a buffer that was not saved is as it was then.

    Raises:
        VerificationError: the tensors are not those that the strategy moves.
    """
    moving = frozenset(name for group in groups for name in group.parameters)
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in first}
    odd = sorted((moving - set(tensors)) | (set(tensors) - moving - set(buffers)))
    if odd:
        raise VerificationError(
            f"The saved tensors do not fit their options: '{odd[0]}' and {len(odd) - 1} more.",
            repair="Train it again; saved files are not to be edited.",
        )
    named = dict(model.named_parameters())
    for name in moving:
        named[name].copy_(tensors[name])
    for name, buffer in buffers.items():
        buffer.copy_(tensors.get(name, first[name]))
    return moving
