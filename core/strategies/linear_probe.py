"""Linear probe: the backbone stays as it is, only the head learns."""

from __future__ import annotations

from core.strategies.base import (
    STRATEGIES,
    ParameterGroup,
    Strategy,
    TransferableModel,
    named_parameters_of,
    set_trainable,
)


@STRATEGIES.register("linear_probe")
class LinearProbe(Strategy):
    """Only the head moves. Learners that know it cache the features instead of running the backbone again."""

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Freeze the backbone; one group, the head."""
        set_trainable(model.backbone, is_trainable=False)
        set_trainable(model.head, is_trainable=True)
        self.frozen_stages = len(model.backbone.stages())
        return [ParameterGroup(named_parameters_of(model, model.head))]
