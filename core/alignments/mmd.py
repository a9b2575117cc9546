"""Maximum mean discrepancy with several Gaussian kernels."""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from core.alignments.base import ALIGNMENTS, Alignment, AlignmentViews
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class MmdOptions:
    """bandwidth_multipliers: of the median squared distance, one kernel each, averaged.

    is_unbiased: leaves out each row's kernel with itself; it can then fall below zero.
    """

    bandwidth_multipliers: tuple[float, ...] = Field(default=(0.25, 0.5, 1.0, 2.0, 4.0), min_length=1)
    is_unbiased: bool = False


@ALIGNMENTS.register("mmd")
class Mmd(Alignment):
    """mean k(s, s') + mean k(t, t') - 2 mean k(s, t), k(x, y) = mean over m of exp(-|x - y|^2 / (m * median)).

    The median is over the squared distances of all pairs of distinct rows of both domains; no gradient goes through it.

    Source: Gretton et al. 2012, "A kernel two-sample test", equations 3 (unbiased) and 5 (biased) and section 8
    (median); several kernels as in Long et al. 2015, "Learning transferable features with deep adaptation networks",
    equation 2, here with equal weights.
    """

    Options = MmdOptions

    def forward(self, views: AlignmentViews) -> Tensor:
        """The loss; at least two rows a domain."""
        num_source = len(views.source_features)
        rows = torch.cat([views.source_features, views.target_features])
        distances = squared_distances(rows)
        with torch.no_grad():
            is_pair = torch.triu(torch.ones_like(distances, dtype=torch.bool), diagonal=1)
            median = distances[is_pair].median().clamp_min(torch.finfo(rows.dtype).tiny)
        multipliers = self.options.bandwidth_multipliers
        kernel = sum(torch.exp(-distances / (multiplier * median)) for multiplier in multipliers) / len(multipliers)
        within_source = self._mean_within(kernel[:num_source, :num_source])
        within_target = self._mean_within(kernel[num_source:, num_source:])
        return within_source + within_target - 2 * kernel[:num_source, num_source:].mean()

    def _mean_within(self, kernel: Tensor) -> Tensor:
        """Mean over pairs of one domain's rows."""
        if not self.options.is_unbiased:
            return kernel.mean()
        num_rows = len(kernel)
        return (kernel.sum() - kernel.diagonal().sum()) / (num_rows * (num_rows - 1))


def squared_distances(rows: Tensor) -> Tensor:
    """(N, N) of (N, D) rows, never negative."""
    centred = rows - rows.mean(dim=0).detach()  # smaller numbers, less cancellation
    norms = centred.pow(2).sum(dim=1)
    return (norms[:, None] + norms[None, :] - 2 * centred @ centred.T).clamp_min(0.0)
