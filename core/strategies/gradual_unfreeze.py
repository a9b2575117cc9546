"""Gradual unfreezing: the head first, then one more stage after every few epochs, from the output side."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.strategies.base import (
    STRATEGIES,
    LayerDecayOptions,
    ParameterGroup,
    Strategy,
    TransferableModel,
    set_trainable,
    stage_groups,
)


@dataclass(frozen=True, config=STRICT)
class GradualUnfreezeOptions(LayerDecayOptions):
    """epochs_per_stage: epochs before the next stage is freed. layer_decay: as in `full`."""

    epochs_per_stage: int = Field(default=1, ge=1)


@STRATEGIES.register("gradual_unfreeze")
class GradualUnfreeze(Strategy):
    """Source: Howard & Ruder 2018, "Universal language model fine-tuning", section 3.3."""

    Options = GradualUnfreezeOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """All weights are in a group; in epoch 0 only the head is free."""
        self._model = model
        self.start_epoch(0)
        return stage_groups(model, layer_decay=self.options.layer_decay)

    def start_epoch(self, epoch: int) -> None:
        """Free the uppermost `epoch // epochs_per_stage` stages."""
        stages = self._model.backbone.stages()
        num_free = min(epoch // self.options.epochs_per_stage, len(stages))
        set_trainable(self._model.head, is_trainable=True)
        for position, stage in enumerate(stages):
            set_trainable(stage, is_trainable=position >= len(stages) - num_free)
