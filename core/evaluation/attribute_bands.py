"""An attribute as a few groups: categories as they are, numbers in bands, missing as a group of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

MISSING = "missing"
# A number with no more values than this (children, a flag) is left as it is.
MAX_PLAIN_VALUES = 6


def attribute_groups(column: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """(N,) group names of an attribute (N,), without a missing one.

    edges: upper ends of the bands of a number, for example (25, 40) for "up to 25", "over 25 to 40", "over 40";
    terciles when not given. Texts that all read as numbers are numbers.
    """
    is_missing = column.isna()
    numbers = _as_numbers(column)
    if numbers is None or (edges is None and numbers.nunique() <= MAX_PLAIN_VALUES):
        codes, distinct = pd.factorize(column.astype(object))  # a million rows have a few names
        names = np.array([*(_plain_name(value) for value in distinct), MISSING], dtype=object)
        return pd.Series(names[codes], index=column.index, dtype=str)
    if edges is None:
        edges = np.unique(np.nanquantile(numbers, [1 / 3, 2 / 3], method="inverted_cdf"))
    edges = np.asarray(edges, dtype=float)
    position = np.searchsorted(edges, numbers.to_numpy(), side="left")
    names = np.array(_band_names(edges), dtype=object)[position]
    return pd.Series(np.where(is_missing | numbers.isna(), MISSING, names), index=column.index)


def _as_numbers(column: pd.Series) -> pd.Series | None:
    """The column as float64, or None where some value is no number."""
    if pd.api.types.is_bool_dtype(column):
        return None
    if not pd.api.types.is_numeric_dtype(column):
        codes, distinct = pd.factorize(column)
        values = np.append(pd.to_numeric(pd.Series(distinct), errors="coerce").to_numpy(dtype=float), np.nan)
        numbers = pd.Series(values[codes], index=column.index)
    else:
        numbers = column.astype(float)
    return None if (numbers.isna() & column.notna()).any() or numbers.isna().all() else numbers


def _plain_name(value: object) -> str:
    """2.0 as "2", everything else as its text."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _band_names(edges: np.ndarray) -> list[str]:
    """E edges give E + 1 names."""
    inner = [f"over {low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:g}", *inner, f"over {edges[-1]:g}"]
