"""Full fine-tuning that is pulled back to the pretrained weights, not to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, config=STRICT)
class L2SpOptions(LayerDecayOptions):
    """strength: weight of the pull to the pretrained weights. head_strength: of the head's pull to zero."""

    strength: float = Field(default=0.01, ge=0.0)
    head_strength: float = Field(default=0.01, ge=0.0)


@STRATEGIES.register("l2_sp")
class L2Sp(Strategy):
    """Every weight moves, at a price: strength / 2 |w - w0|^2 + head_strength / 2 |v|^2.

    Source: Li, Grandvalet & Davoine 2018, "Explicit inductive bias for transfer learning", eq. 2.
    """

    Options = L2SpOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Free all and remember where the backbone started."""
        set_trainable(model, is_trainable=True)
        self._model = model
        self.restart()
        return stage_groups(model, layer_decay=self.options.layer_decay)

    def restart(self) -> None:
        """Pull to the present weights from now on."""
        self._start = [parameter.detach().clone() for parameter in self._model.backbone.parameters()]

    def penalty(self) -> Tensor:
        """The price of the present weights."""
        moved = sum(
            (parameter - start.to(parameter.device)).pow(2).sum()
            for parameter, start in zip(self._model.backbone.parameters(), self._start, strict=True)
        )
        head = sum(parameter.pow(2).sum() for parameter in self._model.head.parameters())
        return 0.5 * (self.options.strength * moved + self.options.head_strength * head)
