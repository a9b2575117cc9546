"""What boosted trees and random forests share: XGBoost boosters of several seeds whose log-odds are averaged."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import xgboost

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import TableSchema
from core.errors import VerificationError
from core.learners.binary_table import BinaryTableLearner, check_binary, table_schema_of
from core.learners.table_encoding import tree_matrix, tree_values
from core.learners.tree_shapley import MIN_ROWS_FOR_TABLES, TreeShapley
from core.threads import num_threads, num_threads_for

ROUNDS_PER_HISTORY_ROW = 10


class TreeEnsemble(BinaryTableLearner):
    """Fitted state: `schema_` (features as fitted) and `boosters_`, one a bag, each cut at its best round.

    `history_` (not saved): {"step": rounds, "loss": training log loss, "bag", ...} of the rounds that are kept.
    """

    @abstractmethod
    def _fit_boosters(self, labelled: Samples, valid: Samples | None) -> list[xgboost.Booster]:
        """The fitted boosters; `schema_` is set."""

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows.

        Raises:
            BadParamsError: no labelled row, or not two classes.
        """
        labelled = check_binary(train)
        self.schema_ = table_schema_of(labelled)
        self.history_: list[dict[str, Any]] = []
        self.boosters_ = self._fit_boosters(labelled, valid)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) mean log-odds of class 1 over the boosters."""
        matrix = self._matrix_for_scoring(samples)
        margins = [booster.predict(matrix, output_margin=True) for booster in self.boosters_]
        return np.mean(margins, axis=0, dtype=np.float64)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) TreeSHAP values, averaged over the boosters.

        Source: Lundberg, Erion & Lee 2018, "Consistent individualized feature attribution for tree ensembles".
        """
        tables = self._shapley_tables() if len(samples) >= MIN_ROWS_FOR_TABLES else None
        if tables is not None:
            rows = tree_values(samples, self.schema_)
            values = sum(table.contributions(rows) for table in tables) / len(tables)
            return pd.DataFrame(values, columns=self.schema_.names())
        matrix = self._matrix_for_scoring(samples)
        values = [booster.predict(matrix, pred_contribs=True)[:, :-1] for booster in self.boosters_]
        return pd.DataFrame(np.mean(values, axis=0, dtype=np.float64), columns=self.schema_.names())

    def _matrix_for_scoring(self, samples: Samples) -> xgboost.DMatrix:
        """The rows; the boosters are set to as many threads as they are worth."""
        for booster in self.boosters_:
            booster.set_param({"nthread": num_threads_for(len(samples))})
        return tree_matrix(samples, self.schema_)

    def _shapley_tables(self) -> list[TreeShapley] | None:
        """Tables of the boosters, made once; None where their trees are too deep for tables."""
        made_for, tables = getattr(self, "_tables", (None, None))
        if made_for is not self.boosters_:
            tables = [TreeShapley.of_booster(booster) for booster in self.boosters_]
            tables = None if any(table is None for table in tables) else tables
            self._tables = (self.boosters_, tables)
        return tables

    def _grow(
        self,
        params: dict[str, Any],
        matrix: xgboost.DMatrix,
        num_rounds: int,
        *,
        bag: int = 0,
        held: xgboost.DMatrix | None = None,
        **settings: Any,
    ) -> xgboost.Booster:
        """One booster, with its learning curve kept; cut at its best round where held-out rows stop it early."""
        told: dict[str, dict[str, list[float]]] = {}
        evals = [(matrix, "train")] if held is None else [(matrix, "train"), (held, "valid")]  # the last one stops
        booster = xgboost.train(
            params, matrix, num_rounds, evals=evals, evals_result=told, verbose_eval=False, **settings
        )
        num_kept = num_rounds if held is None else booster.best_iteration + 1
        train = told["train"]["logloss"]
        for step in range(num_kept):
            if (step + 1) % ROUNDS_PER_HISTORY_ROW and step not in (0, num_kept - 1):
                continue
            row = {"step": step + 1, "loss": train[step], "bag": bag}
            self.history_.append(row if held is None else {**row, "valid_loss": told["valid"]["logloss"][step]})
        return booster if held is None else booster[:num_kept]

    def save_state(self, folder: Path) -> None:
        """Write tree_ensemble.json and booster_<bag>.ubj."""
        for bag, booster in enumerate(self.boosters_):
            booster.save_model(folder / f"booster_{bag}.ubj")
        write_json(
            folder / "tree_ensemble.json",
            {"num_boosters": len(self.boosters_), "schema": self.schema_.to_dict()},
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            VerificationError: a booster file is missing.
        """
        state: dict[str, Any] = read_json(folder / "tree_ensemble.json")
        self.schema_ = TableSchema.from_dict(state["schema"])
        paths = [folder / f"booster_{bag}.ubj" for bag in range(state["num_boosters"])]
        for path in paths:
            if not path.exists():
                raise VerificationError(f"{path} is missing.", repair="Run `dvc repro` to train again.")
        self.boosters_ = [xgboost.Booster({"nthread": num_threads()}, model_file=path) for path in paths]


def monotone_constraints(schema: TableSchema) -> str:
    """XGBoost's form of the schema's demands, `(1,0,-1)`; native categories carry none."""
    signs = [feature.monotone if feature.kind == "number" or feature.is_ordered else 0 for feature in schema.features]
    return "(" + ",".join(map(str, signs)) + ")"
