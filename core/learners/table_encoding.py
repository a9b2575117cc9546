"""Table rows as numbers: a standardised design for linear models, codes with missing values for trees.

Fitted on training rows only and saved as JSON. An encoding never trusts pandas dtypes: numbers are read as float64,
categories are looked up in the list the encoding was fitted with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from scipy.stats import norm

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.learners.binary_table import require_columns, table_schema_of
from core.threads import num_threads, num_threads_for

NUM_GRID_POINTS = 101
FEW_ROWS = 100  # for so few a dictionary is quicker than an index
KNOT_FRACTIONS = (0.2, 0.4, 0.6, 0.8)


def read_numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """(N,) float64; missing and infinite values are NaN."""
    values = frame[name].to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def read_codes(frame: pd.DataFrame, name: str, categories: Sequence[str]) -> np.ndarray:
    """(N,) int position in `categories`; -1 unseen, -2 missing."""
    values = frame[name].to_numpy(dtype=object)
    positions, index = _lookup(tuple(categories))
    if len(values) <= FEW_ROWS:
        codes = np.array([positions.get(value, -1) for value in values], dtype=int)
    else:
        codes = index.get_indexer(pd.Index(values, dtype=object)).astype(int)
    codes[pd.isna(values)] = -2
    return codes


@lru_cache(maxsize=1024)
def _lookup(categories: tuple[str, ...]) -> tuple[dict[str, int], pd.Index]:
    """Category -> position, for few rows and for many."""
    return {category: code for code, category in enumerate(categories)}, pd.Index(list(categories), dtype=object)


def read_ordinals(frame: pd.DataFrame, feature: Feature) -> np.ndarray:
    """(N,) float64: a number, or the rank of an ordered category; NaN missing or unseen."""
    if feature.kind == "number":
        return read_numbers(frame, feature.name)
    codes = read_codes(frame, feature.name, feature.categories)
    return np.where(codes < 0, np.nan, codes).astype(float)


@dataclass(frozen=True)
class NumberColumn:
    """How one number (or ordered category) becomes design columns.

    order: categories of an ordered category, empty for a number. low, high: clipping bounds. grid_values and
    grid_fractions: empirical distribution of the `quantile` form. knots: of the `spline` form, in standard units.
    """

    name: str
    order: tuple[str, ...]
    median: float
    low: float
    high: float
    mean: float
    scale: float
    has_missing_flag: bool
    grid_values: tuple[float, ...] = ()
    grid_fractions: tuple[float, ...] = ()
    knots: tuple[float, ...] = ()

    def read(self, frame: pd.DataFrame) -> np.ndarray:
        """(N,) values with NaN for missing."""
        if self.order:
            codes = read_codes(frame, self.name, self.order)
            return np.where(codes < 0, np.nan, codes).astype(float)
        return read_numbers(frame, self.name)

    def encode(self, frame: pd.DataFrame) -> list[np.ndarray]:
        """Design columns: the standardised value, hinges at the knots, the missing flag."""
        values = self.read(frame)
        is_missing = np.isnan(values)
        values = np.clip(np.where(is_missing, self.median, values), self.low, self.high)
        standard = (self._shape(values) - self.mean) / self.scale
        columns = [standard, *(np.maximum(standard - knot, 0.0) for knot in self.knots)]
        return [*columns, is_missing.astype(float)] if self.has_missing_flag else columns

    def _shape(self, values: np.ndarray) -> np.ndarray:
        """Normal scores for the `quantile` form, else the values themselves."""
        if not self.grid_values:
            return values
        fractions = np.interp(values, self.grid_values, self.grid_fractions)
        return norm.ppf(np.clip(fractions, 0.005, 0.995))


@dataclass(frozen=True)
class CategoryColumn:
    """How one category becomes 0/1 columns: one a kept category, one for rare or unseen ones, one for missing.

    A column for rare (missing) values exists only where training rows had some; without it such rows are all zero.
    """

    name: str
    kept: tuple[str, ...]
    has_rare: bool
    has_missing: bool

    def encode(self, frame: pd.DataFrame) -> list[np.ndarray]:
        """Design columns, one 0/1 array each."""
        codes = read_codes(frame, self.name, self.kept)
        columns = [(codes == code).astype(float) for code in range(len(self.kept))]
        if self.has_rare:
            columns.append((codes == -1).astype(float))
        if self.has_missing:
            columns.append((codes == -2).astype(float))
        return columns


@dataclass(frozen=True)
class LinearEncoding:
    """A table as a design matrix for linear models."""

    columns: tuple[NumberColumn | CategoryColumn, ...]

    @classmethod
    def fit(
        cls, samples: Samples, *, numbers: str = "standard", ordered: str = "codes", min_count: float = 10
    ) -> LinearEncoding:
        """Fit on the rows given; labels are not read, weights count as repeated rows.

        numbers: `standard` (mean 0, deviation 1), `quantile` (normal scores) or `spline` (standard, with hinges at
        the quintiles). ordered: ordered categories as `codes` (their rank) or `one_hot`. min_count: a category with
        fewer (weighted) rows is pooled with the other rare ones. Columns without any spread are left out.
        """
        schema = table_schema_of(samples)
        require_columns(samples, schema.names())
        columns = []
        for feature in schema.features:
            if feature.kind == "number" or (feature.is_ordered and ordered == "codes"):
                column = _fit_number(samples, feature, numbers)
            else:
                column = _fit_category(samples, feature, min_count)
            if column is not None:
                columns.append(column)
        return cls(tuple(columns))

    def transform(self, samples: Samples) -> np.ndarray:
        """(N, P) design matrix, float64."""
        require_columns(samples, [column.name for column in self.columns])
        arrays = [array for column in self.columns for array in column.encode(samples.inputs)]
        return np.column_stack(arrays) if arrays else np.zeros((len(samples), 0))

    @property
    def owners(self) -> list[str]:
        """(P,) the raw column that each design column comes from."""
        return [column.name for column in self.columns for _ in range(_width(column))]

    def sum_by_owner(self, values: np.ndarray) -> pd.DataFrame:
        """(N, P) figures of the design columns, summed for each raw column: (N, F)."""
        owners = self.owners
        names = list(dict.fromkeys(owners))
        is_owner = np.array([[owner == name for name in names] for owner in owners], dtype=values.dtype)
        return pd.DataFrame(values @ is_owner.reshape(len(owners), len(names)), columns=names)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "columns": [
                {"form": "number" if isinstance(column, NumberColumn) else "category", **asdict(column)}
                for column in self.columns
            ]
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LinearEncoding:
        """Inverse of `to_dict`."""
        columns = []
        for plain in values["columns"]:
            kind = NumberColumn if plain["form"] == "number" else CategoryColumn
            fields = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
            columns.append(kind(**{key: v for key, v in fields.items() if key != "form"}))
        return cls(tuple(columns))


def _width(column: NumberColumn | CategoryColumn) -> int:
    """How many design columns it makes."""
    if isinstance(column, NumberColumn):
        return 1 + len(column.knots) + column.has_missing_flag
    return len(column.kept) + column.has_rare + column.has_missing


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Inverse of the weighted empirical distribution, so that a weight of 2 equals a row given twice."""
    return np.quantile(values, fractions, weights=weights, method="inverted_cdf")


