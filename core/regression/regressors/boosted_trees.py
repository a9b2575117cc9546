"""Gradient-boosted trees (XGBoost) of a number: native categories, early stopping, bagging over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import xgboost
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import TableSchema
from core.errors import VerificationError
from core.learners.binary_table import table_schema_of
from core.learners.table_encoding import tree_matrix
from core.learners.tree_ensemble import ROUNDS_PER_HISTORY_ROW, monotone_constraints
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor, check_values
from core.regression.regressors.median import weighted_median
from core.regression.value_folds import value_folds
from core.threads import num_threads, num_threads_for

OBJECTIVES = {"squared_error": ("reg:squarederror", "rmse"), "absolute_error": ("reg:absoluteerror", "mae")}
FEW_LABELS_NUM_ROUNDS = 100  # too few labels to hold any out


@dataclass(frozen=True, config=STRICT)
class BoostedTreesOptions:
    """loss: `squared_error` predicts means, `absolute_error` medians. Labels are standardised, so no option has a unit.

    num_rounds: most rounds; early stopping keeps fewer, unless early_stopping_rounds is 0. num_bags: boosters of
    different seeds whose predictions are averaged. use_monotone: obey the schema's monotone directions.
    """

    loss: Literal["squared_error", "absolute_error"] = "squared_error"
    num_rounds: int = Field(default=2000, ge=1)
    learning_rate: float = Field(default=0.03, gt=0, le=1)
    max_depth: int = Field(default=5, ge=1)
    min_child_weight: float = Field(default=5.0, ge=0)  # rows of a leaf
    subsample: float = Field(default=0.7, gt=0, le=1)
    colsample_bynode: float = Field(default=0.5, gt=0, le=1)
    reg_lambda: float = Field(default=1.0, ge=0)
    max_bins: int = Field(default=256, ge=2)
    max_cat_to_onehot: int = Field(default=5, ge=1)
    early_stopping_rounds: int = Field(default=50, ge=0)
    num_folds: int = Field(default=5, ge=2)
    large_num_rows: int = Field(default=10_000, ge=100)  # from here on, one inner fold decides instead of all
    num_bags: int = Field(default=1, ge=1)
    use_monotone: bool = False

    @model_validator(mode="after")
    def _check_monotone(self) -> BoostedTreesOptions:
        """XGBoost sets the leaves of absolute error after the tree has grown, and breaks the constraints there."""
        if self.use_monotone and self.loss == "absolute_error":
            raise ValueError("use_monotone holds with loss 'squared_error' alone; change one of them")
        return self


@REGRESSORS.register("boosted_trees")
class BoostedTrees(Regressor):
    """With `valid`, it stops early on it; else inner folds choose the number of rounds and all rows are used.

    Fitted state: `schema_` (features as fitted), `boosters_` of the standardised label, `centre_` and `scale_` of the
    label. `history_` (not saved): {"step": rounds, "loss": training error in units of the label, "bag", ...}.
    """

    Options = BoostedTreesOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows.

        Raises:
            BadParamsError: no labelled row, or all labels are equal.
        """
        labelled = check_values(train)
        labels, weights = labelled.labels, labelled.weights
        self.schema_ = table_schema_of(labelled)
        is_mean = self.options.loss == "squared_error"
        self.centre_ = float(np.average(labels, weights=weights)) if is_mean else weighted_median(labels, weights)
        self.scale_ = float(np.sqrt(np.average((labels - self.centre_) ** 2, weights=weights)))
        self.history_: list[dict[str, Any]] = []
        matrix = self._matrix_with_labels(labelled)
        stopping = self.options.early_stopping_rounds
        held, num_rounds = None, self.options.num_rounds
        if stopping and valid is not None and valid.num_labelled:
            held = self._matrix_with_labels(valid.labelled())
        elif stopping:
            num_rounds = self._choose_num_rounds(matrix, labelled)
        self.boosters_ = [self._grow(matrix, num_rounds, bag, held) for bag in range(self.options.num_bags)]
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) mean of the boosters, in units of the label."""
        matrix = self._matrix_for_scoring(samples)
        values = [booster.predict(matrix, output_margin=True) for booster in self.boosters_]
        return self.centre_ + self.scale_ * np.mean(values, axis=0, dtype=np.float64)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) TreeSHAP values in units of the label, averaged over the boosters.

        Source: Lundberg, Erion & Lee 2018, "Consistent individualized feature attribution for tree ensembles".
        """
        matrix = self._matrix_for_scoring(samples)
        values = [booster.predict(matrix, pred_contribs=True)[:, :-1] for booster in self.boosters_]
        return pd.DataFrame(self.scale_ * np.mean(values, axis=0, dtype=np.float64), columns=self.schema_.names())

    def save_state(self, folder: Path) -> None:
        """Write boosted_trees.json and booster_<bag>.ubj."""
        for bag, booster in enumerate(self.boosters_):
            booster.save_model(folder / f"booster_{bag}.ubj")
        state = {
            "num_boosters": len(self.boosters_),
            "centre": self.centre_,
            "scale": self.scale_,
            "schema": self.schema_.to_dict(),
        }
        write_json(folder / "boosted_trees.json", state)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            VerificationError: a booster file is missing.
        """
        state = read_json(folder / "boosted_trees.json")
        self.schema_ = TableSchema.from_dict(state["schema"])
        self.centre_, self.scale_ = state["centre"], state["scale"]
        paths = [folder / f"booster_{bag}.ubj" for bag in range(state["num_boosters"])]
        for path in paths:
            if not path.exists():
                raise VerificationError(f"{path} is missing.", repair="Run `dvc repro` to train again.")
        self.boosters_ = [xgboost.Booster({"nthread": num_threads()}, model_file=path) for path in paths]

    def _grow(
        self, matrix: xgboost.DMatrix, num_rounds: int, bag: int, held: xgboost.DMatrix | None
    ) -> xgboost.Booster:
        """One booster, with its learning curve kept; cut at its best round where held-out rows stop it early."""
        told: dict[str, dict[str, list[float]]] = {}
        booster = xgboost.train(
            self._booster_params(bag),
            matrix,
            num_rounds,
            evals=[(matrix, "train")] if held is None else [(matrix, "train"), (held, "valid")],  # the last one stops
            early_stopping_rounds=None if held is None else self.options.early_stopping_rounds,
            evals_result=told,
            verbose_eval=False,
        )
        num_kept = num_rounds if held is None else booster.best_iteration + 1
        _, metric = OBJECTIVES[self.options.loss]
        for step in range(num_kept):
            if (step + 1) % ROUNDS_PER_HISTORY_ROW and step not in (0, num_kept - 1):
                continue
            row = {"step": step + 1, "loss": self.scale_ * told["train"][metric][step], "bag": bag}
            valid = {} if held is None else {"valid_loss": self.scale_ * told["valid"][metric][step]}
            self.history_.append({**row, **valid})
        return booster if held is None else booster[:num_kept]

    def _booster_params(self, bag: int) -> dict[str, Any]:
        options = self.options
        objective, metric = OBJECTIVES[options.loss]
        params = {
            "objective": objective,
            "eval_metric": metric,
            "base_score": 0.0,  # of standardised labels
            "tree_method": "hist",
            "learning_rate": options.learning_rate,
            "max_depth": options.max_depth,
            "min_child_weight": options.min_child_weight,
            "subsample": options.subsample,
            "colsample_bynode": options.colsample_bynode,
            "reg_lambda": options.reg_lambda,
            "max_bin": options.max_bins,
            "max_cat_to_onehot": options.max_cat_to_onehot,
            "nthread": num_threads(),
            "seed": self.seed + 1009 * bag,
        }
        if options.use_monotone:
            params["monotone_constraints"] = monotone_constraints(self.schema_)
        return params

    def _choose_num_rounds(self, matrix: xgboost.DMatrix, labelled: Samples) -> int:
        """The round with the least error over the inner folds."""
        folds = value_folds(labelled, self.options.num_folds, seed=self.seed)
        if not folds:
            return min(FEW_LABELS_NUM_ROUNDS, self.options.num_rounds)
        if len(labelled) >= self.options.large_num_rows:
            folds = folds[:1]
        history = xgboost.cv(
            self._booster_params(0),
            matrix,
            self.options.num_rounds,
            folds=folds,
            early_stopping_rounds=self.options.early_stopping_rounds,
            as_pandas=False,
        )
        _, metric = OBJECTIVES[self.options.loss]
        return 1 + int(np.argmin(history[f"test-{metric}-mean"]))

    def _matrix_for_scoring(self, samples: Samples) -> xgboost.DMatrix:
        """The rows; the boosters are set to as many threads as they are worth."""
        for booster in self.boosters_:
            booster.set_param({"nthread": num_threads_for(len(samples))})
        return tree_matrix(samples, self.schema_)

    def _matrix_with_labels(self, labelled: Samples) -> xgboost.DMatrix:
        """The rows with standardised labels, which single precision can hold whatever their unit, and weights."""
        matrix = tree_matrix(labelled, self.schema_)
        matrix.set_label((labelled.labels - self.centre_) / self.scale_)
        matrix.set_weight(labelled.weights)
        return matrix
