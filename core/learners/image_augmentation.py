"""Augmentation that keeps the label: views by the domain's rule, brightness and contrast, erasing, and mixup."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.images.views import apply_view, num_views
from core.learners.image_tuning_options import JitterOptions

ERASED_RATIO = 2.0  # longest side of an erased rectangle over its shortest


def random_views(pixels: Tensor, views: str, generator: torch.Generator) -> Tensor:
    """Each picture in a view drawn from the rule (`none`, `flip_horizontal`, `flips`, `dihedral`).

    Shape: (N, S, S, C) in and out.
    """
    chosen = torch.randint(num_views(views), (len(pixels),), generator=generator)
    result = pixels.clone()
    for index in chosen.unique().tolist():
        rows = chosen == index
        result[rows] = apply_view(pixels[rows], views, index)
    return result


def jitter(pixels: Tensor, options: JitterOptions, generator: torch.Generator) -> Tensor:
    """Contrast around each picture's own mean, then brightness, then erasing; uint8 in and out.

    Shape: (N, S, S, C).
    """
    num = len(pixels)
    values = pixels.float()
    if options.brightness or options.contrast:
        factor = 1.0 + options.contrast * _symmetric(num, generator)
        shift = 255.0 * options.brightness * _symmetric(num, generator)
        mean = values.mean(dim=(1, 2, 3), keepdim=True)
        values = (values - mean) * factor + mean + shift
    if options.erased_probability:
        values = _erase(values, options, generator)
    return values.round().clamp(0, 255).to(torch.uint8)


def mixup(
    inputs: Tensor, target_probability: Tensor, weights: Tensor, *, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """x' = l x_i + (1 - l) x_j and y' = l y_i + (1 - l) y_j with l ~ Beta(alpha, alpha), one l a batch.

    Inputs are pictures or activations of any shape (N, ...); targets (N, C) and weights (N,) are mixed alike. alpha 0:
    nothing is mixed.
    Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization", eq. 1; on activations Verma et al. 2019,
    "Manifold mixup", section 2.
    """
    if alpha <= 0 or len(inputs) < 2:
        return inputs, target_probability, weights
    seed = int(torch.randint(2**31, (), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    partner = torch.randperm(len(inputs), generator=generator)
    mixed = (share * part + (1.0 - share) * part[partner] for part in (inputs, target_probability, weights))
    return tuple(mixed)


def _symmetric(num: int, generator: torch.Generator) -> Tensor:
    """(N, 1, 1, 1) uniform in -1..1."""
    return (2.0 * torch.rand(num, generator=generator) - 1.0).view(num, 1, 1, 1)


def _erase(values: Tensor, options: JitterOptions, generator: torch.Generator) -> Tensor:
    """A rectangle of some pictures becomes their mean.

    Source: Zhong et al. 2020, "Random erasing data augmentation", algorithm 1, with the mean as filling.
    """
    values, size = values.clone(), values.shape[1]
    for row in torch.nonzero(torch.rand(len(values), generator=generator) < options.erased_probability).flatten():
        area, ratio, *place = torch.rand(4, generator=generator).tolist()
        side = (options.erased_fraction * area) ** 0.5
        stretch = ERASED_RATIO ** (ratio - 0.5)
        sides = [max(1, min(size, round(size * side * factor))) for factor in (stretch, 1.0 / stretch)]
        top, left = (int(where * (size - length + 1)) for where, length in zip(place, sides, strict=True))
        values[row, top : top + sides[0], left : left + sides[1]] = values[row].mean()
    return values
