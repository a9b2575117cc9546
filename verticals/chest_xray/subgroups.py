"""How the model does by sex, age band, view and site, and where the gap to the rest is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.intervals import percentile_range, replicate_interval, wilson_interval
from core.evaluation.metrics import METRICS
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.slices import slice_table

AGE_EDGES_YEARS = (17.0, 40.0, 60.0)
EDGES: Mapping[str, Sequence[float]] = {"age": AGE_EDGES_YEARS}
RATES = ("sensitivity", "false_negative_rate", "specificity")
TESTED = {"auc": "auc", "sensitivity": "true_positive_rate", "specificity": "false_positive_rate"}
SITE = "site"
CONFIDENCE = 0.95


def subgroup_table(
    targets: np.ndarray,
    probability: np.ndarray,
    attributes: pd.DataFrame,
    groups: np.ndarray,
    *,
    threshold: float,
    positive_index: int,
    min_rows: int = 30,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """One row an attribute and group, of targets (N,), probability (N, C), attributes (N rows) and patients (N,).

    Columns: attribute, value, rows, positives, prevalence; auc, sensitivity (share of positives called), its opposite
    false_negative_rate, specificity and ece, each with _low and _high (95 %, bootstrap over patients; Wilson where a
    rate is 0 or 1, of which the bootstrap sees no error); auc_p, sensitivity_p, specificity_p and calibration_p of the
    gap to all other rows (`slice_table`: bootstrap over patients, Holm over all groups and measures of the table);
    flagged_gaps and is_flagged at 5 %; note. Ages are in the bands of AGE_EDGES_YEARS; missing is a group.
    """
    tested = slice_table(
        targets,
        probability,
        attributes,
        threshold=threshold,
        positive_index=positive_index,
        min_rows=min_rows,
        num_bootstrap=num_bootstrap,
        confidence=CONFIDENCE,
        seed=seed,
        edges=EDGES,
        groups=groups,
    )
    rows = []
    for line in tested.itertuples():
        names = attribute_groups(attributes[line.attribute], EDGES.get(line.attribute))
        here = (names == line.value).to_numpy()
        row = {name: getattr(line, name) for name in ("attribute", "value", "rows", "positives", "prevalence")}
        if line.rows >= min_rows:
            part = ScoredRows.checked(targets[here], probability[here], positive_index)
            row |= measures_with_intervals(part, groups[here], threshold, num_bootstrap=num_bootstrap, seed=seed)
        row |= {f"{name}_p": getattr(line, f"{of}_p") for name, of in TESTED.items()}
        row["calibration_p"] = line.calibration_gap_p
        row |= {name: getattr(line, name) for name in ("flagged_gaps", "is_flagged", "note")}
        rows.append(row)
    return pd.DataFrame(rows, columns=_columns())


def measures_with_intervals(
    rows: ScoredRows, groups: np.ndarray, threshold: float, *, num_bootstrap: int, seed: int
) -> dict[str, float]:
    """{measure, measure_low, measure_high} of a part's rows and their patients (N,); NaN where a class is missing."""
    ones = np.ones((1, len(rows)))
    values = {name: float(found[0]) for name, found in _measure(rows, ones, threshold).items()}
    drawn = resample_counts(len(rows), num_bootstrap, seed=seed, groups=groups)
    chunks = [_measure(rows, counts, threshold) for counts in drawn]
    result = {}
    for name, value in values.items():
        replicates = np.concatenate([chunk[name] for chunk in chunks])
        result[name] = value
        result[f"{name}_low"], result[f"{name}_high"] = _range(rows, name, value, replicates)
    return result


def _measure(rows: ScoredRows, weights: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """measure -> (B,) for weights (B, N)."""
    is_called, is_positive = rows.score >= threshold, rows.is_positive
    with np.errstate(divide="ignore", invalid="ignore"):
        missed = weights @ (~is_called & is_positive).astype(float) / (weights @ is_positive.astype(float))
        passed = weights @ (~is_called & ~is_positive).astype(float) / (weights @ (~is_positive).astype(float))
    return {
        "auc": METRICS["auc"].weighted(rows, weights),
        "sensitivity": 1 - missed,
        "false_negative_rate": missed,
        "specificity": passed,
        "ece": METRICS["ece"].weighted(rows, weights),
    }


def _range(rows: ScoredRows, name: str, value: float, replicates: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(value) or np.isfinite(replicates).sum() < len(replicates) / 2:
        return np.nan, np.nan
    if name in RATES and value in (0.0, 1.0):
        of_class = ~rows.is_positive if name == "specificity" else rows.is_positive
        low, high = wilson_interval(value * of_class.sum(), of_class.sum(), CONFIDENCE)
        return float(low), float(high)
    if name in METRICS:
        interval = replicate_interval(METRICS[name], value, replicates, CONFIDENCE)
        return interval.low, interval.high
    return percentile_range(replicates, CONFIDENCE)


def _columns() -> list[str]:
    measures = [f"{name}{end}" for name in ("auc", *RATES, "ece") for end in ("", "_low", "_high")]
    p_values = [f"{name}_p" for name in (*TESTED, "calibration")]
    return [
        "attribute", "value", "rows", "positives", "prevalence", *measures, *p_values, "flagged_gaps", "is_flagged",
        "note",
    ]  # fmt: skip
