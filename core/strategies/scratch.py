"""From scratch: the pretrained weights are thrown away and all are drawn anew; what transfer is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from torch import nn

FALLBACK_STANDARD_DEVIATION = 0.02  # of parameters whose module cannot draw them itself (class tokens, positions)


@STRATEGIES.register("scratch")
class Scratch(Strategy):
    """Every weight is drawn anew and moves; batch statistics start anew too.

    The draw is from torch's global generator, which the training loop seeds for each run.
    """

    Options = LayerDecayOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Draw the backbone again, free all."""
        import torch

        seed = int(torch.randint(2**31, ()))
        if hasattr(model.backbone, "reset"):
            model.backbone.reset(seed)
        else:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                _draw_again(model.backbone)
        set_trainable(model, is_trainable=True)
        return stage_groups(model, layer_decay=self.options.layer_decay)


def _draw_again(backbone: nn.Module) -> None:
    """Each module's own initial values; a plain normal draw for parameters that no module can draw."""
    from torch import nn

    for module in backbone.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
            continue
        for parameter in module.parameters(recurse=False):
            nn.init.normal_(parameter, std=FALLBACK_STANDARD_DEVIATION)
