"""Several one-class scores made one: freed of the picture's size, in spreads of good parts, joined by log-sum-exp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.images.image import Image

SMALLEST_SPREAD = 1e-9
LOWEST = -1.5  # a part that finds a picture very ordinary does not outvote one that finds it odd


def log_sizes(images: Sequence[Image]) -> np.ndarray:
    """(N, 2) log of the originals' height and width in pixels."""
    return np.log([[image.height_px, image.width_px] for image in images]).reshape(-1, 2)


def fit_scale(scores: np.ndarray, sizes: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """`trend` (3, K), `centre` (K,) and `spread` (K,) of good parts' scores (N, K).

    sizes (N, 2): log height and log width, whose least-squares line is taken away first: a larger picture has more
    chances of a large maximum. None takes nothing away.
    """
    trend = np.zeros((3, scores.shape[1]))
    if sizes is not None:
        trend = np.linalg.lstsq(_design(sizes), scores, rcond=None)[0]
        scores = scores - _design(sizes) @ trend
    return {
        "trend": trend,
        "centre": np.median(scores, axis=0),
        "spread": np.maximum(scores.std(axis=0), SMALLEST_SPREAD),
    }


def apply_scale(scores: np.ndarray, sizes: np.ndarray, scale: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, K) the scores in spreads of good parts around their median, without the trend of size."""
    return (scores - _design(sizes) @ scale["trend"] - scale["centre"]) / scale["spread"]


def join_scores(standard: np.ndarray, sharpness: float) -> np.ndarray:
    """(N,) log sum_k exp(sharpness max(z_k, -1.5)) of (N, K): near the largest where one stands out, else a mean."""
    return np.log(np.exp(sharpness * np.maximum(standard, LOWEST)).sum(axis=1))


def _design(sizes: np.ndarray) -> np.ndarray:
    """(N, 3) one, log height, log width."""
    return np.column_stack([np.ones(len(sizes)), sizes])
