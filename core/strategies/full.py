"""Full fine-tuning, with an optional decay of the learning rate towards the input."""

from __future__ import annotations

from core.strategies.base import (
    STRATEGIES,
    LayerDecayOptions,
    ParameterGroup,
    Strategy,
    TransferableModel,
    set_trainable,
    stage_groups,
)


@STRATEGIES.register("full")
class Full(Strategy):
    """Every weight moves.

    Source: Howard & Ruder 2018, "Universal language model fine-tuning", section 3.2 (discriminative fine-tuning),
    with the head as the topmost layer.
    """

    Options = LayerDecayOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Free all; the head's group first, then the stages from the output side on."""
        set_trainable(model, is_trainable=True)
        return stage_groups(model, layer_decay=self.options.layer_decay)
