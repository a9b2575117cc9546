"""How far off the predictions are on each group of each attribute, and where they differ from the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from core.errors import BadInputError
from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.intervals import percentile_range
from core.evaluation.multiple_testing import holm
from core.evaluation.resampling import resample_counts
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows

MEASURES = (REGRESSION_METRICS["mae"], MEAN_ERROR)
# An interval of fewer rows (or groups, where given) is none, and a gap is tested only with as many on both sides.
MIN_UNITS = 10
# A standard error below this share of the largest error is rounding.
SMALLEST_ERROR_FRACTION = 1e-12


def slice_errors(
    rows: PredictedRows,
    attributes: pd.DataFrame,
    *,
    min_rows: int = 30,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
    edges: Mapping[str, Sequence[float]] | None = None,
) -> pd.DataFrame:
    """One row per attribute and group (numbers in terciles or given `edges`; missing is a group).

    Columns: attribute, value, rows, mean_truth, and the measures mae and mean_error (predicted minus true), each with
    `_low` and `_high` (bootstrap), `<measure>_gap` (the group minus all other rows) and `<measure>_p`, its p-value:
    bootstrap standard error, Student's t, Holm-corrected over all groups and measures of the table. coverage: share
    inside the band, NaN without one. flagged_gaps names the measures with p < 1 - confidence, smallest first;
    is_flagged says whether there is one. note: why something is missing. A group below `min_rows` is counted, not
    measured. groups (N,): whole groups are resampled; a slice of fewer than ten of them has no interval and no test.

    The degrees of freedom are the rows (or groups) of the smaller side minus one, the cautious end of those of Welch:
    of ten rows a normal p-value of 0.001, which Holm's correction asks for, would be one of 0.01.

    Source: Welch 1947, whose degrees of freedom are never fewer than those of the smaller side.

    Raises:
        BadInputError: attributes or groups of another length.
    """
    for name, given in (("attributes", attributes), ("groups", groups)):
        if given is not None and len(given) != len(rows):
            raise BadInputError(f"{name} has {len(given)} rows, expected {len(rows)}.")
    named = _masks(attributes, edges or {})
    masks = [mask for _, _, mask in named]
    is_small = np.array([mask.sum() < min_rows for mask in masks], dtype=bool)
    measured = _measure(rows, masks, np.ones((1, len(rows))))
    values, gaps = (np.where(is_small[:, None], np.nan, part[:, :, 0]) for part in measured)
    counts = resample_counts(len(rows), num_bootstrap, seed=seed, groups=groups)
    chunks = [_measure(rows, masks, chunk) for chunk in counts]
    replicates, gap_replicates = (np.concatenate(part, axis=2) for part in zip(*chunks, strict=True))
    num_units = np.array([[_num_units(side, groups) for side in (mask, ~mask)] for mask in masks]).reshape(-1, 2)
    p_values = _p_values(gaps, gap_replicates, num_units, SMALLEST_ERROR_FRACTION * np.abs(rows.error).max())
    p_values = holm(p_values.ravel()).reshape(gaps.shape)
    low, high = _ranges(replicates, values, num_units[:, 0], confidence)
    table = pd.DataFrame(
        {
            "attribute": [attribute for attribute, _, _ in named],
            "value": [value for _, value, _ in named],
            "rows": [int(mask.sum()) for mask in masks],
            "mean_truth": [rows.truth[mask].mean() for mask in masks],
        }
    )
    for index, name in enumerate(measure.name for measure in MEASURES):
        table[name], table[f"{name}_low"], table[f"{name}_high"] = values[:, index], low[:, index], high[:, index]
        table[f"{name}_gap"], table[f"{name}_p"] = gaps[:, index], p_values[:, index]
    table["coverage"] = [_coverage(rows, mask, is_small=small) for mask, small in zip(masks, is_small, strict=True)]
    table["flagged_gaps"] = [_flagged(p, 1 - confidence) for p in p_values]
    table["is_flagged"] = table["flagged_gaps"] != ""
    unit = "rows" if groups is None else "groups"
    table["note"] = [_note(n, min_rows, unit, is_small=small) for n, small in zip(num_units, is_small, strict=True)]
    return table


def _masks(attributes: pd.DataFrame, edges: Mapping[str, Sequence[float]]) -> list[tuple[str, str, np.ndarray]]:
    """(attribute, group, (N,) bool) in the table's order; bands keep their order, categories are sorted."""
    found = []
    for attribute in attributes.columns:
        column = attributes[attribute]
        names = attribute_groups(column, edges.get(attribute))
        by_value = pd.to_numeric(column, errors="coerce").groupby(names.to_numpy()).min()
        for name in sorted(names.unique(), key=lambda n: (pd.isna(by_value[n]), by_value[n], n)):
            found.append((str(attribute), name, (names == name).to_numpy()))
    return found


