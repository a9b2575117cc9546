"""Full fine-tuning, with an optional decay of the learning rate towards the input."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.strategies.base import (
    STRATEGIES,
    ParameterGroup,
    Strategy,
    TransferableModel,
    set_trainable,
    stage_groups,
)


@dataclass(frozen=True, config=STRICT)
class FullOptions:
    """layer_decay: learning rate of a stage as a multiple of that of the stage above it; 1 = the same for all."""

    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)


@STRATEGIES.register("full")
class Full(Strategy):
    """Every weight moves.

    Source: Howard & Ruder 2018, "Universal language model fine-tuning", section 3.2 (discriminative fine-tuning),
    with the head as the topmost layer.
    """

    Options = FullOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Free all; the head's group first, then the stages from the output side on."""
        set_trainable(model, is_trainable=True)
        return stage_groups(model, layer_decay=self.options.layer_decay)
