"""Gradient-boosted trees (XGBoost): native categories, early stopping, bagging over seeds, continued training."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import xgboost
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples
from core.learners.base import LEARNERS
from core.learners.binary_table import check_binary
from core.learners.inner_folds import inner_folds
from core.learners.table_encoding import tree_matrix
from core.learners.tree_ensemble import TreeEnsemble, monotone_constraints
from core.params import STRICT
from core.threads import num_threads

FEW_LABELS_NUM_ROUNDS = 100  # too few labels to hold any out


@dataclass(frozen=True, config=STRICT)
class BoostedTreesOptions:
    """Slow trees that see few columns at a time, as suits credit tables of a thousand to a million rows.

    num_rounds: most rounds; early stopping keeps fewer, unless early_stopping_rounds is 0. num_bags: boosters of
    different seeds whose log-odds are averaged. use_monotone: obey the schema's monotone directions.
    trees_per_round: trees grown side by side in each round (num_parallel_tree).
    """

    num_rounds: int = Field(default=2000, ge=1)
    learning_rate: float = Field(default=0.02, gt=0, le=1)
    max_depth: int = Field(default=5, ge=1)
    min_child_weight: float = Field(default=1.0, ge=0)
    subsample: float = Field(default=0.7, gt=0, le=1)
    colsample_bynode: float = Field(default=0.3, gt=0, le=1)
    reg_lambda: float = Field(default=1.0, ge=0)
    reg_alpha: float = Field(default=0.0, ge=0)
    gamma: float = Field(default=0.0, ge=0)
    max_bins: int = Field(default=256, ge=2)
    max_cat_to_onehot: int = Field(default=5, ge=1)
    trees_per_round: int = Field(default=1, ge=1)
    early_stopping_rounds: int = Field(default=100, ge=0)
    num_folds: int = Field(default=5, ge=2)
    large_num_rows: int = Field(default=10_000, ge=100)  # from here on, one inner fold decides instead of all
    num_bags: int = Field(default=1, ge=1)
    use_monotone: bool = False


@LEARNERS.register("boosted_trees")
class BoostedTrees(TreeEnsemble):
    """With `valid`, it stops early on it; else inner folds choose the number of rounds and all rows are used."""

    Options = BoostedTreesOptions

    def fit_prior(self, source: Samples, target: Samples) -> Self:
        """Fit on the source; the target's rows are not needed.

        Raises:
            BadParamsError: no labelled source row, or not two classes.
        """
        return self.fit(source)

    def continue_on(self, target: Samples, valid: Samples | None = None) -> Self:
        """A new learner whose boosters grew on from this one's, on the target's rows.

        The rounds on the target are chosen by inner folds of the target (or by `valid`); it may be none.

        Raises:
            BadParamsError: no labelled target row, or not two classes.
        """
        labelled = check_binary(target)
        matrix = tree_matrix(labelled, self.schema_, with_labels=True)
        grown = type(self)(self.options, seed=self.seed)
        grown.schema_, grown.boosters_, grown.history_ = self.schema_, [], []
        for bag, booster in enumerate(self.boosters_):
            seed = self.seed + 7919 * (bag + 1)
            num_rounds = self._choose_continued_rounds(booster, labelled, valid, bag)
            if num_rounds:
                params = self._booster_params(seed)
                booster = grown._grow(params, matrix, num_rounds, bag=bag, xgb_model=booster)
            grown.boosters_.append(booster)
        return grown

    def _fit_boosters(self, labelled: Samples, valid: Samples | None) -> list[xgboost.Booster]:
        matrix = tree_matrix(labelled, self.schema_, with_labels=True)
        stopping = self.options.early_stopping_rounds
        if valid is not None and valid.num_labelled and stopping:
            held = tree_matrix(valid.labelled(), self.schema_, with_labels=True)
            return [self._train_until(matrix, held, bag) for bag in range(self.options.num_bags)]
        num_rounds = self._choose_num_rounds(matrix, labelled) if stopping else self.options.num_rounds
        return [
            self._grow(self._booster_params(self.seed + 1009 * bag), matrix, num_rounds, bag=bag)
            for bag in range(self.options.num_bags)
        ]

    def _booster_params(self, seed: int) -> dict[str, Any]:
        options = self.options
        params = {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "learning_rate": options.learning_rate,
            "max_depth": options.max_depth,
            "min_child_weight": options.min_child_weight,
            "subsample": options.subsample,
            "colsample_bynode": options.colsample_bynode,
            "reg_lambda": options.reg_lambda,
            "reg_alpha": options.reg_alpha,
            "gamma": options.gamma,
            "max_bin": options.max_bins,
            "max_cat_to_onehot": options.max_cat_to_onehot,
            "num_parallel_tree": options.trees_per_round,
            "nthread": num_threads(),
            "seed": seed,
        }
        if options.use_monotone:
            params["monotone_constraints"] = monotone_constraints(self.schema_)
        return params

    def _train_until(self, matrix: xgboost.DMatrix, held: xgboost.DMatrix, bag: int) -> xgboost.Booster:
        """One booster, stopped early on held-out rows and cut at its best round."""
        return self._grow(
            self._booster_params(self.seed + 1009 * bag),
            matrix,
            self.options.num_rounds,
            bag=bag,
            held=held,
            early_stopping_rounds=self.options.early_stopping_rounds or self.options.num_rounds,
        )

    def _choose_num_rounds(self, matrix: xgboost.DMatrix, labelled: Samples) -> int:
        """The round with the least log loss over the inner folds."""
        folds = inner_folds(labelled, self.options.num_folds, seed=self.seed)
        if not folds:
            return min(FEW_LABELS_NUM_ROUNDS, self.options.num_rounds)
        if len(labelled) >= self.options.large_num_rows:
            folds = folds[:1]
        return 1 + int(np.argmin(self._held_out_losses(matrix, folds, self.seed)))

    def _held_out_losses(
        self, matrix: xgboost.DMatrix, folds: list[tuple[np.ndarray, np.ndarray]], seed: int
    ) -> np.ndarray:
        """Mean held-out log loss after each round."""
        history = xgboost.cv(
            self._booster_params(seed),
            matrix,
            self.options.num_rounds,
            folds=folds,
            early_stopping_rounds=self.options.early_stopping_rounds or None,
            as_pandas=False,
        )
        return np.array(history["test-logloss-mean"])

    def _choose_continued_rounds(
        self, booster: xgboost.Booster, target: Samples, valid: Samples | None, bag: int
    ) -> int:
        """How many more rounds lower the held-out loss below that of the source booster itself."""
        judged = target if valid is None or not valid.num_labelled else valid.labelled()
        folds = inner_folds(target, self.options.num_folds, seed=self.seed)
        if judged is target and not folds:
            return 0
        rows = tree_matrix(target, self.schema_, with_labels=True)
        rows.set_base_margin(booster.predict(rows, output_margin=True))
        if judged is target:
            start_losses = [_log_loss_of_margin(rows.slice(held)) for _, held in folds]
            losses = self._held_out_losses(rows, folds, self.seed + 7919 * (bag + 1))
            return 1 + int(np.argmin(losses)) if losses.min() < np.mean(start_losses) else 0
        held = tree_matrix(judged, self.schema_, with_labels=True)
        held.set_base_margin(booster.predict(held, output_margin=True))
        trial = type(self)(self.options, seed=self.seed)  # its history is not this learner's
        trial.schema_, trial.history_ = self.schema_, []
        grown = trial._train_until(rows, held, bag)
        best_loss = trial.history_[-1]["valid_loss"]
        return grown.num_boosted_rounds() if best_loss < _log_loss_of_margin(held) else 0


def _log_loss_of_margin(rows: xgboost.DMatrix) -> float:
    """Weighted mean log loss of the base margin."""
    margin, targets = rows.get_base_margin(), rows.get_label()
    return float(np.average(np.logaddexp(0, margin) - targets * margin, weights=rows.get_weight()))
