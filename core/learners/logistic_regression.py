"""L2 logistic regression on a standardised table; it can be drawn towards the coefficients of another domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.strength_choice import choose_strength
from core.learners.table_encoding import LinearEncoding
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class LogisticRegressionOptions:
    """strength: L2 penalty (1 / C of scikit-learn), or `auto`: chosen by inner folds on `select_by`.

    numbers: `standard`, `quantile` or `spline`. ordered: ordered categories as `codes` or `one_hot`. min_count:
    rarer categories are pooled. prior_strength: L2 penalty of `fit_prior` for each source row, 0: `strength`. The
    source then tells directions and little about sizes, as suits another lender with few columns in common.
    """

    strength: float | Literal["auto"] = "auto"
    select_by: Literal["log_loss", "auc"] = "log_loss"
    num_folds: int = Field(default=5, ge=2)
    numbers: Literal["standard", "quantile", "spline"] = "standard"
    ordered: Literal["codes", "one_hot"] = "codes"
    min_count: float = Field(default=10.0, ge=0)
    prior_strength: float = Field(default=0.0, ge=0)
    large_num_rows: int = Field(default=10_000, ge=100)  # from here on, one inner fold decides instead of all


@LEARNERS.register("logistic_regression")
class LogisticRegression(BinaryTableLearner):
    """Fitted state: `encoding_`, `coefficients_` (P + 1,; intercept first), `means_` (P,), `strength_`."""

    Options = LogisticRegressionOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` is not needed and not read.

        Raises:
            BadParamsError: no labelled row, or not two classes.
        """
        labelled = check_binary(train)
        return self._fit(labelled, self._fit_encoding(labelled), centre=None)

    def fit_prior(self, source: Samples, target: Samples) -> Self:
        """Fit on the source's labels, with columns scaled and categories listed by the target's rows (labels unread).

        So a column that the source lacks keeps its place and its scale, with coefficient 0, and is learned later as
        easily as without a source. Scaled over both sides, it would hardly vary, and the penalty would hardly hold it.

        Raises:
            BadParamsError: no labelled source row, or not two classes.
        """
        labelled = check_binary(source)
        encoding = self._fit_encoding(target if len(target) else labelled)
        strength = self.options.prior_strength * float(labelled.weights.sum())
        return self._fit(labelled, encoding, centre=None, strength=strength or None)

    def continue_on(self, target: Samples, valid: Samples | None = None) -> Self:
        """A new learner, fitted on the target with its L2 penalty centred at this learner's coefficients.

        With `strength='auto'` the target's folds decide how far the coefficients may move.

        Raises:
            BadParamsError: no labelled target row, or not two classes.
        """
        grown = type(self)(self.options, seed=self.seed)
        return grown._fit(check_binary(target), self.encoding_, centre=self.coefficients_)

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        design = self.encoding_.transform(samples)
        return self.coefficients_[0] + design @ self.coefficients_[1:]

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) coefficient times distance from the training mean, summed for each raw column."""
        design = self.encoding_.transform(samples)
        return self.encoding_.sum_by_owner((design - self.means_) * self.coefficients_[1:])

    def save_state(self, folder: Path) -> None:
        """Write logistic_regression.json."""
        write_json(
            folder / "logistic_regression.json",
            {
                "encoding": self.encoding_.to_dict(),
                "coefficients": self.coefficients_,
                "means": self.means_,
                "strength": self.strength_,
            },
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state: dict[str, Any] = read_json(folder / "logistic_regression.json")
        self.encoding_ = LinearEncoding.from_dict(state["encoding"])
        self.coefficients_ = np.array(state["coefficients"], dtype=float)
        self.means_ = np.array(state["means"], dtype=float)
        self.strength_ = state["strength"]

    def _fit_encoding(self, samples: Samples) -> LinearEncoding:
        return LinearEncoding.fit(
            samples,
            numbers=self.options.numbers,
            ordered=self.options.ordered,
            min_count=self.options.min_count,
        )

    def _fit(
        self, labelled: Samples, encoding: LinearEncoding, *, centre: np.ndarray | None, strength: float | None = None
    ) -> Self:
        design = encoding.transform(labelled)
        if strength is not None:
            self.strength_ = strength
        elif self.options.strength == "auto":
            self.strength_ = choose_strength(
                design,
                labelled,
                num_folds=self.options.num_folds,
                large_num_rows=self.options.large_num_rows,
                select_by=self.options.select_by,
                seed=self.seed,
                centre=centre,
            )
        else:
            self.strength_ = float(self.options.strength)
        self.coefficients_ = fit_centred_ridge(
            design, labelled.targets, labelled.weights, self.strength_, centre=centre
        )
        self.encoding_ = encoding
        self.means_ = np.average(design, axis=0, weights=labelled.weights)
        return self
