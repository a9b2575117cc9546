"""The strategy surface: which weights of a pretrained model move, how fast, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass as strict_dataclass

from core.params import STRICT, parse_section
from core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

STRATEGIES: Registry[type[Strategy]] = Registry("strategy")


class TransferableModel(Protocol):
    """A torch module with `backbone` (it has `stages()`, input side first) and a fresh `head`."""

    backbone: Any
    head: nn.Module


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters by their name in the model, and their learning rate as a multiple of the chosen one."""

    parameters: Mapping[str, nn.Parameter]
    learning_rate_scale: float = 1.0


@strict_dataclass(frozen=True, config=STRICT)
class NoOptions:
    """A strategy without options."""


@strict_dataclass(frozen=True, config=STRICT)
class LayerDecayOptions:
    """layer_decay: learning rate of a stage as a multiple of that of the stage above it; 1 = the same for all."""

    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)


@strict_dataclass(frozen=True, config=STRICT)
class LastStagesOptions(LayerDecayOptions):
    """num_stages: how many of the last stages take part; None = all."""

    num_stages: int | None = Field(default=None, ge=1)


class Strategy(ABC):
    """One way to move pretrained weights. `prepare` may add modules (adapters) to the model it is given.

    frozen_stages: after `prepare`, how many leading stages never change during the whole run; a learner may keep what
    they give out instead of running them again.
    """

    Options: ClassVar[type] = NoOptions
    frozen_stages: int = 0

    def __init__(self, options: Mapping[str, Any] | Any | None = None) -> None:
        if is_dataclass(options) and isinstance(options, self.Options):
            self.options = options
        else:
            self.options = parse_section(
                self.Options, options or {}, where=f"strategy_options of {type(self).__name__}"
            )

    @abstractmethod
    def prepare(self, model: TransferableModel) -> list[ParameterGroup]:
        """Freeze what stays, return all that ever moves, each parameter in one group."""

    def restart(self) -> None:  # noqa: B027 - only a strategy that remembers the start needs it
        """Called when the prepared model was given other weights to start from (those of a source domain)."""

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 - most strategies do nothing here
        """Called before epoch 0, 1, ...; it depends on the number alone, so that a run can be resumed."""

    def penalty(self) -> Tensor | float:
        """Added to the loss of every batch."""
        return 0.0


def set_trainable(module: nn.Module, *, is_trainable: bool) -> None:
    """Freeze or free all parameters of a module."""
    for parameter in module.parameters():
        parameter.requires_grad_(is_trainable)


def named_parameters_of(model: nn.Module, module: nn.Module) -> dict[str, nn.Parameter]:
    """The module's parameters by their name in the whole model."""
    inside = {id(parameter) for parameter in module.parameters()}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) in inside}


def stage_groups(
    model: TransferableModel, *, layer_decay: float, kept: Collection[str] | None = None
) -> list[ParameterGroup]:
    """The head at scale 1 and, towards the input, every stage at `layer_decay` times the one above it.

    kept: names of the backbone's parameters that move; None = all.
    """
    groups = [ParameterGroup(named_parameters_of(model, model.head))]
    scale = 1.0
    for stage in reversed(model.backbone.stages()):
        scale *= layer_decay
        inside = named_parameters_of(model, stage)
        groups.append(ParameterGroup({name: p for name, p in inside.items() if kept is None or name in kept}, scale))
    return [group for group in groups if group.parameters]


def first_stage(num_last: int | None, num_stages: int) -> int:
    """Position of the first of the `num_last` last stages; 0 for None or more than there are."""
    return 0 if num_last is None else max(0, num_stages - num_last)


def num_leading_frozen(model: TransferableModel) -> int:
    """How many stages from the input side on have no free parameter."""
    for position, stage in enumerate(model.backbone.stages()):
        if any(parameter.requires_grad for parameter in stage.parameters()):
            return position
    return len(model.backbone.stages())


def rest_frozen_stages(model: TransferableModel) -> None:
    """In a model in training mode, put what is frozen in inference mode: no dropout, and no new batch statistics.

    That is every stage without a free parameter and, in the others, every batch norm whose own weights are frozen.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    for stage in model.backbone.stages():
        if not any(parameter.requires_grad for parameter in stage.parameters()):
            stage.eval()
            continue
        for module in stage.modules():
            own = list(module.parameters(recurse=False))
            if isinstance(module, _BatchNorm) and own and not any(parameter.requires_grad for parameter in own):
                module.eval()
