"""A random forest grown by XGBoost: many parallel trees in one round with learning rate 1."""

from __future__ import annotations

import xgboost
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples
from core.learners.base import LEARNERS
from core.learners.table_encoding import tree_matrix
from core.learners.tree_ensemble import TreeEnsemble, monotone_constraints
from core.params import STRICT
from core.threads import num_threads


@dataclass(frozen=True, config=STRICT)
class RandomForestOptions:
    """num_trees: more is steadier, never worse. colsample_bynode: fraction of columns tried at each split.

    use_monotone: obey the schema's monotone directions.
    """

    num_trees: int = Field(default=500, ge=1)
    max_depth: int = Field(default=12, ge=1)
    min_child_weight: float = Field(default=1.0, ge=0)
    subsample: float = Field(default=0.632, gt=0, le=1)
    colsample_bynode: float = Field(default=0.25, gt=0, le=1)
    reg_lambda: float = Field(default=1.0, ge=0)
    max_bins: int = Field(default=64, ge=2)
    max_cat_to_onehot: int = Field(default=5, ge=1)
    use_monotone: bool = False


@LEARNERS.register("random_forest")
class RandomForest(TreeEnsemble):
    """One boosting round of `num_trees` trees, each on its own rows; nothing to stop early, `valid` is not read."""

    Options = RandomForestOptions

    def _fit_boosters(self, labelled: Samples, valid: Samples | None) -> list[xgboost.Booster]:
        options = self.options
        params = {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "learning_rate": 1.0,
            "num_parallel_tree": options.num_trees,
            "max_depth": options.max_depth,
            "min_child_weight": options.min_child_weight,
            "subsample": options.subsample,
            "colsample_bynode": options.colsample_bynode,
            "reg_lambda": options.reg_lambda,
            "max_bin": options.max_bins,
            "max_cat_to_onehot": options.max_cat_to_onehot,
            "nthread": num_threads(),
            "seed": self.seed,
        }
        if options.use_monotone:
            params["monotone_constraints"] = monotone_constraints(self.schema_)
        return [self._grow(params, tree_matrix(labelled, self.schema_, with_labels=True), 1)]
