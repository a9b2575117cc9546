"""The sequence network: causal convolutions over the last days, and a line that corrects RiskMetrics' forecast."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.forecasting.windows import CHANNELS, STATICS

DILATIONS = (1, 2, 4, 8, 16)  # with kernels of 3 days the last day sees 63 days


class CausalBlock(nn.Module):
    """A residual block whose output of a day depends on that day and earlier ones alone."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.past = 2 * dilation
        self.convolution = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, days: Tensor) -> Tensor:
        """(B, width, T) -> (B, width, T)."""
        seen = nn.functional.gelu(self.convolution(nn.functional.pad(days, (self.past, 0))))
        return days + self.mix(seen)


class SequenceBackbone(nn.Module):
    """Days (B, 3, T) and statics (B, 5) to features (B, width + 5).

    Source: the dilated causal convolutions of Bai, Kolter & Koltun 2018, "An empirical evaluation of generic
    convolutional and recurrent networks for sequence modeling", section 3, with one convolution a block.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.entry = nn.Conv1d(len(CHANNELS), width, 1)
        self.blocks = nn.ModuleList(CausalBlock(width, dilation) for dilation in DILATIONS)
        self.feature_dim = width + len(STATICS)

    def forward(self, days: Tensor, statics: Tensor) -> Tensor:
        """(B, feature_dim)."""
        out = self.entry(days)
        for block in self.blocks:
            out = block(out)
        return torch.cat([out[:, :, -1], statics], dim=1)

    def stages(self) -> list[nn.Module]:
        """Input side first."""
        return [self.entry, *self.blocks]


class SequenceNetwork(nn.Module):
    """Log variance of each horizon in multiples of the scale: the base plus a line of the features.

    The line starts at zero, so an untrained network forecasts as RiskMetrics does.
    """

    def __init__(self, num_horizons: int, width: int) -> None:
        super().__init__()
        self.backbone = SequenceBackbone(width)
        self.head = nn.Linear(self.backbone.feature_dim, num_horizons)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, days: Tensor, statics: Tensor, base: Tensor) -> Tensor:
        """(B, H) log variances; base (B,)."""
        return base[:, None] + self.head(self.backbone(days, statics))


def qlike_of_logs(log_variance: Tensor, targets: Tensor) -> Tensor:
    """Mean of log f + y / f over the targets (B, H) that are known; 0 where none is.

    Source: Patton 2011, "Volatility forecast comparison using imperfect volatility proxies" (QLIKE).
    """
    is_known = torch.isfinite(targets)
    losses = log_variance + torch.nan_to_num(targets) * torch.exp(-log_variance)
    return (losses * is_known).sum() / is_known.sum().clamp(min=1)
