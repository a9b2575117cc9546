"""Networks that sources taught, kept on disk: the stages of a run, and the next run, train each of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from core.data.feature_cache import FeatureCache
from core.forecasting.series import Series

TRAINING = "sequence network, training 1"  # the number rises when the training gives other weights


def sources_digest(sources: Sequence[Series]) -> str:
    """SHA-256 of all days of the sources, names left out."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{len(source)} {source.has_range}".encode())
        for values in (source.dates.astype(np.int64), source.returns, source.day_variance):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def kept_weights(sources: Sequence[Series], told: object, train: Callable[[], np.ndarray]) -> np.ndarray:
    """(P,) float32 weights from the cache of features, else of `train`, which is kept then.

    told: all besides the sources that decides the weights, as its text.
    """
    cache = FeatureCache(min_rows=1)
    return cache.get(sources_digest(sources), TRAINING, [repr(told)], lambda items: train()[None])[0]
