"""What a decision at a threshold does: counts, rates, cost and slices from arrays alone, quick enough to drag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.fairness import four_fifths_ratio
from core.evaluation.intervals import percentile_range, wilson_interval
from core.evaluation.release import FOUR_FIFTHS
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.thresholds import bayes_threshold

CELLS = ("true_positive", "false_positive", "false_negative", "true_negative")
# Of each rate: what is counted, among what. An adverse case is not approved.
RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accuracy": (("true_positive", "true_negative"), CELLS),
    "recall": (("true_positive",), ("true_positive", "false_negative")),
    "specificity": (("true_negative",), ("true_negative", "false_positive")),
    "precision": (("true_positive",), ("true_positive", "false_positive")),
    "approval_rate": (("false_negative", "true_negative"), CELLS),
    "adverse_rate": (("true_positive", "false_positive"), CELLS),
    "false_positive_rate": (("false_positive",), ("false_positive", "true_negative")),
}
OVERALL = ("accuracy", "recall", "specificity", "precision", "approval_rate")
OF_SLICE = ("adverse_rate", "recall", "false_positive_rate")


def decide_at(
    is_positive: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    cost_false_negative: float,
    cost_false_positive: float,
    *,
    benefit_true_positive: float = 0.0,
    benefit_true_negative: float = 0.0,
    attributes: pd.DataFrame | None = None,
    groups: np.ndarray | None = None,
    min_rows: int = 30,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Rows (N,) decided at `threshold`: adverse from it upwards. JSON-ready; what cannot be told is None.

    confusion: rows in each of CELLS. rates: {rate: {value, low, high}}, Wilson, or by a bootstrap of whole groups where
    groups (N,) repeat (rates_by tells which). cost_per_case: {value, low, high}, errors' costs less the benefits, by
    that bootstrap or one of rows. slices: one entry a group of each column of `attributes` (N rows; numbers in bands,
    missing is a group) with rows, positives and OF_SLICE, Wilson each. four_fifths: {attribute: {ratio,
    passes_four_fifths, least_favoured, most_favoured}} over its groups of at least `min_rows` rows.

    Source: the rule 29 CFR 1607.4 (D); intervals as in `core.evaluation.intervals`.

    Raises:
        BadInputError: shapes, missing values, a cost that is not positive, or a threshold that is no number.
    """
    bayes_threshold(cost_false_negative, cost_false_positive)
    if not np.isfinite(threshold):
        raise BadInputError(f"The threshold is {threshold}, expected a number.", repair="Choose one from 0 to 1.")
    rows = ScoredRows.of_score(is_positive, probability)
    for name, given in (("attributes", attributes), ("groups", groups)):
        if given is not None and len(given) != len(rows):
            raise BadInputError(f"{name} has {len(given)} rows, expected {len(rows)}.")
    cell = cells_of(rows.is_positive, rows.score >= threshold)
    counts = np.bincount(cell, minlength=len(CELLS))
    kinds, sizes, is_grouped = _kinds_of_units(cell, groups)
    # Units of one kind are the same to every figure here, so how many of each kind are drawn is one multinomial draw:
    # the distribution of `resample_counts`, without a draw for every row.
    num_units = int(sizes.sum())
    drawn = np.random.default_rng(seed).multinomial(num_units, sizes / num_units, size=num_bootstrap)
    replicates = drawn @ kinds
    worth = np.array([-benefit_true_positive, cost_false_positive, cost_false_negative, -benefit_true_negative])
    costs = _ratio(replicates @ worth, replicates.sum(axis=1))
    value = float(counts @ worth / len(rows))
    slices, four_fifths = _slices(cell, attributes, min_rows, confidence)
    return {
        "threshold": float(threshold),
        "confidence": confidence,
        "rows": len(rows),
        "positives": int(rows.is_positive.sum()),
        "groups": num_units if is_grouped else None,
        "rates_by": "bootstrap of groups" if is_grouped else "Wilson",
        "confusion": {name: int(count) for name, count in zip(CELLS, counts, strict=True)},
        "rates": {name: _rate(name, counts, replicates if is_grouped else None, confidence) for name in OVERALL},
        "cost_per_case": _interval(value, costs, confidence),
        "slices": slices,
        "four_fifths": four_fifths,
    }


def cells_of(is_positive: np.ndarray, is_adverse: np.ndarray) -> np.ndarray:
    """(N,) int place in CELLS of outcomes and decisions, (N,) bool each."""
    return np.where(is_positive, np.where(is_adverse, 0, 2), np.where(is_adverse, 1, 3))