def _fit_number(samples: Samples, feature: Feature, form: str) -> NumberColumn | None:
    values = read_ordinals(samples.inputs, feature)
    is_known = ~np.isnan(values) & (samples.weights > 0)
    known, weights = values[is_known], samples.weights[is_known]
    if len(np.unique(known)) == 0:
        return None
    median = float(_weighted_quantiles(known, weights, np.array([0.5]))[0])
    has_missing_flag = bool(np.any(np.isnan(values) & (samples.weights > 0)))
    if known.min() == known.max() and not has_missing_flag:
        return None
    grid_values, grid_fractions, knots = (), (), ()
    if form == "quantile":
        fractions = np.linspace(0, 1, NUM_GRID_POINTS)
        grid = _weighted_quantiles(known, weights, fractions)
        unique = np.unique(grid)
        grid_values = tuple(unique.tolist())
        grid_fractions = tuple(float(fractions[grid == value].mean()) for value in unique)
    low, high = float(known.min()), float(known.max())
    plain = NumberColumn(
        feature.name, feature.categories, median, low, high, 0.0, 1.0, False, grid_values, grid_fractions
    )
    filled = plain.encode(samples.inputs)[0]
    mean = float(np.average(filled, weights=samples.weights))
    scale = float(np.sqrt(np.average((filled - mean) ** 2, weights=samples.weights))) or 1.0
    if form == "spline":
        candidates = np.unique(_weighted_quantiles(known, weights, np.array(KNOT_FRACTIONS)))
        inner = candidates[(candidates > low) & (candidates < high)]
        knots = tuple(((inner - mean) / scale).tolist())
    return NumberColumn(
        name=feature.name,
        order=feature.categories if feature.kind == "category" else (),
        median=median,
        low=low,
        high=high,
        mean=mean,
        scale=scale,
        has_missing_flag=has_missing_flag,
        grid_values=grid_values,
        grid_fractions=grid_fractions,
        knots=knots,
    )


def _fit_category(samples: Samples, feature: Feature, min_count: float) -> CategoryColumn | None:
    codes = read_codes(samples.inputs, feature.name, feature.categories)
    counts = np.array([samples.weights[codes == code].sum() for code in range(len(feature.categories))])
    kept = tuple(c for c, count in zip(feature.categories, counts, strict=True) if count >= min_count)
    is_counted = samples.weights > 0
    has_rare = bool(np.any((counts > 0) & (counts < min_count)) or np.any(is_counted & (codes == -1)))
    has_missing = bool(np.any(is_counted & (codes == -2)))
    if len(kept) + has_rare + has_missing < 2:
        return None
    return CategoryColumn(feature.name, kept, has_rare, has_missing)


def tree_values(samples: Samples, schema: TableSchema) -> np.ndarray:
    """(N, F) float32: numbers, and codes of `schema`'s categories; NaN for missing and unseen."""
    require_columns(samples, schema.names())
    values = np.empty((len(samples), len(schema.features)), dtype=np.float32)
    for position, feature in enumerate(schema.features):
        values[:, position] = read_ordinals(samples.inputs, feature)
    return values


def tree_matrix(samples: Samples, schema: TableSchema, *, with_labels: bool = False) -> xgboost.DMatrix:
    """Rows for XGBoost: float32 numbers, codes of `schema`'s categories, NaN for missing and unseen.

    Ordered categories are numbers (their rank), the others native categories. with_labels adds targets and weights.
    """
    values = tree_values(samples, schema)
    is_category = [f.kind == "category" and not f.is_ordered for f in schema.features]
    labels = {"label": samples.targets, "weight": samples.weights} if with_labels else {}
    return xgboost.DMatrix(
        values,
        missing=np.nan,
        feature_types=["c" if flag else "q" for flag in is_category],
        enable_categorical=True,
        nthread=num_threads() if with_labels else num_threads_for(len(samples)),
        **labels,
    )
