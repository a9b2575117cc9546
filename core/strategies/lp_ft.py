"""Linear probing, then fine-tuning: a fresh head must not drag pretrained weights along with its first errors."""

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
class LpFtOptions(LayerDecayOptions):
    """head_epochs: epochs in which only the head moves. layer_decay: as in `full`, afterwards."""

    head_epochs: int = Field(default=1, ge=1)


@STRATEGIES.register("lp_ft")
class LpFt(Strategy):
    """Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution"."""

    Options = LpFtOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """All weights are in a group; the backbone is free from epoch `head_epochs` on."""
        self._model = model
        self.start_epoch(0)
        return stage_groups(model, layer_decay=self.options.layer_decay)

    def start_epoch(self, epoch: int) -> None:
        """Free the backbone once the head had its epochs."""
        set_trainable(self._model.head, is_trainable=True)
        set_trainable(self._model.backbone, is_trainable=epoch >= self.options.head_epochs)
