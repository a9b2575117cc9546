"""The methods that the protocols compare, each a learner with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from core.images.spec import ImageSpec

SIZE = ImageSpec(size_px=224, fit="pad")
# What a first script does: the pooled output of the last stage, a logistic regression on it.
LAST_LAYER = {"stages": (9,), "statistics": ("mean",), "views": "none", "head": "logistic"}
MULTI_STAGE = {
    "stages": (3, 4, 5, 6, 7, 8),
    "statistics": ("mean", "std"),
    "views": "flip_horizontal",
    "use_signed_root": True,
    "head": "rbf",
    "kernel_width": 1.0,
    "strength": 0.1,
}
# With few labels a straight line on the same descriptors; its strength is a tenth of their number, told in advance so
# that hundreds of fits stay quick. Calibration is a step of its own.
FEW_LABELS = {
    **{name: MULTI_STAGE[name] for name in ("stages", "statistics", "views", "use_signed_root")},
    "head": "logistic",
    "strength": 150.0,
}
# The last five stages and the head, on kept activations of the fourth.
TAIL = {
    "strategy": "partial",
    "strategy_options": {"num_stages": 5, "layer_decay": 0.8},
    "training": {
        "epochs": 4,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "patience": 0,
    },
    "views": "flip_horizontal",
    "test_views": "flip_horizontal",
    "recipe": {"mixup_alpha": 0.2},
    "dropout": 0.2,
    "keep_statistics": True,
}
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "last_layer_logistic": ("image_probe", LAST_LAYER),
    "multi_stage": ("image_probe", MULTI_STAGE),
    "tail_tuning": ("image_classifier", TAIL),
}
# Mean of the parts' log-odds, nothing fitted between them.
ENSEMBLES: Mapping[str, tuple[str, ...]] = {"ensemble": ("multi_stage", "tail_tuning")}


def two_columns(logits: np.ndarray) -> np.ndarray:
    """(N, 2) probabilities of log-odds (N,)."""
    positive = expit(logits)
    return np.column_stack([1 - positive, positive])
