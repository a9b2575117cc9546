"""Transfers: ways to make a target learner out of source and target rows. One file each.

Tables have no backbone whose weights could move, so what moves here are rows, boosters, scores and priors.
"""

# Importing a module files its transfer in TRANSFERS.
from core.transfers import (  # noqa: F401
    aligned,
    anomaly_guided,
    auto,
    continued_pretraining,
    continued_training,
    fixmatch,
    importance_weighting,
    pooled,
    self_supervised,
    source_only,
    stacked_score,
    target_only,
)
from core.transfers.base import TRANSFERS, Transfer

__all__ = ["TRANSFERS", "Transfer"]
