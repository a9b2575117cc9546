"""Split conformal prediction: when a model should rather say nothing, with a promise that needs no model assumption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.errors import BadInputError


@dataclass(frozen=True)
class ConformalSets:
    """Which classes cannot be ruled out, class by class.

    limits: (C,) a class is in the set while 1 - p(class) <= its limit; infinite where its calibration rows were too
    few for the promise. error_rate: at most so many rows of each class get a set without their class, on average.
    """

    limits: np.ndarray
    error_rate: float

    @classmethod
    def fit(cls, probability: np.ndarray, labels: np.ndarray, *, error_rate: float = 0.05) -> Self:
        """The limit of class c is the ceil((n_c + 1)(1 - error_rate))-th smallest of 1 - p(c) among its n_c rows.

        Shape: probability (N, C), labels (N,) int.
        Source: Vovk, Gammerman & Shafer 2005, section 4.5 (label-conditional); Angelopoulos & Bates 2021, section 2.

        Raises:
            BadInputError: error_rate outside 0 to 1, or shapes that do not fit.
        """
        if not 0 < error_rate < 1:
            raise BadInputError(f"error_rate is {error_rate}, expected between 0 and 1.")
        if len(probability) != len(labels):
            raise BadInputError(f"{len(probability)} probabilities, {len(labels)} labels.")
        limits = np.full(probability.shape[1], np.inf)
        for label in range(probability.shape[1]):
            scores = np.sort(1.0 - probability[labels == label, label])
            rank = int(np.ceil((len(scores) + 1) * (1.0 - error_rate)))
            if rank <= len(scores):
                limits[label] = scores[rank - 1]
        return cls(limits, error_rate)

    def sets(self, probability: np.ndarray) -> np.ndarray:
        """(N, C) bool, which classes are in each row's set."""
        return 1.0 - probability <= self.limits

    def abstains(self, probability: np.ndarray) -> np.ndarray:
        """(N,) bool: the set does not name exactly one class."""
        return self.sets(probability).sum(axis=1) != 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite limit is null."""
        return {"limits": [None if np.isinf(v) else float(v) for v in self.limits], "error_rate": self.error_rate}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(np.array([np.inf if v is None else v for v in values["limits"]]), values["error_rate"])
