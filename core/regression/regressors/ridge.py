"""Ridge regression on a standardised table; the label as it is, or its logarithm."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.table_encoding import LinearEncoding
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor, check_values
from core.regression.ridge_path import ridge_path
from core.regression.value_folds import value_folds

STRENGTHS = (30_000.0, 10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
FEW_LABELS_STRENGTH = 10.0  # where none can be held out
SMALLEST_DISTANCE = 1e-9  # of fitted scores, below which the slope of the way back stands for its secant


@dataclass(frozen=True, config=STRICT)
class RidgeOptions:
    """strength: L2 penalty in units of rows, or `auto`: the one with the least squared error in the inner folds.

    target_form: `plain`, or `log`: fit ln(1 + label), as suits sums and durations >= 0 with a long tail; the squared
    error of the inner folds is then that of the logarithms. numbers: `standard`, `quantile` or `spline`. ordered:
    ordered categories as `codes` or `one_hot`. min_count: rarer categories are pooled.
    """

    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    target_form: Literal["plain", "log"] = "plain"
    num_folds: int = Field(default=5, ge=2)
    numbers: Literal["standard", "quantile", "spline"] = "standard"
    ordered: Literal["codes", "one_hot"] = "codes"
    min_count: float = Field(default=10.0, ge=0)
    large_num_rows: int = Field(default=10_000, ge=100)  # from here on, one inner fold decides instead of all


@REGRESSORS.register("ridge")
class Ridge(Regressor):
    """Fitted state: `encoding_`, `coefficients_` (P + 1,; intercept first), `means_` (P,), `strength_`, `smearing_`."""

    Options = RidgeOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` is not needed and not read.

        Raises:
            BadParamsError: no labelled row, all labels equal, or a negative one with target_form `log`.
        """
        labelled = check_values(train)
        targets = self._transform(labelled.labels)
        self.encoding_ = LinearEncoding.fit(
            labelled,
            numbers=self.options.numbers,
            ordered=self.options.ordered,
            min_count=self.options.min_count,
        )
        design = self.encoding_.transform(labelled)
        self.means_ = np.average(design, axis=0, weights=labelled.weights)
        told = self.options.strength
        self.strength_ = self._choose_strength(design, targets, labelled) if told == "auto" else float(told)
        self.coefficients_ = ridge_path(design, targets, labelled.weights, [self.strength_])[0]
        residuals = targets - self._scores(design)
        self.smearing_ = smearing_factor(residuals, labelled.weights) if self.options.target_form == "log" else 1.0
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) in units of the label; with target_form `log` never below zero."""
        return self._transform_back(self._scores(self.encoding_.transform(samples)))

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) coefficient times distance from the training mean, summed for each raw column.

        With target_form `log`, times (value(z) - value(z0)) / (z - z0), z and z0 the scores of the row and of the mean
        row, so that the columns of a row still add up to its prediction less that of the mean row.

        Source: Shrikumar, Greenside & Kundaje 2017, "Learning important features through propagating activation
        differences" (rescale rule).
        """
        shares = (self.encoding_.transform(samples) - self.means_) * self.coefficients_[1:]
        if self.options.target_form == "log":
            start = self.coefficients_[0] + self.means_ @ self.coefficients_[1:]
            distance = shares.sum(axis=1)
            distance = np.where(np.abs(distance) < SMALLEST_DISTANCE, SMALLEST_DISTANCE, distance)
            gained = self._transform_back(start + distance) - self._transform_back(start)
            shares = shares * (gained / distance)[:, None]
        return self.encoding_.sum_by_owner(shares)

    def for_residuals(self) -> Ridge:
        """A fresh ridge of the labels as they are: residuals may be negative."""
        return type(self)({**asdict(self.options), "target_form": "plain"}, seed=self.seed)

    def save_state(self, folder: Path) -> None:
        """Write ridge.json."""
        state = {
            "encoding": self.encoding_.to_dict(),
            "coefficients": self.coefficients_,
            "means": self.means_,
            "strength": self.strength_,
            "smearing": self.smearing_,
        }
        write_json(folder / "ridge.json", state)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "ridge.json")
        self.encoding_ = LinearEncoding.from_dict(state["encoding"])
        self.coefficients_ = np.array(state["coefficients"], dtype=float)
        self.means_ = np.array(state["means"], dtype=float)
        self.strength_, self.smearing_ = state["strength"], state["smearing"]

    def _choose_strength(self, design: np.ndarray, targets: np.ndarray, labelled: Samples) -> float:
        """The strength with the least held-out squared error; the strongest of equals."""
        folds = value_folds(labelled, self.options.num_folds, seed=self.seed)
        if not folds:
            return FEW_LABELS_STRENGTH
        if len(labelled) >= self.options.large_num_rows:
            folds = folds[:1]
        weights = labelled.weights
        errors = np.zeros(len(STRENGTHS))
        for fit, held in folds:
            path = ridge_path(design[fit], targets[fit], weights[fit], STRENGTHS)
            scores = path[:, :1] + path[:, 1:] @ design[held].T
            errors += np.square(scores - targets[held]) @ weights[held]
        return STRENGTHS[int(np.argmin(errors))]

    def _scores(self, design: np.ndarray) -> np.ndarray:
        """(N,) on the scale that was fitted."""
        return self.coefficients_[0] + design @ self.coefficients_[1:]

    def _transform(self, labels: np.ndarray) -> np.ndarray:
        """(N,) on the scale that is fitted."""
        if self.options.target_form == "plain":
            return labels
        if labels.min() < 0:
            raise BadParamsError(
                f"A label is {labels.min():g}; target_form 'log' needs labels >= 0.",
                repair="Set target_form to 'plain'.",
            )
        return np.log1p(labels)

    def _transform_back(self, scores: np.ndarray) -> np.ndarray:
        """(N,) in units of the label: with `log` the mean of exp(z + residual) - 1, not below zero."""
        if self.options.target_form == "plain":
            return scores
        return np.maximum(np.exp(scores) * self.smearing_ - 1.0, 0.0)


def smearing_factor(residuals: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean of exp(residual): what a mean of logarithms lacks to the logarithm of a mean.

    Shape: (N,) each.
    Source: Duan 1983, "Smearing estimate: a nonparametric retransformation method".
    """
    return float(np.average(np.exp(residuals), weights=weights))
