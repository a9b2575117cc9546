"""Channels taken out of a trained network's inverted residuals; what is left makes up for them by least squares."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import BadParamsError
from core.images.image import Image

CHANNEL_STEP = 8  # processors compute so many channels at once; a count between two steps is no faster
MAX_POSITIONS = 200  # of a map, evenly spaced: neighbours tell the same
RIDGE = 1e-3  # of the mean variance of a channel: with fewer positions than channels the variances are singular
BATCH_SIZE = 8


@dataclass(frozen=True)
class InnerChannels:
    """The channels between an expansion and a projection.

    makers: (convolution, its batch norm) that make them, the last one depthwise where there are two.
    """

    makers: tuple[tuple[nn.Conv2d, nn.Module], ...]
    project: nn.Conv2d
    project_norm: nn.Module

    @property
    def num(self) -> int:
        """How many there are."""
        return self.project.in_channels


@dataclass(frozen=True)
class Moments:
    """mean (C,), covariance (C, C) of what the projection of block number `place` gets."""

    place: int
    mean: np.ndarray
    covariance: np.ndarray


def inner_channels(module: nn.Module) -> list[InnerChannels]:
    """Of timm's inverted and edge residuals, in order; blocks with squeeze-and-excitation stay as they are."""
    found = []
    for block in module.modules():
        is_inverted = all(hasattr(block, name) for name in ("conv_pw", "conv_dw", "conv_pwl", "bn3"))
        is_edge = all(hasattr(block, name) for name in ("conv_exp", "conv_pwl", "bn2"))
        if not (is_inverted or is_edge) or any(True for _ in getattr(block, "se", nn.Identity()).children()):
            continue
        if is_inverted:
            makers = ((block.conv_pw, block.bn1), (block.conv_dw, block.bn2))
            found.append(InnerChannels(makers, block.conv_pwl, block.bn3))
        else:
            found.append(InnerChannels(((block.conv_exp, block.bn1),), block.conv_pwl, block.bn2))
    return [block for block in found if _is_plain(block)]


def pruned_copy(module: nn.Module, moments: Sequence[Moments], fraction: float) -> nn.Module:
    """A copy with about that fraction of the inner channels less in each block whose moments are told.

    All outputs keep their shape. No label is read: the moments tell which channels the others replace best, and how.

    Raises:
        BadParamsError: no moments, or the fraction is not from 0 to below 1.
    """
    if not 0 <= fraction < 1:
        raise BadParamsError(f"Fraction of pruned channels: {fraction}, expected from 0 to below 1.")
    if not moments:
        raise BadParamsError("The network runs no inverted residual without squeeze-and-excitation; none is pruned.")
    pruned = copy.deepcopy(module).eval()
    blocks = inner_channels(pruned)
    for of_block in moments:
        block, mean, covariance = blocks[of_block.place], of_block.mean, of_block.covariance
        num_kept = min(block.num, CHANNEL_STEP * int(np.ceil((1 - fraction) * block.num / CHANNEL_STEP)))
        if num_kept == block.num:
            continue
        weights, norm = block.project.weight.detach().double().numpy()[:, :, 0, 0], block.project_norm
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().double().numpy()
        kept, new = choose_channels(weights, covariance, num_kept, scale=scale)
        remove_channels(block, kept, new, shift=weights @ mean - new @ mean[kept])
    return pruned


