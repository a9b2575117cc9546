"""A points scorecard: optimal bins, weight of evidence, L2 logistic regression, points that add up to the score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, did_you_mean
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary, require_columns, table_schema_of
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.points_scale import PointsScale
from core.learners.scorecard_binning import BinningRules, find_bins
from core.learners.scorecard_bins import ColumnBins, measure_bins
from core.learners.strength_choice import choose_strength
from core.params import STRICT

CORRELATION_NOTE = 0.7


@dataclass(frozen=True, config=STRICT)
class ScorecardOptions:
    """max_num_bins, min_bin_fraction: limits of the binning. trend: event rate along a number whose schema demands no
    direction (`auto` allows any shape, `auto_asc_desc` rising or falling). smoothing: rows of the average kind added
    to each bin. min_iv, max_iv: a column outside is left out (too weak, or too good to be true).
    strength: L2 penalty or `auto`. use_integer_points: round the points of each bin; the probability is that of the
    rounded score. base_points at odds of base_odds good to one bad; points_to_double_odds more double them.
    special_codes: column -> numbers that are codes (-1 = no answer); each has its own bin.
    """

    max_num_bins: int = Field(default=8, ge=2)
    min_bin_fraction: float = Field(default=0.05, gt=0, lt=0.5)
    trend: Literal["auto", "auto_asc_desc", "auto_heuristic"] = "auto_asc_desc"
    rare_fraction: float = Field(default=0.01, ge=0, lt=0.5)
    smoothing: float = Field(default=10.0, ge=0)
    min_iv: float = Field(default=0.01, ge=0)
    max_iv: float = Field(default=5.0, gt=0)
    strength: float | Literal["auto"] = "auto"
    use_integer_points: bool = True
    base_points: float = 600.0
    base_odds: float = Field(default=50.0, gt=0)
    points_to_double_odds: float = Field(default=20.0, gt=0)
    special_codes: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)


@LEARNERS.register("scorecard")
class Scorecard(BinaryTableLearner):
    """Fitted state: `columns_` (ColumnBins of each kept column), `coefficients_`, `notes_` (what was left out, why).

    score = sum over columns of the points of the row's bin; log-odds of class 1 = (offset - score) / factor. Missing
    values have a bin; without missing training rows it is neutral (woe 0), and so is an unseen category.
    Prediction needs NumPy only.
    """

    Options = ScorecardOptions

    @property
    def scale(self) -> PointsScale:
        """The points scale of the options."""
        options = self.options
        return PointsScale(options.base_points, options.base_odds, options.points_to_double_odds)

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Bin, select and weigh the columns; `valid` is not read.

        Raises:
            BadParamsError: no labelled row, not two classes, no column, or a special code of an unknown column.
        """
        labelled = check_binary(train)
        columns = self._bin_columns(labelled)
        self.notes_: list[str] = []
        columns = self._select_by_iv(columns)
        woe = np.column_stack([column.woe[column.assign(labelled.inputs)] for column in columns])
        strength = self._strength(woe, labelled)
        columns, woe, coefficients = self._drop_wrong_signs(columns, woe, labelled, strength)
        self._note_correlations(columns, woe)
        self.coefficients_ = coefficients
        self.columns_ = self._with_points(columns, coefficients)
        self.mean_points_ = np.array(
            [
                np.average(column.points[column.assign(labelled.inputs)], weights=labelled.weights)
                for column in self.columns_
            ]
        )
        return self

    def predict_points(self, samples: Samples) -> np.ndarray:
        """(N,) score: the points of each column added in the card's order; a higher score is a safer row."""
        require_columns(samples, [column.name for column in self.columns_])
        score = np.zeros(len(samples))
        for column in self.columns_:
            score = score + column.points[column.assign(samples.inputs)]
        return score

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1 that belong to the score."""
        return self.scale.logits_of(self.predict_points(samples))

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) points lost against the average row, in log-odds."""
        require_columns(samples, [column.name for column in self.columns_])
        return pd.DataFrame(
            {
                column.name: (mean - column.points[column.assign(samples.inputs)]) / self.scale.factor
                for column, mean in zip(self.columns_, self.mean_points_, strict=True)
            }
        )

    def table(self) -> pd.DataFrame:
        """The card: one row a bin (column, kind, bin, count, event_rate, woe, iv, points)."""
        rows = [
            {
                "column": column.name,
                "kind": part.kind,
                "bin": part.label,
                "count": part.count,
                "event_rate": part.event_rate,
                "woe": part.woe,
                "iv": part.iv,
                "points": part.points,
            }
            for column in self.columns_
            for part in column.bins
        ]
        return pd.DataFrame(rows)

    def save_state(self, folder: Path) -> None:
        """Write scorecard.json."""
        write_json(
            folder / "scorecard.json",
            {
                "columns": [column.to_dict() for column in self.columns_],
                "coefficients": self.coefficients_,
                "mean_points": self.mean_points_,
                "notes": self.notes_,
            },
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state: dict[str, Any] = read_json(folder / "scorecard.json")
        self.columns_ = [ColumnBins.from_dict(column) for column in state["columns"]]
        self.coefficients_ = np.array(state["coefficients"], dtype=float)
        self.mean_points_ = np.array(state["mean_points"], dtype=float)
        self.notes_ = state["notes"]

    def _bin_columns(self, labelled: Samples) -> list[ColumnBins]:
        schema = table_schema_of(labelled)
        require_columns(labelled, schema.names())
        for name in self.options.special_codes:
            if name not in schema.names("number"):
                raise BadParamsError(
                    f"special_codes names '{name}', which is no number column.",
                    repair=did_you_mean(name, schema.names("number")),
                )
        if not schema.features:
            raise BadParamsError("A scorecard needs at least one number or category column.")
        options = self.options
        rules = BinningRules(options.max_num_bins, options.min_bin_fraction, options.trend, options.rare_fraction)
        return [
            measure_bins(
                find_bins(labelled, feature, rules, options.special_codes.get(feature.name, ())),
                labelled.inputs,
                labelled.targets,
                labelled.weights,
                options.smoothing,
            )
            for feature in schema.features
        ]

    def _select_by_iv(self, columns: list[ColumnBins]) -> list[ColumnBins]:
        """Columns within the range of information value; the strongest one where none is."""
        kept = [c for c in columns if self.options.min_iv <= c.iv <= self.options.max_iv]
        kept = kept or [max(columns, key=lambda column: column.iv)]
        names = {column.name for column in kept}
        self.notes_ += [
            f"{column.name} left out: information value {column.iv:.4f}"
            for column in columns
            if column.name not in names
        ]
        return kept

    def _strength(self, woe: np.ndarray, labelled: Samples) -> float:
        if self.options.strength != "auto":
            return float(self.options.strength)
        return choose_strength(woe, labelled, num_folds=5, large_num_rows=10_000, select_by="log_loss", seed=self.seed)

    def _drop_wrong_signs(
        self, columns: list[ColumnBins], woe: np.ndarray, labelled: Samples, strength: float
    ) -> tuple[list[ColumnBins], np.ndarray, np.ndarray]:
        """Leave out, one by one, columns whose coefficient would turn their evidence around.

        More evidence for good must lower the odds of bad, so every coefficient must be negative.
        """
        while True:
            coefficients = fit_centred_ridge(woe, labelled.targets, labelled.weights, strength)
            worst = int(np.argmax(coefficients[1:]))
            if coefficients[1 + worst] <= 0 or len(columns) == 1:
                return columns, woe, coefficients
            self.notes_.append(f"{columns[worst].name} left out: the other columns turn its sign around")
            columns = [column for at, column in enumerate(columns) if at != worst]
            woe = np.delete(woe, worst, axis=1)

    def _note_correlations(self, columns: list[ColumnBins], woe: np.ndarray) -> None:
        spread = woe.std(axis=0) > 0
        for first in range(len(columns)):
            for second in range(first + 1, len(columns)):
                if not (spread[first] and spread[second]):
                    continue
                correlation = np.corrcoef(woe[:, first], woe[:, second])[0, 1]
                if abs(correlation) > CORRELATION_NOTE:
                    pair = f"{columns[first].name} and {columns[second].name}"
                    self.notes_.append(f"{pair} tell much the same: correlation {correlation:.2f}")

    def _with_points(self, columns: list[ColumnBins], coefficients: np.ndarray) -> list[ColumnBins]:
        """points = (offset - factor b_0) / number of columns - factor b_j woe."""
        scale = self.scale
        share = (scale.offset - scale.factor * coefficients[0]) / len(columns)
        scored = []
        for column, coefficient in zip(columns, coefficients[1:], strict=True):
            points = share - scale.factor * coefficient * column.woe
            scored.append(column.with_points(np.rint(points) if self.options.use_integer_points else points))
        return scored
