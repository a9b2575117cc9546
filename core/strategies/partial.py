"""Partial fine-tuning: the last few stages and the head move, everything before them stays."""

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
    first_stage,
    named_parameters_of,
    set_trainable,
    stage_groups,
)


@dataclass(frozen=True, config=STRICT)
class PartialOptions(LayerDecayOptions):
    """num_stages: how many of the last stages move; more than there are = all.

    use_depthwise: False leaves the weights of depthwise convolutions as they are, whose gradients are slow on a CPU.
    """

    num_stages: int = Field(default=2, ge=1)
    use_depthwise: bool = True


@STRATEGIES.register("partial")
class Partial(Strategy):
    """After `prepare`, `cut` is the number of frozen stages: their output can be kept and never computed again.

    Source: Yosinski et al. 2014, "How transferable are features in deep neural networks?", section 2.
    """

    Options = PartialOptions

    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Freeze the stages before the cut; free the others and the head."""
        stages = model.backbone.stages()
        self.cut = self.frozen_stages = first_stage(self.options.num_stages, len(stages))
        set_trainable(model.backbone, is_trainable=False)
        set_trainable(model.head, is_trainable=True)
        kept = set()
        for stage in stages[self.cut :]:
            set_trainable(stage, is_trainable=True)
            if not self.options.use_depthwise:
                for module in stage.modules():
                    if getattr(module, "groups", 1) > 1:
                        set_trainable(module, is_trainable=False)
            kept |= {name for name, p in named_parameters_of(model, stage).items() if p.requires_grad}
        return stage_groups(model, layer_decay=self.options.layer_decay, kept=kept)
