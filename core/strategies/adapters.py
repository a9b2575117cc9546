"""Adapters: a small residual bottleneck after each frozen stage, and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.params import STRICT
from core.strategies.base import (
    STRATEGIES,
    LastStagesOptions,
    ParameterGroup,
    Strategy,
    TransferableModel,
    first_stage,
    named_parameters_of,
    set_trainable,
)

if TYPE_CHECKING:
    from torch import nn

SMALLEST_BOTTLENECK = 4
PROBE_SIZE_PX = 64


@dataclass(frozen=True, config=STRICT)
class AdaptersOptions(LastStagesOptions):
    """reduction: width of a stage over that of its adapter's bottleneck (never under 4)."""

    reduction: int = Field(default=4, ge=1)


@STRATEGIES.register("adapters")
class Adapters(Strategy):
    """h + W_up relu(W_down h + b_down) + b_up after a stage, W_up and b_up zero at first: the first output is the old.

    On maps W_down and W_up are 1 x 1 convolutions, on sequences linear layers.

    Source: Houlsby et al. 2019, "Parameter-efficient transfer learning for NLP", section 2.1; Rebuffi et al. 2017,
    "Learning multiple visual domains with residual adapters", section 3.1 (the form on maps).
    """

    Options = AdaptersOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Freeze the backbone, hang an adapter on each stage that takes part.

        Raises:
            BadParamsError: the model has adapters already, or the width of a stage cannot be told.
        """
        from torch import nn

        backbone = model.backbone
        if hasattr(backbone, "stage_adapters"):
            raise BadParamsError("This model has adapters already.", repair="Prepare a freshly loaded backbone.")
        stages = backbone.stages()
        first = self.frozen_stages = first_stage(self.options.num_stages, len(stages))
        set_trainable(backbone, is_trainable=False)
        set_trainable(model.head, is_trainable=True)
        widths = _widths_of(backbone)
        backbone.stage_adapters = nn.ModuleDict()
        groups = [ParameterGroup(named_parameters_of(model, model.head))]
        scale = 1.0
        for position in reversed(range(first, len(stages))):
            scale *= self.options.layer_decay
            adapter = _make_adapter(widths[position], reduction=self.options.reduction)
            backbone.stage_adapters[str(position)] = adapter
            _called_module(stages[position]).register_forward_hook(_adapt_output(adapter))
            groups.append(ParameterGroup(named_parameters_of(model, adapter), scale))
        return groups


def _make_adapter(width: int, *, reduction: int) -> nn.Module:
    """The bottleneck; its second layer is zero."""
    from torch import nn

    inner = max(SMALLEST_BOTTLENECK, width // reduction)
    adapter = nn.ModuleDict({"down": nn.Linear(width, inner), "up": nn.Linear(inner, width)})
    nn.init.zeros_(adapter["up"].weight)
    nn.init.zeros_(adapter["up"].bias)
    return adapter


def _adapt_output(adapter: nn.Module) -> Any:
    """A hook that adds the adapter's answer to a stage's output: (N, C, h, w) maps, else features last."""
    import torch

    def bottleneck(values: Any) -> Any:
        is_map = values.ndim == 4
        rows = values.movedim(1, -1) if is_map else values
        answer = adapter["up"](torch.relu(adapter["down"](rows)))
        return values + (answer.movedim(-1, 1) if is_map else answer)

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (bottleneck(output[0]), *output[1:])
        return bottleneck(output)

    return hook


def _called_module(stage: nn.Module) -> nn.Module:
    """The module whose output is the stage's.

    A ModuleList only groups: the stage comes first, what follows (a last norm, pooling) reads it. A Sequential may have
    been made for the list of stages alone; its last member is called in any case.
    """
    from torch import nn

    while isinstance(stage, (nn.ModuleList, nn.Sequential)):
        stage = stage[0] if isinstance(stage, nn.ModuleList) else stage[-1]
    return stage


def _widths_of(backbone: Any) -> list[int]:
    """Features of each stage's output: seen on a blank picture where the backbone gives maps, else read off layers."""
    import torch

    stages = backbone.stages()
    if not hasattr(backbone, "maps"):
        return [_width_by_layers(stage) for stage in stages]
    was_training = backbone.training
    backbone.eval()
    device = next(backbone.parameters()).device
    with torch.no_grad():
        blank = torch.zeros((1, 3, PROBE_SIZE_PX, PROBE_SIZE_PX), device=device)
        widths = [one.shape[1] for one in backbone.maps(blank, range(1, len(stages) + 1))]
    backbone.train(was_training)
    return widths


def _width_by_layers(stage: nn.Module) -> int:
    """The output width of the stage's last linear or norm layer."""
    from torch import nn

    for module in reversed(list(stage.modules())):
        if isinstance(module, nn.Linear):
            return module.out_features
        if isinstance(module, nn.LayerNorm):
            return module.normalized_shape[-1]
    raise BadParamsError(
        f"A stage of kind {type(stage).__name__} has no linear layer to tell its width.",
        repair="Choose strategy 'lora' or 'bitfit' for this backbone.",
    )