def choose_channels(
    weights: np.ndarray, covariance: np.ndarray, num_kept: int, *, scale: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(kept channels in order, their weights (O, K)) of a linear layer y = weights x + a constant.

    One channel after another leaves: the one whose loss adds least to E|scale * (y - old y)|^2 when all others are
    weighed anew; that is |scale * w_j|^2 / [covariance^-1]_jj, and w - w_j [covariance^-1]_j. / [covariance^-1]_jj
    are the new weights, the least squares solution.

    Shape: weights (O, C); covariance (C, C) of x; scale (O,), 1 where not told.
    Source: Hassibi & Stork 1993, "Second order derivatives for network pruning: Optimal Brain Surgeon", eq. 5, with a
    channel's weights in place of one; He et al. 2017, "Channel pruning for accelerating very deep neural networks",
    section 3.1 (to reconstruct a layer's output by least squares).
    """
    num = weights.shape[1]
    new = torch.tensor(weights, dtype=torch.float64)
    squared_scale = torch.ones(len(new), dtype=torch.float64) if scale is None else torch.as_tensor(scale).square()
    level = RIDGE * max(float(np.trace(covariance)) / num, 1e-12)
    inverse = torch.linalg.inv(torch.as_tensor(covariance) + level * torch.eye(num, dtype=torch.float64))
    is_kept = torch.ones(num, dtype=torch.bool)
    for _ in range(num - num_kept):
        losses = squared_scale @ new.square() / inverse.diagonal()
        leaving = int(torch.where(is_kept, losses, torch.inf).argmin())
        row = inverse[leaving] / inverse[leaving, leaving]
        new.addr_(new[:, leaving].clone(), row, alpha=-1.0)
        inverse.addr_(inverse[:, leaving].clone(), row, alpha=-1.0)
        is_kept[leaving] = False
    kept = is_kept.nonzero()[:, 0].numpy()
    return kept, new.numpy()[:, kept]


@torch.no_grad()
def remove_channels(block: InnerChannels, kept: np.ndarray, weights: np.ndarray, *, shift: np.ndarray) -> None:
    """Cut the block in place to those channels; the projection gets `weights` (O, K), its output `shift` (O,)."""
    rows = torch.as_tensor(kept)
    for conv, norm in block.makers:
        if conv.groups > 1:
            conv.groups = conv.in_channels = len(kept)
        conv.out_channels, norm.num_features = len(kept), len(kept)
        conv.weight = nn.Parameter(conv.weight[rows].clone(), requires_grad=False)
        conv.bias = None if conv.bias is None else nn.Parameter(conv.bias[rows].clone(), requires_grad=False)
        norm.weight, norm.bias = (nn.Parameter(t[rows].clone(), requires_grad=False) for t in (norm.weight, norm.bias))
        norm.running_mean, norm.running_var = norm.running_mean[rows].clone(), norm.running_var[rows].clone()
    block.project.in_channels = len(kept)
    block.project.weight = nn.Parameter(torch.as_tensor(weights).float()[:, :, None, None], requires_grad=False)
    block.project_norm.running_mean = block.project_norm.running_mean - torch.as_tensor(shift).float()


@torch.no_grad()
def channel_moments(module: nn.Module, pixels: np.ndarray) -> list[Moments]:
    """Of each block that runs on the pictures, over pictures and places. Shape: pixels (N, S, S, C) uint8."""
    blocks = inner_channels(module)
    counts = [0] * len(blocks)
    sums = [torch.zeros(block.num, dtype=torch.float64) for block in blocks]
    products = [torch.zeros((block.num, block.num), dtype=torch.float64) for block in blocks]

    def watch(place: int, maps: Tensor) -> None:
        area = maps.flatten(2)
        chosen = np.linspace(0, area.shape[2] - 1, min(MAX_POSITIONS, area.shape[2])).astype(int)
        rows = area[:, :, torch.as_tensor(chosen)].transpose(1, 2).flatten(0, 1)
        counts[place] += len(rows)
        sums[place] += rows.sum(dim=0, dtype=torch.float64)
        products[place] += rows.T @ rows

    hooks = [
        block.project.register_forward_pre_hook(lambda _, inputs, place=place: watch(place, inputs[0]))
        for place, block in enumerate(blocks)
    ]
    try:
        for start in range(0, len(pixels), BATCH_SIZE):
            module(torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH_SIZE])))
    finally:
        for hook in hooks:
            hook.remove()
    means = [(total / max(count, 1)).numpy() for total, count in zip(sums, counts, strict=True)]
    return [
        Moments(place, means[place], products[place].numpy() / count - np.outer(means[place], means[place]))
        for place, count in enumerate(counts)
        if count
    ]


def _is_plain(block: InnerChannels) -> bool:
    """Plain convolutions (of all channels, or of one each) and batch norms: an adapter in a layer's place is not."""
    makers = [conv for conv, _ in block.makers]
    norms = [norm for _, norm in block.makers] + [block.project_norm]
    return (
        all(isinstance(conv, nn.Conv2d) for conv in (*makers, block.project))
        and all(isinstance(norm, nn.BatchNorm2d) for norm in norms)
        and all(conv.groups in (1, block.num) for conv in makers)
        and block.project.groups == 1
    )


@torch.no_grad()
def recentre(pruned: Any, full: Any, images: Sequence[Image]) -> None:
    """Move the pruned head's centre in place by how far the mean descriptor of the pictures moved.

    pruned, full: `ProbeLogits`. What pruning adds to a maximum, say, on every picture would else look like a defect.
    """
    from core.backbones.engine import Engine
    from core.learners.image_descriptors import describe_anew

    means = [
        describe_anew(images, Engine(logits.backbone, "fused"), logits.options).mean(axis=0, dtype=np.float64)
        for logits in (pruned, full)
    ]
    pruned.centre += torch.as_tensor(means[0] - means[1])


def num_parameters(module: nn.Module) -> int:
    """Weights that a module learned; its head may hold more, as plain numbers."""
    return sum(parameter.numel() for parameter in module.parameters())
