"""The optimizer of a run and its learning rate at every step; pure functions, so that a run can be resumed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from core.learners.loop_options import LoopOptions
from core.strategies.base import ParameterGroup


def make_optimizer(groups: Sequence[ParameterGroup], options: LoopOptions) -> torch.optim.Optimizer:
    """The optimizer over the groups, each divided into weights that decay and norms and biases that do not."""
    divided = []
    for group in groups:
        rate = options.learning_rate * group.learning_rate_scale
        for has_decay in (True, False):
            parameters = [p for p in group.parameters.values() if (p.ndim > 1) == has_decay]
            if parameters:
                decay = options.weight_decay if has_decay else 0.0
                divided.append({"params": parameters, "lr": rate, "peak_learning_rate": rate, "weight_decay": decay})
    if options.optimizer == "sgd":
        return torch.optim.SGD(divided, lr=options.learning_rate, momentum=options.momentum)
    if options.optimizer == "adafactor":
        return torch.optim.Adafactor(divided, lr=options.learning_rate)
    return torch.optim.AdamW(divided, lr=options.learning_rate)


def learning_rate_scale(step: int, num_steps: int, options: LoopOptions) -> float:
    """The learning rate at step 0, 1, ... as a multiple of its highest value: linear rise, then the schedule to 0."""
    num_warm_up = int(options.warm_up_fraction * num_steps)
    if step < num_warm_up:
        return step / num_warm_up
    progress = (step - num_warm_up) / max(1, num_steps - num_warm_up)
    if options.schedule == "linear":
        return 1.0 - progress
    if options.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0
