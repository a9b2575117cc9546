"""Has the population moved? Stability index and tests, column by column and for the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp

from core.errors import BadInputError, BadParamsError, did_you_mean
from core.evaluation.equal_mass_bins import equal_mass_edges
from core.evaluation.multiple_testing import CORRECTIONS

LIGHT_AMBER, LIGHT_RED = 0.10, 0.25
# Half a row is added to each bin, so that a bin empty on one side gives a large number instead of infinity.
SMOOTHING_ROWS = 0.5
MAX_CATEGORIES = 50
OTHER, MISSING = "\x00other", "\x00missing"


def population_stability_index(
    expected: np.ndarray, actual: np.ndarray, *, num_bins: int = 10, is_category: bool = False
) -> float:
    """PSI = sum_b (a_b - e_b) ln(a_b / e_b) over bins; 0 = the same distribution.

    expected (N,), actual (M,). Numbers: bins of equal mass of `expected`, open at both ends. Categories: one bin each
    (of more than 50 the rarest share one). Missing values are a bin of their own. Shares are smoothed with half a
    row a bin: e_b = (count_b + 0.5) / (N + 0.5 K) for K bins.

    Source: Siddiqi 2006, chapter 8; the limits 0.10 and 0.25 are convention.

    Raises:
        BadInputError: one side has no rows.
    """
    before, after = _bin_counts(expected, actual, num_bins=num_bins, is_category=is_category)
    before, after = before + SMOOTHING_ROWS, after + SMOOTHING_ROWS
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def stability_light(index: float) -> str:
    """green below 0.10, amber up to 0.25, red above."""
    if index < LIGHT_AMBER:
        return "green"
    return "amber" if index <= LIGHT_RED else "red"


def shift_table(
    expected: pd.DataFrame,
    actual: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    num_bins: int = 10,
    correction: str = "holm",
    level: float = 0.05,
) -> pd.DataFrame:
    """One row a column, most shifted first. float64 columns are numbers, others categories; no free text, please.

    Columns: column, kind, psi, light, test (Kolmogorov-Smirnov, or chi-square of the category counts), statistic,
    p_value, p_adjusted (holm or benjamini_hochberg), is_shifted (p_adjusted < level), missing_expected,
    missing_actual. The tests compare the values that are there; psi also sees a change in what is missing. With many
    rows any trifle is significant: read the light first.

    Raises:
        BadInputError: one side has no rows, or a column is not on both sides.
        BadParamsError: unknown correction.
    """
    if correction not in CORRECTIONS:
        raise BadParamsError(f"Unknown correction '{correction}'.", repair=did_you_mean(correction, CORRECTIONS))
    names = list(columns) if columns is not None else [c for c in expected.columns if c in actual.columns]
    records = []
    for name in names:
        if name not in expected.columns or name not in actual.columns:
            raise BadInputError(f"Column '{name}' is not on both sides.")
        is_category = not (
            pd.api.types.is_numeric_dtype(expected[name]) and pd.api.types.is_numeric_dtype(actual[name])
        )
        index = population_stability_index(expected[name], actual[name], num_bins=num_bins, is_category=is_category)
        statistic, p_value = _test(expected[name], actual[name], is_category=is_category)
        records.append(
            {
                "column": name,
                "kind": "category" if is_category else "number",
                "psi": index,
                "light": stability_light(index),
                "test": "chi-square" if is_category else "Kolmogorov-Smirnov",
                "statistic": statistic,
                "p_value": p_value,
                "missing_expected": float(expected[name].isna().mean()),
                "missing_actual": float(actual[name].isna().mean()),
            }
        )
    table = pd.DataFrame(records)
    if table.empty:
        return table
    adjusted = CORRECTIONS[correction](table["p_value"].to_numpy())
    table.insert(7, "p_adjusted", adjusted)
    table.insert(8, "is_shifted", adjusted < level)
    return table.sort_values("psi", ascending=False, ignore_index=True)


def _bin_counts(
    expected: np.ndarray, actual: np.ndarray, *, num_bins: int, is_category: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each side in each bin, two (K,)."""
    before, after = pd.Series(np.asarray(expected)), pd.Series(np.asarray(actual))
    if len(before) == 0 or len(after) == 0:
        raise BadInputError(f"Stability needs rows on both sides; got {len(before)} and {len(after)}.")
    if is_category:
        before, after = _category_bins(before, after)
    else:
        before, after = before.astype(float), after.astype(float)
        edges = equal_mass_edges(before.dropna().to_numpy(), num_bins) if before.notna().any() else np.array([])
        before, after = (_number_bins(side, edges) for side in (before, after))
    counts = [side.value_counts() for side in (before, after)]
    names = counts[0].index.union(counts[1].index)
    return tuple(count.reindex(names, fill_value=0).to_numpy(dtype=float) for count in counts)


def _number_bins(values: pd.Series, edges: np.ndarray) -> pd.Series:
    """Bin numbers; missing is bin -1. A value on an edge belongs to the bin below."""
    return pd.Series(np.where(values.isna(), -1, np.searchsorted(edges, values.to_numpy(), side="left")))


def _category_bins(before: pd.Series, after: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Categories as texts; missing is one, and so are the rarest beyond MAX_CATEGORIES."""
    before, after = (side.astype(object).where(side.notna(), MISSING).astype(str) for side in (before, after))
    kept = pd.concat([before, after]).value_counts().index
    if len(kept) <= MAX_CATEGORIES:
        return before, after
    kept = kept[:MAX_CATEGORIES]
    return before.where(before.isin(kept), OTHER), after.where(after.isin(kept), OTHER)


def _test(expected: pd.Series, actual: pd.Series, *, is_category: bool) -> tuple[float, float]:
    """(statistic, p-value) of the values that are there; NaN where a side has none."""
    before, after = expected.dropna(), actual.dropna()
    if before.empty or after.empty:
        return np.nan, np.nan
    if not is_category:
        result = ks_2samp(before.to_numpy(dtype=float), after.to_numpy(dtype=float), method="asymp")
        return float(result.statistic), float(result.pvalue)
    counts = np.stack(_bin_counts(before.to_numpy(), after.to_numpy(), num_bins=2, is_category=True))
    if counts.shape[1] < 2:
        return 0.0, 1.0
    result = chi2_contingency(counts, correction=False)
    return float(result.statistic), float(result.pvalue)
