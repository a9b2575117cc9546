"""What a user may set about a training run. Apart from the loop itself, so that reading params needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class LoopOptions:
    """One training run.

    learning_rate: at its highest, after warm-up. warm_up_fraction: share of all steps in which it rises from 0.
    weight_decay: decoupled; never on norms and biases. clip_norm: largest gradient norm; 0 = no clipping.
    patience: epochs without a better validation metric before the run stops; 0 = never stop early.
    mixed_precision: `bf16` halves memory and is faster where the processor has it.
    trackers: `dvclive` writes only when log_folder is given; the others need their package.
    """

    epochs: int = Field(default=5, ge=1)
    batch_size: int = Field(default=32, ge=1)
    optimizer: Literal["adamw", "sgd", "adafactor"] = "adamw"
    learning_rate: float = Field(default=5e-5, gt=0.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)  # sgd only
    weight_decay: float = Field(default=0.01, ge=0.0)
    warm_up_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    clip_norm: float = Field(default=1.0, ge=0.0)
    patience: int = Field(default=2, ge=0)
    mixed_precision: Literal["no", "bf16"] = "no"
    trackers: tuple[Literal["dvclive", "tensorboard", "wandb", "mlflow"], ...] = ("dvclive",)
    log_folder: str | None = None
