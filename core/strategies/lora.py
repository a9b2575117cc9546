"""LoRA: low-rank adapters beside frozen linear layers or convolutions (peft), and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError, did_you_mean
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

# The query and value projections by the names that the usual encoders give them.
ATTENTION_NAMES = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin", "qkv")


@dataclass(frozen=True, config=STRICT)
class LoraOptions(LastStagesOptions):
    """rank: of the update. alpha: its scale, times 1 / rank. dropout: on the adapter's input.

    targets: last part of the adapted layers' names; empty = query and value projections, else every linear layer; in a
    network without linear layers the 1 x 1 convolutions, else every plain one. Grouped convolutions are never adapted.
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

        targets = _target_names(model.backbone, self.options.targets, self.options.num_stages)
        config = LoraConfig(
            r=self.options.rank,
            lora_alpha=self.options.alpha,
            lora_dropout=self.options.dropout,
            target_modules=targets,
        )
        set_trainable(model.backbone, is_trainable=False)
        inject_adapter_in_model(config, model.backbone)
        set_trainable(model.head, is_trainable=True)
        self.frozen_stages = num_leading_frozen(model)
        kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        return stage_groups(model, layer_decay=self.options.layer_decay, kept=kept)


def _target_names(backbone: Any, told: tuple[str, ...], num_last: int | None) -> list[str]:
    """Full names of the layers to adapt.

    Raises:
        BadParamsError: no layer of the stages that take part can be adapted.
    """
    stages = backbone.stages()
    inside = {id(m) for stage in stages[first_stage(num_last, len(stages)) :] for m in stage.modules()}
    layers = {name: module for name, module in backbone.named_modules() if id(module) in inside and _can_adapt(module)}
    if told:
        chosen = [name for name in layers if any(name == end or name.endswith(f".{end}") for end in told)]
    else:
        chosen = _usual_targets(layers)
    if not chosen:
        raise BadParamsError(
            f"LoRA finds no layer to adapt{' named ' + ' or '.join(told) if told else ''}.",
            repair=did_you_mean(told[0], {name.rsplit(".", 1)[-1] for name in layers})
            if told
            else "Choose strategy 'adapters' or 'bitfit'.",
        )
    return chosen


def _usual_targets(layers: dict[str, nn.Module]) -> list[str]:
    """Attention's projections, else linear layers, else 1 x 1 convolutions, else all convolutions."""
    from torch import nn

    linear = [name for name, module in layers.items() if isinstance(module, nn.Linear)]
    attention = [name for name in linear if name.rsplit(".", 1)[-1] in ATTENTION_NAMES]
    convolutions = [name for name in layers if name not in linear]
    pointwise = [name for name in convolutions if layers[name].kernel_size == (1, 1)]
    return attention or linear or pointwise or convolutions


def _can_adapt(module: nn.Module) -> bool:
    """A linear layer, a 1 x 1 convolution, or a larger one that pads as torch does; none with groups."""
    from torch import nn

    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and (module.kernel_size == (1, 1) or type(module) is nn.Conv2d)
    return isinstance(module, nn.Linear)
