"""The strategy surface: which weights of a pretrained model move, how fast, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

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


class Strategy(ABC):
    """One way to move pretrained weights. `prepare` may add modules (adapters) to the model it is given."""

    Options: ClassVar[type] = NoOptions

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


def stage_groups(model: TransferableModel, *, layer_decay: float) -> list[ParameterGroup]:
    """The head at scale 1 and, towards the input, every stage at `layer_decay` times the one above it."""
    groups = [ParameterGroup(named_parameters_of(model, model.head))]
    scale = 1.0
    for stage in reversed(model.backbone.stages()):
        scale *= layer_decay
        groups.append(ParameterGroup(named_parameters_of(model, stage), scale))
    return [group for group in groups if group.parameters]
