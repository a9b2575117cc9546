"""How the model does on each group of each attribute, and where it differs from the rest by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from core.errors import BadInputError
from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.intervals import percentile_range
from core.evaluation.metrics import auc
from core.evaluation.multiple_testing import holm
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows

MEASURES = ("auc", "adverse_rate", "true_positive_rate", "false_positive_rate", "calibration_gap")
# A standard error of fewer defined replicates than this is no estimate.
MIN_REPLICATES = 50
# A gap in a rate or an AUC is tested only where both sides have this many rows that it is made of.
MIN_CLASS_ROWS = 10


def slice_table(
    labels: np.ndarray,
    probability: np.ndarray,
    attributes: pd.DataFrame,
    *,
    threshold: float,
    positive_index: int,
    min_rows: int = 30,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    edges: Mapping[str, Sequence[float]] | None = None,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per attribute and group (numbers in terciles or given `edges`; missing is a group).

    Columns: attribute, value, rows, positives, prevalence, mean_probability, and the measures auc (with auc_low,
    auc_high), adverse_rate (score >= threshold), true_positive_rate, false_positive_rate, calibration_gap (mean
    probability minus prevalence: calibration in the large, above 0 = risk overstated). For each measure `<measure>_gap`
    is the group minus all other rows and `<measure>_p` its p-value: bootstrap standard error, normal, Holm-corrected
    over all groups and measures of the table. flagged_gaps names the measures with p < 1 - confidence, worst first;
    is_flagged says whether there is one; gaps of fewer than ten rows on a side are not tested. note: why something is
    missing. A group below `min_rows` is counted, not measured; an AUC of one class is NaN.

    Raises:
        BadInputError: shapes, missing values, or attributes of another length.
    """
    rows = ScoredRows.checked(labels, probability, positive_index)
    if len(attributes) != len(rows):
        raise BadInputError(f"attributes has {len(attributes)} rows, expected {len(rows)}.")
    named = _masks(attributes, edges or {})
    masks = [mask for _, _, mask in named]
    values, gaps = _measure(rows, masks, np.ones((1, len(rows))), threshold)
    chunks = [
        _measure(rows, masks, counts, threshold)
        for counts in resample_counts(len(rows), num_bootstrap, seed=seed, groups=groups)
    ]
    replicates, gap_replicates = (np.concatenate(part, axis=2) for part in zip(*chunks, strict=True))
    table = pd.DataFrame(
        {
            "attribute": [attribute for attribute, _, _ in named],
            "value": [value for _, value, _ in named],
            "rows": [int(mask.sum()) for mask in masks],
            "positives": [int(rows.is_positive[mask].sum()) for mask in masks],
            "prevalence": [rows.is_positive[mask].mean() for mask in masks],
            "mean_probability": [rows.score[mask].mean() for mask in masks],
        }
    )
    is_small = table["rows"].to_numpy() < min_rows
    values, gaps = (np.where(is_small[:, None], np.nan, part[:, :, 0]) for part in (values, gaps))
    low_high = np.array([_range_or_nan(r, v, confidence) for r, v in zip(replicates[:, 0], values[:, 0], strict=True)])
    low_high = low_high.reshape(len(masks), 2)
    least = [_least_errors(rows, mask, threshold) for mask in masks]
    p_values = _p_values(gaps, gap_replicates, np.array(least).reshape(gaps.shape))
    p_values = holm(p_values.ravel()).reshape(gaps.shape)
    for index, measure in enumerate(MEASURES):
        table[measure] = values[:, index]
        if measure == "auc":
            table["auc_low"], table["auc_high"] = low_high[:, 0], low_high[:, 1]
        table[f"{measure}_gap"], table[f"{measure}_p"] = gaps[:, index], p_values[:, index]
    flagged = [_flagged(p, 1 - confidence) for p in p_values]
    table["flagged_gaps"] = flagged
    table["is_flagged"] = [bool(names) for names in flagged]
    table["note"] = [_note(row.rows, row.positives, min_rows) for row in table.itertuples()]
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


