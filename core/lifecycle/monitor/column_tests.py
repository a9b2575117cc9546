"""One column at a time: Kolmogorov-Smirnov of numbers, chi-square of categories, both by deals of whole groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from core.lifecycle.monitor.permuted_units import PermutedUnits

MAX_CATEGORIES = 50


def is_number_column(values: pd.Series) -> bool:
    """Whether a column counts as a number; Booleans are categories."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def number_values(values: pd.Series) -> np.ndarray:
    """(N,) float64; missing and infinite values are NaN."""
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def number_codes(values: np.ndarray) -> np.ndarray:
    """(N,) int rank of each distinct value of (N,) floats, -1 where it is missing."""
    is_known = ~np.isnan(values)
    codes = np.full(len(values), -1)
    codes[is_known] = np.unique(values[is_known], return_inverse=True)[1]
    return codes


def category_codes(values: pd.Series) -> np.ndarray:
    """(N,) int code of each category; missing is one, and so are all but the 49 most frequent of more than 50."""
    codes = pd.factorize(values.astype(object), use_na_sentinel=False)[0]
    counts = np.bincount(codes)
    if len(counts) <= MAX_CATEGORIES:
        return codes
    kept = np.sort(np.argsort(-counts, kind="stable")[: MAX_CATEGORIES - 1])
    places = np.full(len(counts), MAX_CATEGORIES - 1)
    places[kept] = np.arange(MAX_CATEGORIES - 1)
    return places[codes]


def kolmogorov_smirnov_distances(codes: np.ndarray, units: PermutedUnits) -> np.ndarray:
    """(1 + B,) largest distance of the two sides' distribution functions, for each deal; codes (N,) rank the values.

    Rows with code -1 are left out. NaN where a side has no value.

    Source: Smirnov 1939; D = max over v of |F_batch(v) - F_reference(v)|.
    """
    if codes.max() < 0:
        return np.full(units.sides.shape[1], np.nan)
    of_batch, of_all = _counts(codes, units)
    batch_rows, num_rows = of_batch.sum(axis=0), of_all.sum()
    reference_rows = num_rows - batch_rows
    below = np.cumsum(of_batch, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # F_batch - F_reference = below (1 / n_batch + 1 / n_reference) - all below / n_reference
        gap = below * (1 / batch_rows + 1 / reference_rows) - np.cumsum(of_all)[:, None] / reference_rows
    return np.abs(gap).max(axis=0)


def chi_square_statistics(codes: np.ndarray, units: PermutedUnits) -> np.ndarray:
    """(1 + B,) Pearson's chi-square of the (2, K) table of side by category, for each deal; codes (N,) in 0..K-1.

    Source: Pearson 1900; for two sides sum_k (b_k - t_k n_b / n)^2 n^2 / (t_k n_b n_r).
    """
    of_batch, of_all = _counts(codes, units)
    batch_rows, num_rows = units.batch_rows, len(codes)
    gap = of_batch - of_all[:, None] * batch_rows / num_rows
    scale = num_rows**2 / (of_all[:, None] * batch_rows * (num_rows - batch_rows))
    return (gap**2 * scale).sum(axis=0)


def _counts(codes: np.ndarray, units: PermutedUnits) -> tuple[np.ndarray, np.ndarray]:
    """((K, 1 + B) batch rows of each code in each deal, (K,) rows of each code); rows without a code are left out."""
    kept = codes >= 0
    codes, unit = codes[kept], units.unit[kept]
    shape = (int(codes.max()) + 1, len(units.sizes))
    table = csr_array((np.ones(len(codes)), (codes, unit)), shape=shape)
    return table @ units.sides, np.bincount(codes).astype(float)