def _measure(rows: PredictedRows, masks: list[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The measures of each group and their gap to the rest; two (S, measures, B), NaN where a side is empty."""
    shape = (len(masks), len(MEASURES), len(weights))
    inside, rest = np.empty(shape), np.empty(shape)
    for index, mask in enumerate(masks):
        for side, found in ((mask, inside), (~mask, rest)):
            part, of_part = rows.part(side), weights[:, side]
            found[index] = [measure.weighted(part, of_part) for measure in MEASURES]
    return inside, inside - rest


def _num_units(mask: np.ndarray, groups: np.ndarray | None) -> int:
    """Rows of a mask (N,), or the groups that they are from."""
    return int(mask.sum()) if groups is None else len(np.unique(np.asarray(groups)[mask].astype(str)))


def _p_values(gaps: np.ndarray, replicates: np.ndarray, num_units: np.ndarray, least_error: float) -> np.ndarray:
    """(S, measures) two-sided p-values of gaps from replicates (S, measures, B); NaN where a side (S, 2) is too small.

    Counting replicates beyond zero cannot go below 2 / (B + 1), which no correction over many slices survives.
    """
    smaller = num_units.min(axis=1)
    is_tested = np.isfinite(gaps) & (smaller >= MIN_UNITS)[:, None]
    p_values = np.full(gaps.shape, np.nan)
    for place in map(tuple, np.argwhere(is_tested)):
        error = np.nanstd(replicates[place], ddof=1)
        if error > least_error:
            p_values[place] = 2 * student_t.sf(abs(gaps[place]) / error, smaller[place[0]] - 1)
    return p_values


def _ranges(
    replicates: np.ndarray, values: np.ndarray, num_units: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two (S, measures): the intervals of the slices' values, NaN where a slice has too few rows or groups (S,)."""
    low, high = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for place in map(tuple, np.argwhere(np.isfinite(values) & (num_units >= MIN_UNITS)[:, None])):
        bottom, top = percentile_range(replicates[place], confidence)
        low[place], high[place] = min(bottom, values[place]), max(top, values[place])
    return low, high


def _coverage(rows: PredictedRows, mask: np.ndarray, *, is_small: bool) -> float:
    return REGRESSION_METRICS["coverage"].of_rows(rows.part(mask)) if rows.has_band and not is_small else np.nan


def _flagged(p_values: np.ndarray, level: float) -> str:
    """Names of the measures with a small p-value, smallest first."""
    order = np.argsort(np.nan_to_num(p_values, nan=1.0), kind="stable")
    return ", ".join(MEASURES[index].name for index in order if p_values[index] < level)


def _note(num_units: np.ndarray, min_rows: int, unit: str, *, is_small: bool) -> str:
    """Why a slice has no measures, no interval or no test."""
    if is_small:
        return f"fewer than {min_rows} rows"
    if num_units[0] < MIN_UNITS:
        return f"fewer than {MIN_UNITS} {unit}"
    return f"fewer than {MIN_UNITS} other {unit} to compare with" if num_units[1] < MIN_UNITS else ""
