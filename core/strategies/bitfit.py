"""BitFit: only biases and the affine parameters of norm layers move, and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.strategies.base import (
    STRATEGIES,
    LastStagesOptions,
    ParameterGroup,
    Strategy,
    TransferableModel,
    first_stage,
    num_leading_frozen,
    set_trainable,
    stage_groups,
)

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, config=STRICT)
class BitfitOptions(LastStagesOptions):
    """norm_only: the norm layers' scales and shifts move, other biases stay."""

    norm_only: bool = False


@STRATEGIES.register("bitfit")
class Bitfit(Strategy):
    """About one weight in a thousand moves; batch statistics of norms that move do so too.

    Source: Ben Zaken et al. 2022, "BitFit", section 3 (biases); Frankle et al. 2021, "Training BatchNorm and only
    BatchNorm", section 3 (`norm_only`).
    """

    Options = BitfitOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Free biases and norms of the stages that take part, and the head."""
        set_trainable(model.backbone, is_trainable=False)
        set_trainable(model.head, is_trainable=True)
        stages = model.backbone.stages()
        for stage in stages[first_stage(self.options.num_stages, len(stages)) :]:
            self._free(stage)
        self.frozen_stages = num_leading_frozen(model)
        kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        return stage_groups(model, layer_decay=self.options.layer_decay, kept=kept)

    def _free(self, stage: nn.Module) -> None:
        """Free what moves in one stage."""
        for module in stage.modules():
            is_of_norm = is_norm(module)
            for name, parameter in module.named_parameters(recurse=False):
                is_bias = name.endswith("bias") and not self.options.norm_only
                parameter.requires_grad_(is_of_norm or is_bias)


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises: torch's own layers, and others by the name of their class (`RMSNorm`)."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase

    return isinstance(module, (_NormBase, nn.LayerNorm, nn.GroupNorm)) or "Norm" in type(module).__name__
