"""The calibrator surface: fit on rows the learner was not fitted on, transform, plain numbers in and out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from core.errors import BadInputError
from core.evaluation.scored_rows import ScoredRows
from core.registry import Registry

CALIBRATORS: Registry[type[Calibrator]] = Registry("calibration")
# Probabilities of 0 and 1 have no finite logit; one in a million is as sure as a raw score can claim to be.
SMALLEST_PROBABILITY = 1e-6


class Calibrator(ABC):
    """A map from raw to calibrated probabilities. Fit it on validation rows only."""

    needs_every_class: ClassVar[bool] = True
    num_classes_: int

    def fit(self, probability: np.ndarray, labels: np.ndarray) -> Self:
        """Fit on raw probabilities (N, C) and class indices (N,).

        Raises:
            BadInputError: shapes, missing values, or a class without a row (a map of it cannot be known).
        """
        rows = ScoredRows.checked(labels, probability, 0)
        missing = sorted(set(range(rows.probability.shape[1])) - set(np.unique(rows.labels).tolist()))
        if missing and self.needs_every_class:
            raise BadInputError(
                f"{type(self).__name__} has no row of class {missing} among {len(rows)}.",
                repair="Calibrate on more rows, or set train.calibration to none.",
            )
        self.num_classes_ = rows.probability.shape[1]
        self._fit(rows.probability, rows.labels)
        return self

    def transform(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (N, C) of raw ones (N, C); rows sum to one.

        Raises:
            BadInputError: another number of classes than was fitted.
        """
        probability = np.asarray(probability, dtype=float)
        if probability.ndim != 2 or probability.shape[1] != self.num_classes_:
            raise BadInputError(
                f"Probabilities have shape {probability.shape}, expected (N, {self.num_classes_}) as fitted."
            )
        return self._transform(probability)

    def to_dict(self) -> dict[str, Any]:
        """The fitted state, JSON-ready; `from_dict` gives the same map to the last bit."""
        return {"num_classes": self.num_classes_, **self._state()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        calibrator = cls()
        calibrator.num_classes_ = int(values["num_classes"])
        calibrator._load(values)
        return calibrator

    @abstractmethod
    def _fit(self, probability: np.ndarray, labels: np.ndarray) -> None: ...

    @abstractmethod
    def _transform(self, probability: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _state(self) -> dict[str, Any]: ...

    @abstractmethod
    def _load(self, values: dict[str, Any]) -> None: ...


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds; probabilities are held between 1e-6 and 1 - 1e-6."""
    held = np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.log(held) - np.log1p(-held)


def each_class(probability: np.ndarray) -> list[int]:
    """The columns that need a map of their own: all, or of two classes the second, for the first is its rest."""
    return [1] if probability.shape[1] == 2 else list(range(probability.shape[1]))


def joined(columns: list[np.ndarray], raw: np.ndarray) -> np.ndarray:
    """One-vs-rest values as (N, C) rows that sum to one; a row of zeros keeps its raw probabilities.

    Source: Zadrozny & Elkan 2002, section 4, normalisation.
    """
    if len(columns) == 1:
        return np.column_stack([1 - columns[0], columns[0]])
    values = np.column_stack(columns)
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1), raw)
