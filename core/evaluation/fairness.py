"""Equal treatment: how decisions differ between the groups of each attribute, by fairlearn's definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    count,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from scipy.stats import chi2_contingency

from core.errors import BadInputError
from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.proxies import protected_proxies
from core.evaluation.release import FOUR_FIFTHS
from core.evaluation.scored_rows import ScoredRows

__all__ = ["fairness_table", "protected_proxies"]


def fairness_table(
    is_positive: np.ndarray,
    is_adverse: np.ndarray,
    attributes: pd.DataFrame,
    *,
    min_rows: int = 30,
    edges: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """`{attribute: measures}`, JSON-ready, of outcomes (N,) bool and adverse decisions (N,) bool.

    Per attribute:
    groups: [{value, rows, adverse_rate, favourable_rate, true_positive_rate, false_positive_rate, is_compared}];
    a rate without rows is None.
    adverse_rate_difference, true_positive_rate_difference, false_positive_rate_difference: largest minus smallest.
    equalised_odds_difference: the larger of the last two, over groups that have both outcomes.
    four_fifths_ratio: smallest favourable rate / largest (1 when nobody is favoured anywhere); passes_four_fifths.
    p_value: chi-square of decision by group; a ratio below 0.8 with a large p-value may be chance.
    least_favoured, most_favoured: the groups of the ratio.
    Groups below `min_rows` are listed, not compared; with fewer than two groups left the measures are None.

    Source: fairlearn user guide, "Common fairness metrics"; four-fifths rule: 29 CFR 1607.4 (D).

    Raises:
        BadInputError: shapes or missing values.
    """
    rows = ScoredRows.of_score(is_positive, np.asarray(is_adverse, dtype=float))
    if not np.isin(rows.score, (0, 1)).all():
        raise BadInputError("is_adverse must be decisions (0 or 1), not scores.", repair="Apply the threshold first.")
    if len(attributes) != len(rows):
        raise BadInputError(f"attributes has {len(attributes)} rows, expected {len(rows)}.")
    edges = edges or {}
    return {
        str(name): _attribute_fairness(
            rows.is_positive,
            rows.score > 0,
            attribute_groups(attributes[name], edges.get(name)).to_numpy(),
            min_rows,
        )
        for name in attributes.columns
    }


def _attribute_fairness(
    is_positive: np.ndarray, is_adverse: np.ndarray, groups: np.ndarray, min_rows: int
) -> dict[str, Any]:
    """The measures of one attribute, groups (N,) by name."""
    frame = MetricFrame(
        metrics={
            "rows": count,
            "adverse_rate": selection_rate,
            "true_positive_rate": true_positive_rate,
            "false_positive_rate": false_positive_rate,
            "prevalence": lambda y_true, y_pred: np.mean(y_true),
        },
        y_true=is_positive.astype(int),
        y_pred=is_adverse.astype(int),
        sensitive_features=groups,
    ).by_group
    # fairlearn gives 0 for the rate of a group without such rows; it is unknown instead.
    frame.loc[frame["prevalence"] == 0, "true_positive_rate"] = np.nan
    frame.loc[frame["prevalence"] == 1, "false_positive_rate"] = np.nan
    is_compared = frame["rows"] >= min_rows
    return {
        "groups": [
            {
                "value": str(value),
                "rows": int(row["rows"]),
                "adverse_rate": float(row["adverse_rate"]),
                "favourable_rate": 1 - float(row["adverse_rate"]),
                "true_positive_rate": _number(row["true_positive_rate"]),
                "false_positive_rate": _number(row["false_positive_rate"]),
                "is_compared": bool(is_compared[value]),
            }
            for value, row in frame.iterrows()
        ],
        **_comparison(is_positive, is_adverse, groups, frame[is_compared]),
    }


def _comparison(
    is_positive: np.ndarray, is_adverse: np.ndarray, groups: np.ndarray, frame: pd.DataFrame
) -> dict[str, Any]:
    """The measures between groups; None where fewer than two can be compared."""
    kept = np.isin(groups, frame.index.to_numpy())
    is_favoured, group = (~is_adverse[kept]).astype(int), groups[kept]
    can_compare = len(frame) > 1
    ratio = None
    if can_compare:
        ratio = four_fifths_ratio(pd.Series(is_favoured).groupby(group).mean().to_numpy())
    has_both = frame.index[frame[["true_positive_rate", "false_positive_rate"]].notna().all(axis=1)]
    both = np.isin(groups, has_both.to_numpy())
    odds = None
    if len(has_both) > 1:
        odds = float(
            equalized_odds_difference(
                is_positive[both].astype(int), is_adverse[both].astype(int), sensitive_features=groups[both]
            )
        )
    return {
        "adverse_rate_difference": _spread(frame["adverse_rate"]),
        "true_positive_rate_difference": _spread(frame["true_positive_rate"]),
        "false_positive_rate_difference": _spread(frame["false_positive_rate"]),
        "equalised_odds_difference": odds,
        "four_fifths_ratio": ratio,
        "passes_four_fifths": None if ratio is None else ratio >= FOUR_FIFTHS,
        "p_value": _independence_p_value(is_favoured, group) if can_compare else None,
        "least_favoured": str(frame["adverse_rate"].idxmax()) if can_compare else None,
        "most_favoured": str(frame["adverse_rate"].idxmin()) if can_compare else None,
    }


def four_fifths_ratio(favourable_rates: np.ndarray) -> float:
    """Smallest favourable rate (G,) / largest; 1 where nobody is favoured anywhere: that is equal treatment.

    Source: 29 CFR 1607.4 (D); fairlearn's demographic parity ratio of the favourable decision.
    """
    largest = float(favourable_rates.max())
    return float(favourable_rates.min()) / largest if largest > 0 else 1.0


def _independence_p_value(is_favoured: np.ndarray, groups: np.ndarray) -> float:
    """Chi-square p-value of decision by group; 1 when all decisions are the same."""
    table = pd.crosstab(groups, is_favoured)
    return 1.0 if table.shape[1] < 2 else float(chi2_contingency(table, correction=False).pvalue)


def _spread(rates: pd.Series) -> float | None:
    """Largest minus smallest of the known rates."""
    known = rates.dropna()
    return float(known.max() - known.min()) if len(known) > 1 else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
