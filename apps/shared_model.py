"""A scoring model of a table that many sessions ask, one at a time."""

from __future__ import annotations

from dataclasses import fields
from threading import RLock
from typing import Self

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.learners.scoring_model import ScoringModel

TURN = RLock()


class SharedModel(ScoringModel):
    """Sessions are threads, and trees are told before every score how many threads the rows are worth: XGBoost refuses
    a score ("need_configuration_") while another session tells the same trees.
    """

    @classmethod
    def of(cls, model: ScoringModel) -> Self:
        """The same model, asked in turns."""
        return cls(**{one.name: getattr(model, one.name) for one in fields(model)})

    def predict_probability(self, samples: Samples) -> np.ndarray:
        """(N, C) calibrated probabilities."""
        with TURN:
            return super().predict_probability(samples)

    def predict_all(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """((N, C) calibrated probabilities, (N, 2) interval of the positive class)."""
        with TURN:
            return super().predict_all(samples)

    def predict_kinds(self, samples: Samples) -> np.ndarray:
        """(N, K) P(kind | positive)."""
        with TURN:
            return super().predict_kinds(samples)

    def predict_findings(self, samples: Samples) -> np.ndarray:
        """(N, K) probabilities of findings."""
        with TURN:
            return super().predict_findings(samples)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) contributions to the log odds of the positive class."""
        with TURN:
            return super().contributions(samples)
