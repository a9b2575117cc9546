"""The methods that the protocols compare, each a learner with its options, and how they are run on one split."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from core.data.samples import Samples
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.learners.binary_table import logits_of

SIZE = ImageSpec(size_px=320)
# What a first script does: the pooled output of the last stage, a logistic regression on it.
LAST_LAYER = {"stages": (9,), "statistics": ("mean",), "views": "none", "head": "logistic"}
MULTI_STAGE = {
    "stages": (3, 4, 5, 6, 7, 8),
    "statistics": ("mean", "std", "max", "top", "bottom", "skew"),
    "views": "half_turn",
    "use_signed_root": True,
    "head": "rbf",
    "kernel_width": 1.0,
    "strength": 0.1,
}
# The last four stages and the head, on kept activations of the fifth; the slow depthwise weights stay.
TAIL = {
    "strategy": "partial",
    "strategy_options": {"num_stages": 4, "use_depthwise": False, "layer_decay": 0.6},
    "training": {
        "epochs": 5,
        "batch_size": 32,
        "learning_rate": 1.5e-3,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "patience": 0,
    },
    "views": "flips",
    "test_views": "flips",
    "recipe": {"mixup_alpha": 0.2},
    "use_soft_labels": True,
    "dropout": 0.3,
    "keep_statistics": True,
}
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "last_layer_logistic": ("image_probe", LAST_LAYER),
    "multi_stage": ("image_probe", MULTI_STAGE),
    "multi_stage_soft": ("image_probe", {**MULTI_STAGE, "use_soft_labels": True}),
    "tail_tuning": ("image_classifier", TAIL),
}
# Mean of the parts' log-odds, nothing fitted between them.
ENSEMBLES: Mapping[str, tuple[str, ...]] = {"ensemble": ("multi_stage_soft", "tail_tuning")}


def run_methods(
    names: Sequence[str], train: Samples, test: Samples, *, seed: int, report: Callable[[str], None]
) -> dict[str, tuple[np.ndarray, float]]:
    """Name -> ((N,) log-odds of `test`, seconds), of every method fitted on the labelled rows of `train`."""
    found: dict[str, tuple[np.ndarray, float]] = {}
    for name in names:
        started = time.perf_counter()
        if name in ENSEMBLES:
            parts = [found[part] for part in ENSEMBLES[name]]
            found[name] = (np.mean([logits for logits, _ in parts], axis=0), sum(seconds for _, seconds in parts))
            continue
        learner, options = METHODS[name]
        fitted = LEARNERS[learner](options, seed=seed).fit(train)
        logits = logits_of(fitted, test)
        found[name] = (logits, time.perf_counter() - started)
        report(f"{name}, seed {seed}: {found[name][1]:.0f} s")
    return found


def two_columns(logits: np.ndarray) -> np.ndarray:
    """(N, 2) probabilities of log-odds (N,)."""
    positive = expit(logits)
    return np.column_stack([1 - positive, positive])
