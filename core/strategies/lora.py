"""LoRA: low-rank adapters beside frozen linear layers (peft), and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.strategies.base import (
    STRATEGIES,
    ParameterGroup,
    Strategy,
    TransferableModel,
    named_parameters_of,
    set_trainable,
)

if TYPE_CHECKING:
    from torch import nn

# The query and value projections by the names that the usual encoders give them.
ATTENTION_NAMES = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin", "qkv")


@dataclass(frozen=True, config=STRICT)
class LoraOptions:
    """rank: of the update. alpha: its scale, times 1 / rank. dropout: on the adapter's input.

    targets: last part of the adapted layers' names; empty = query and value projections, else every linear layer.
    """

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16.0, gt=0.0)
    dropout: float = Field(default=0.05, ge=0.0, lt=1.0)
    targets: tuple[str, ...] = ()


@STRATEGIES.register("lora")
class Lora(Strategy):
    """Only adapters and head move; both are in the parameter groups, so what saves the groups loses neither.

    Source: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", eq. 3.
    """

    Options = LoraOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Add the adapters to the backbone in place; their first output is zero."""
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(
            r=self.options.rank,
            lora_alpha=self.options.alpha,
            lora_dropout=self.options.dropout,
            target_modules=list(self.options.targets) or _target_names(model.backbone),
        )
        set_trainable(model.backbone, is_trainable=False)
        inject_adapter_in_model(config, model.backbone)
        set_trainable(model.head, is_trainable=True)
        adapters = {
            name: parameter
            for name, parameter in named_parameters_of(model, model.backbone).items()
            if parameter.requires_grad
        }
        return [ParameterGroup(named_parameters_of(model, model.head)), ParameterGroup(adapters)]


def _target_names(backbone: nn.Module) -> list[str]:
    """Full names of the layers to adapt."""
    from torch import nn

    linear = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear)]
    attention = [name for name in linear if name.rsplit(".", 1)[-1] in ATTENTION_NAMES]
    return attention or linear