def _kinds_of_units(cell: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, bool]:
    """What a bootstrap draws: ((K, CELLS) counts of each kind of unit, (K,) units of it, whether units are groups)."""
    num_cells = len(CELLS)
    if groups is not None:
        member, names = pd.factorize(np.asarray(groups), use_na_sentinel=False)
        if len(names) < len(cell):
            counts = np.bincount(member * num_cells + cell, minlength=len(names) * num_cells)
            kinds = pd.DataFrame(counts.reshape(len(names), num_cells), columns=list(CELLS)).value_counts(sort=False)
            return np.array(kinds.index.to_list()), kinds.to_numpy(), True
    return np.eye(num_cells, dtype=int), np.bincount(cell, minlength=num_cells), False


def _rate(name: str, counts: np.ndarray, replicates: np.ndarray | None, confidence: float) -> dict[str, float | None]:
    """{value, low, high} of a rate of RATES from counts (CELLS,); by replicates (B, CELLS) where they are given."""
    hits, among = ([CELLS.index(cell) for cell in cells] for cells in RATES[name])
    num_hits, total = int(counts[hits].sum()), int(counts[among].sum())
    if total == 0:
        return {"value": None, "low": None, "high": None}
    if replicates is not None:
        found = _ratio(replicates[:, hits].sum(axis=1), replicates[:, among].sum(axis=1))
        return _interval(num_hits / total, found, confidence)
    low, high = wilson_interval(num_hits, total, confidence)
    return {"value": num_hits / total, "low": float(low), "high": float(high)}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(B,) NaN where nothing is below."""
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)


def _interval(value: float, replicates: np.ndarray, confidence: float) -> dict[str, float | None]:
    """The percentile interval, which holds its value; without one where most replicates are undefined."""
    if np.isnan(replicates).mean() > 0.5:
        return {"value": value, "low": None, "high": None}
    low, high = percentile_range(replicates, confidence)
    return {"value": value, "low": min(low, value), "high": max(high, value)}


def _slices(
    cell: np.ndarray, attributes: pd.DataFrame | None, min_rows: int, confidence: float
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The slices of every attribute and its four-fifths ratio."""
    slices: list[dict[str, Any]] = []
    four_fifths: dict[str, Any] = {}
    for attribute in attributes.columns if attributes is not None else ():
        member, names = _ordered_groups(attributes[attribute])
        counts = np.bincount(member * len(CELLS) + cell, minlength=len(names) * len(CELLS))
        counts = counts.reshape(len(names), len(CELLS))
        sizes = counts.sum(axis=1)
        for name, of_slice, size in zip(names, counts, sizes, strict=True):
            found = {rate: _rate(rate, of_slice, None, confidence) for rate in OF_SLICE}
            told = {
                "rows": int(size),
                "positives": int(of_slice[0] + of_slice[2]),
                "is_compared": bool(size >= min_rows),
            }
            slices.append({"attribute": str(attribute), "value": str(name), **told, **found})
        four_fifths[str(attribute)] = _four_fifths(names, counts[:, 2:].sum(axis=1), sizes, min_rows)
    return slices, four_fifths


def _ordered_groups(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """((N,) place of each row's group, (G,) names): bands of a number from low to high, others by name."""
    member, names = pd.factorize(attribute_groups(column))
    names = np.asarray(names, dtype=object)
    order = np.argsort(names)
    if pd.api.types.is_numeric_dtype(column):  # a missing number comes last
        least = column.reset_index(drop=True).groupby(member).min().reindex(range(len(names)))
        order = np.argsort(least.to_numpy(dtype=float, na_value=np.nan), kind="stable")
    return np.argsort(order)[member], names[order]


def _four_fifths(names: np.ndarray, approved: np.ndarray, sizes: np.ndarray, min_rows: int) -> dict[str, Any]:
    """The ratio of approval rates of groups (G,) with enough rows; None with fewer than two of them."""
    kept = sizes >= min_rows
    if kept.sum() < 2:
        return {"ratio": None, "passes_four_fifths": None, "least_favoured": None, "most_favoured": None}
    names, rates = names[kept], approved[kept] / sizes[kept]
    ratio = four_fifths_ratio(rates)
    return {
        "ratio": ratio,
        "passes_four_fifths": ratio >= FOUR_FIFTHS,
        "least_favoured": str(names[rates.argmin()]),
        "most_favoured": str(names[rates.argmax()]),
    }
