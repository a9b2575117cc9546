"""Ways to move pretrained weights: one file each."""

from core.strategies import (
    adapters,
    bitfit,
    full,
    gradual_unfreeze,
    l2_sp,
    linear_probe,
    lora,
    lp_ft,
    partial,
    scratch,
)
from core.strategies.base import STRATEGIES, ParameterGroup, Strategy

__all__ = [
    "STRATEGIES",
    "ParameterGroup",
    "Strategy",
    "adapters",
    "bitfit",
    "full",
    "gradual_unfreeze",
    "l2_sp",
    "linear_probe",
    "lora",
    "lp_ft",
    "partial",
    "scratch",
]
