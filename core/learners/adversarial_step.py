"""One step of the strongest small change of a batch, to train on instead of the batch itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEP_FACTOR = 1.25  # of epsilon


def fast_perturbed(
    loss_of: Callable[[Tensor], Tensor], grey: Tensor, epsilon: float, generator: torch.Generator
) -> Tensor:
    """x + d with d = clamp(d0 + 1.25 e sign(dL/dx at x + d0), -e, e), d0 uniform in the e cube; cut to 0..1.

    The inner maximum of min E[max_d L(x + d)], approximated by one step. loss_of: a scalar of pictures. epsilon: of the
    range 0..1.

    Shape: grey (N, ...) in 0..1; the same comes out, detached.
    Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", equation 2.1; the step:
    Wong, Rice & Kolter 2020, "Fast is better than free: revisiting adversarial training", algorithm 3.
    """
    first = epsilon * (2.0 * torch.rand(grey.shape, generator=generator) - 1.0).to(grey.device)
    start = (grey + first).clamp(0.0, 1.0).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss_of(start), start)
    change = (first + STEP_FACTOR * epsilon * slope.sign()).clamp(-epsilon, epsilon)
    return (grey + change).clamp(0.0, 1.0).detach()


class PictureScale:
    """Between a model's normalised inputs (N, 3, S, S) and grey values 0..1, one channel where all three are one."""

    def __init__(self, normalise: Callable[[Tensor], Tensor], *, is_grey: bool) -> None:
        """normalise: (N, S, S, C) pixels 0..255 to inputs, channel by channel a line."""
        self.low, self.high = (normalise(torch.full((1, 1, 1, 3), float(value))) for value in (0, 255))
        self.is_grey = is_grey

    def to_grey(self, inputs: Tensor) -> Tensor:
        """(N, 1 or 3, S, S) in 0..1."""
        grey = ((inputs - self.low.to(inputs.device)) / (self.high - self.low).to(inputs.device)).clamp(0.0, 1.0)
        return grey[:, :1] if self.is_grey else grey

    def to_inputs(self, grey: Tensor) -> Tensor:
        """(N, 3, S, S) normalised."""
        return self.low.to(grey.device) + (self.high - self.low).to(grey.device) * grey
