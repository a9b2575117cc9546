"""Where in a picture a convolutional classifier saw its evidence: class activation maps by gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

CamMethod = Literal["grad_cam", "grad_cam_plus_plus", "layer_cam"]
TINY = 1e-12


def class_activation(model: nn.Module, inputs: Tensor, *, stage: int, method: CamMethod = "grad_cam") -> Tensor:
    """(N, h, w) >= 0 evidence for class 1 against class 0, in log-odds: what a picture of such cells alone would give.

    model: has `.backbone.run`, `.backbone.pool` and `.head` (two logits, or one). inputs: normalised (N, 3, S, S).
    stage: number of stages after which maps are read; late ones know the class, early ones the place.
    """
    backbone = model.backbone
    with torch.no_grad():
        maps = backbone.run(inputs, 0, stage)
    maps = maps.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        logits = model.head(backbone.pool(backbone.run(maps, stage)))
        score = logits[:, 1] - logits[:, 0] if logits.shape[1] > 1 else logits[:, 0]
        (gradients,) = torch.autograd.grad(score.sum(), maps)
    return combine(maps.detach(), gradients, method) * maps.shape[-1] * maps.shape[-2]


def combine(maps: Tensor, gradients: Tensor, method: CamMethod) -> Tensor:
    """(N, h, w) of maps A and gradients g = dy / dA, both (N, C, h, w).

    grad_cam: relu(sum_k a_k A_k), a_k = mean g_k. grad_cam_plus_plus: a_k = sum_ij alpha_kij relu(g_kij) / (h w) with
    alpha = g^2 / (2 g^2 + sum_ab A_kab g^3). layer_cam: relu(sum_k relu(g_k) A_k).

    Source: Selvaraju et al. 2017, eq. 1-2; Chattopadhay et al. 2018, eq. 5 and 19, for the score exp(y), over h w so
    that all three are on one scale; Jiang et al. 2021, "LayerCAM", eq. 5-7.
    """
    if method == "layer_cam":
        return relu((relu(gradients) * maps).sum(dim=1))
    if method == "grad_cam":
        weights = gradients.mean(dim=(2, 3))
    else:
        squares, cubes = gradients.square(), gradients.pow(3)
        below = 2.0 * squares + maps.sum(dim=(2, 3), keepdim=True) * cubes
        alpha = squares / torch.where(below.abs() > TINY, below, torch.ones_like(below))
        weights = (alpha * relu(gradients)).mean(dim=(2, 3))
    return relu(torch.einsum("nc,nchw->nhw", weights, maps))
