"""A network with batch normalisation adapted to unlabelled batches of the target, without the source."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.alignments.entropy import row_entropy
from core.errors import BadParamsError


def batch_norms_of(model: nn.Module) -> list[_BatchNorm]:
    """The model's batch normalisation layers with running statistics.

    Raises:
        BadParamsError: it has none.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not layers:
        raise BadParamsError(
            "The model has no batch normalisation to adapt.",
            repair="Choose a backbone with batch normalisation, or align its features instead.",
        )
    return layers


def adapt_batch_norm(model: nn.Module, batches: Sequence[Tensor], *, prior_num_rows: float = 0.0) -> nn.Module:
    """A copy of the model, in eval mode, whose running statistics are those of the target batches.

    prior_num_rows: what the source's statistics count for, in target rows; 0 forgets them.
    mean = (n mean_T + prior mean_S) / (n + prior), and the variances alike; mean_T is the mean over batches.

    Raises:
        BadParamsError: no batch, or no batch normalisation.

    Source: Li et al. 2017, "Revisiting batch normalization for practical domain adaptation", algorithm 1; the prior is
    Schneider et al. 2020, "Improving robustness against common corruptions by covariate shift adaptation", equation 2.
    """
    _check_batches(batches)
    adapted = deepcopy(model).eval()
    layers = batch_norms_of(adapted)
    of_source = [(layer.running_mean.clone(), layer.running_var.clone(), layer.momentum) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
        layer.train()
    with torch.no_grad():
        for batch in batches:
            adapted(batch)
    num_rows = sum(len(batch) for batch in batches)
    share = num_rows / (num_rows + prior_num_rows)
    for layer, (mean, variance, momentum) in zip(layers, of_source, strict=True):
        layer.running_mean.mul_(share).add_((1 - share) * mean)
        layer.running_var.mul_(share).add_((1 - share) * variance)
        layer.momentum = momentum
    return adapted.eval()


def minimise_entropy(
    model: nn.Module, batches: Sequence[Tensor], *, num_epochs: int = 1, learning_rate: float = 1e-3
) -> nn.Module:
    """A copy of the model, in eval mode: scales and offsets of its batch normalisation moved to sure predictions.

    The model gives (N, C) logits. While it adapts, each batch is normalised by its own statistics; afterwards the
    running statistics are those of the target under the new scales.

    Raises:
        BadParamsError: no batch, no batch normalisation, or none with scale and offset.

    Source: Wang et al. 2021, "Tent: fully test-time adaptation by entropy minimization", section 3 and algorithm 1.
    """
    _check_batches(batches)
    adapted = deepcopy(model).eval()
    was_trainable = {name: parameter.requires_grad for name, parameter in adapted.named_parameters()}
    layers = batch_norms_of(adapted)
    affine = [parameter for layer in layers if layer.affine for parameter in (layer.weight, layer.bias)]
    if not affine:
        raise BadParamsError("The model's batch normalisation has no scale and offset to adapt.")
    adapted.requires_grad_(False)
    for parameter in affine:
        parameter.requires_grad_(True)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train()
        layer.momentum = 0.0
    optimizer = torch.optim.Adam(affine, lr=learning_rate)
    with torch.enable_grad():
        for _ in range(num_epochs):
            for batch in batches:
                optimizer.zero_grad()
                row_entropy(adapted(batch)).mean().backward()
                optimizer.step()
    optimizer.zero_grad()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(was_trainable[name])
    return adapt_batch_norm(adapted, batches)


def _check_batches(batches: Sequence[Tensor]) -> None:
    """Refuse to adapt to nothing: the statistics would be lost."""
    if not batches or any(len(batch) < 2 for batch in batches):
        raise BadParamsError(
            "Batch normalisation adapts to batches of two rows or more.",
            repair="Give at least one batch, and drop a last batch of one row.",
        )
