"""What a score says of a case beside the decision: a probability of each kind, and of each finding."""

from __future__ import annotations

import numpy as np

from core.data.manifest import FINDING_PREFIX
from core.data.samples import Samples
from core.learners.scoring_model import ScoringModel

PROBABILITY_DECIMALS = 6


def kind_probabilities(model: ScoringModel, samples: Samples, positive: np.ndarray) -> np.ndarray:
    """(N, K) P(positive) P(kind | positive), kinds as the model orders them, of (N,) `positive`; K = 0 without any."""
    return (positive[:, None] * model.predict_kinds(samples)).round(PROBABILITY_DECIMALS)


def kind_columns(model: ScoringModel, of_kind: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    """`<prefix><word>` -> (N,) of the (N, K) probabilities of kinds."""
    words = model.kinds.words if model.kinds is not None else ()
    return {f"{prefix}{word}": of_kind[:, place] for place, word in enumerate(words)}


def finding_columns(model: ScoringModel, samples: Samples) -> dict[str, np.ndarray]:
    """`finding_<name>` -> (N,) probabilities, each by itself; none of a model without findings."""
    names = model.findings.names if model.findings is not None else ()
    told = model.predict_findings(samples).round(PROBABILITY_DECIMALS)
    return {f"{FINDING_PREFIX}{name}": told[:, place] for place, name in enumerate(names)}
