"""Contributions for a learner that has none of its own: what changes when one column becomes typical?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from core.data.samples import Samples

# Probabilities of exactly 0 or 1 would have infinite log odds.
SMALLEST_PROBABILITY = 1e-6


class Scores(Protocol):
    """Anything that scores samples."""

    def predict_probability(self, samples: Samples) -> np.ndarray:
        """(N, C) probabilities."""


def occlusion_contributions(
    learner: Scores, samples: Samples, typical: Mapping[str, float | str | None]
) -> pd.DataFrame:
    """(N, F) ln odds(x) - ln odds(x with feature j at its typical value), of class 1.

    Unlike Shapley values these do not add up to the prediction where features act together. Costs F + 1
    passes.

    Source: Robnik-Sikonja & Kononenko (2008), Explaining Classifications for Individual Instances, eq. 3.
    """
    actual = _log_odds(learner, samples)
    columns = {}
    for feature in samples.schema.features:
        value = typical.get(feature.name)
        frame = samples.inputs.copy(deep=False)
        if feature.kind == "number":
            frame[feature.name] = np.nan if value is None else float(value)
        else:
            frame[feature.name] = np.full(len(frame), value, dtype=object)
        columns[feature.name] = actual - _log_odds(learner, samples.with_inputs(frame, samples.schema))
    return pd.DataFrame(columns)


def _log_odds(learner: Scores, samples: Samples) -> np.ndarray:
    """(N,) log odds of class 1."""
    probability = learner.predict_probability(samples)[:, 1]
    probability = probability.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.log(probability / (1 - probability))
