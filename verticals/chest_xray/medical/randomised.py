"""Copies of a fitted picture learner whose weights are drawn anew, for the sanity check of its maps."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from core.data.samples import Samples
from core.learners.descriptor_map import DescriptorMap

Part = Literal["head", "all"]


def randomised(learner: Any, samples: Samples, part: Part, *, seed: int, sign: int = 1) -> Any:
    """A copy whose head, or head and backbone, have random weights. The learner itself stays as it is.

    Weights are drawn from a normal distribution with the mean and deviation that each tensor had, so that activations
    keep their size. sign: -1 gives the same draw mirrored at that mean, which is as likely. samples: with a random
    backbone, descriptors of image_probe are standardised by these rows anew; else all of them would lie far from the
    kernel's landmarks, and no gradient were left.
    """
    changed = copy.copy(learner)
    if hasattr(learner, "model_"):
        changed.model_ = copy.deepcopy(learner.model_)
        redraw(changed.model_.head, seed=seed, sign=sign)
        if part == "all":
            redraw(changed.model_.backbone, seed=seed + 1, sign=sign)
        return changed
    generator = np.random.default_rng(seed)
    coefficients = np.asarray(learner.coefficients_, dtype=float)
    noise = generator.standard_normal(coefficients.shape)
    changed.coefficients_ = coefficients.mean() + sign * (coefficients.std() or 1.0) * noise
    if part == "all":
        changed.backbone_ = copy.deepcopy(learner.backbone_)
        changed.backbone_.weights_id = f"redrawn-{sign * (seed + 1)}-{learner.backbone_.weights_id}"
        redraw(changed.backbone_, seed=seed + 1, sign=sign)
        changed.precision_ = "fp32"
        changed.map_ = _standardised(learner.map_, changed.describe(samples))
    return changed


def redraw(module: nn.Module, *, seed: int, sign: int = 1) -> None:
    """Draw every parameter of a module anew, with the mean and deviation that it had; a constant one stays."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            deviation = parameter.std(correction=0) if parameter.numel() > 1 else parameter.abs().mean()
            parameter.copy_(parameter.mean() + sign * deviation * noise)


def _standardised(told: DescriptorMap, descriptors: np.ndarray) -> DescriptorMap:
    """The same map with centre and scale of other descriptors (N, P)."""
    scale = descriptors.std(axis=0).astype(float)
    arrays = {**told.arrays, "centre": descriptors.mean(axis=0).astype(float), "scale": np.where(scale > 0, scale, 1.0)}
    return DescriptorMap(arrays, told.min_group_rows, told.has_unit_length, told.gamma)
