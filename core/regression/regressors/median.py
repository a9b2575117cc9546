"""The median of the training labels, whatever the row says: the naive rival that every regressor has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.regression.regressor import REGRESSORS, Regressor, check_values


@REGRESSORS.register("median")
class Median(Regressor):
    """Fitted state: `median_`, the lower one where two labels share the middle, and `names_` of the columns."""

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Take the weighted median of the labels; `valid` is not read.

        Raises:
            BadParamsError: no labelled row, or all labels are equal.
        """
        labelled = check_values(train)
        self.median_ = weighted_median(labelled.labels, labelled.weights)
        self.names_ = labelled.schema.names()
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) the same number for each row."""
        return np.full(len(samples), self.median_)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) zeros: no column is read."""
        return pd.DataFrame(np.zeros((len(samples), len(self.names_))), columns=self.names_)

    def save_state(self, folder: Path) -> None:
        """Write median.json."""
        write_json(folder / "median.json", {"median": self.median_, "names": self.names_})

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "median.json")
        self.median_, self.names_ = state["median"], state["names"]


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The least value up to which half of the weight lies, so that a weight of 2 equals a row given twice.

    Shape: (N,) each, N >= 1.
    """
    return float(np.quantile(values, 0.5, weights=weights, method="inverted_cdf"))