def _measure(
    rows: ScoredRows, masks: list[np.ndarray], weights: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """The measures of each group and their gap to the rest; two (S, measures, B)."""
    pairs = [
        (_measure_part(rows, weights, mask, threshold), _measure_part(rows, weights, ~mask, threshold))
        for mask in masks
    ]
    shape = (len(masks), len(MEASURES), len(weights))
    inside = np.array([one for one, _ in pairs]).reshape(shape)
    return inside, inside - np.array([rest for _, rest in pairs]).reshape(shape)


def _measure_part(rows: ScoredRows, weights: np.ndarray, mask: np.ndarray, threshold: float) -> np.ndarray:
    """(measures, B) of the rows in `mask`, NaN where undefined."""
    part = ScoredRows(rows.labels[mask], rows.probability[mask], rows.positive_index)
    weights = weights[:, mask]
    if len(part) == 0:
        return np.full((len(MEASURES), len(weights)), np.nan)
    is_adverse, is_positive = part.score >= threshold, part.is_positive
    total, positive = weights.sum(axis=1), weights @ is_positive.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack(
            [
                auc(part, weights),
                weights @ is_adverse.astype(float) / total,
                weights @ (is_adverse & is_positive).astype(float) / positive,
                weights @ (is_adverse & ~is_positive).astype(float) / (total - positive),
                weights @ (part.score - is_positive) / total,
            ]
        )


def _least_errors(rows: ScoredRows, mask: np.ndarray, threshold: float) -> np.ndarray:
    """(measures,) smallest credible standard error of each gap; NaN where a side has too few rows to compare.

    Where all of twelve positives are found, every bootstrap replicate finds all of them and sees no error at all.
    Rates are therefore given at least the error of a gap between two samples of the common rate.

    Source: the pooled two-proportion test, Fleiss, Levin & Paik 2003, equation 3.1.
    """
    is_adverse, is_positive = rows.score >= threshold, rows.is_positive
    errors = [np.nan] * len(MEASURES)
    if min((side & kind).sum() for side in (mask, ~mask) for kind in (is_positive, ~is_positive)) >= MIN_CLASS_ROWS:
        errors[0] = 0.0  # auc: no rate, the bootstrap's own error will do
    if min(mask.sum(), (~mask).sum()) >= MIN_CLASS_ROWS:
        errors[-1] = 0.0
    for index, part in enumerate((np.ones(len(rows), dtype=bool), is_positive, ~is_positive), start=1):
        num_here, num_rest = (mask & part).sum(), (~mask & part).sum()
        if min(num_here, num_rest) >= MIN_CLASS_ROWS:
            rate = is_adverse[part].mean()
            errors[index] = np.sqrt(rate * (1 - rate) * (1 / num_here + 1 / num_rest))
    return np.array(errors)


def _p_values(gaps: np.ndarray, replicates: np.ndarray, least_errors: np.ndarray) -> np.ndarray:
    """(S, measures) two-sided normal p-values of gaps with their bootstrap standard error; NaN where undefined.

    Counting replicates beyond zero cannot go below 2 / (B + 1), which no correction over many slices survives.
    """
    p_values = np.full(gaps.shape, np.nan)
    for index in np.argwhere(np.isfinite(gaps) & np.isfinite(least_errors)):
        defined = replicates[tuple(index)]
        defined = defined[np.isfinite(defined)]
        if len(defined) < MIN_REPLICATES:
            continue
        error = max(defined.std(ddof=1), least_errors[tuple(index)])
        if error > 0:
            p_values[tuple(index)] = 2 * norm.sf(abs(gaps[tuple(index)]) / error)
    return p_values


def _range_or_nan(replicates: np.ndarray, value: float, confidence: float) -> tuple[float, float]:
    if not np.isfinite(value) or np.isfinite(replicates).sum() < len(replicates) / 2:
        return np.nan, np.nan
    return percentile_range(replicates, confidence)


def _flagged(p_values: np.ndarray, level: float) -> str:
    """Names of the measures with a small p-value, smallest first."""
    order = np.argsort(np.nan_to_num(p_values, nan=1.0), kind="stable")
    return ", ".join(MEASURES[index] for index in order if p_values[index] < level)


def _note(num_rows: int, num_positive: int, min_rows: int) -> str:
    if num_rows < min_rows:
        return f"fewer than {min_rows} rows"
    return "one class only" if num_positive in (0, num_rows) else ""
