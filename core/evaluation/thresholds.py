"""From a probability to a decision: the cheapest cut-off. A row is adverse when its score >= the threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.intervals import Interval, percentile_range, wilson_interval
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows

# Costs are sums of floats; cut-offs whose costs differ by less are equally cheap.
COST_TOLERANCE = 1e-9


def bayes_threshold(cost_false_negative: float, cost_false_positive: float) -> float:
    """The cheapest threshold of perfectly calibrated probabilities, c_fp / (c_fp + c_fn).

    Source: Elkan 2001, equation 2.

    Raises:
        BadInputError: a cost is not positive.
    """
    if not (cost_false_negative > 0 and cost_false_positive > 0):
        raise BadInputError(
            f"Costs are {cost_false_negative} (false negative) and {cost_false_positive} (false positive), "
            "expected above 0."
        )
    return cost_false_positive / (cost_false_positive + cost_false_negative)


def cheapest_threshold(
    is_positive: np.ndarray, score: np.ndarray, cost_false_negative: float, cost_false_positive: float
) -> float:
    """The threshold with the least cost on rows (N,), half-way between the neighbouring scores.

    Rows with equal scores fall on the same side. Of several equally cheap cut-offs the one nearest to
    `bayes_threshold` is taken, then the lower one. The value is finite: nobody adverse is just above 1.

    Raises:
        BadInputError: shapes, missing values, one class only, or a cost that is not positive.
    """
    table = cost_curve(is_positive, score, cost_false_negative, cost_false_positive)
    cost = table["cost_per_row"].to_numpy()
    is_cheapest = cost <= cost.min() + COST_TOLERANCE * max(cost_false_negative, cost_false_positive)
    candidates = table["threshold"].to_numpy()[is_cheapest]
    wanted = bayes_threshold(cost_false_negative, cost_false_positive)
    return float(candidates[np.argmin(np.abs(candidates - wanted))])


def cost_curve(
    is_positive: np.ndarray, score: np.ndarray, cost_false_negative: float, cost_false_positive: float
) -> pd.DataFrame:
    """Every cut-off that the rows (N,) can tell apart, thresholds rising from all adverse to none.

    Columns: threshold, adverse_rate, false_negatives, false_positives, cost_per_row.

    Raises:
        BadInputError: shapes, missing values, one class only, or a cost that is not positive.
    """
    bayes_threshold(cost_false_negative, cost_false_positive)
    rows = ScoredRows.of_score(is_positive, score).require_both_classes()
    order, starts = rows.ascending
    positive_below = np.r_[0, np.cumsum(rows.is_positive[order])]
    cuts = np.r_[starts, len(rows)]  # how many rows pass, lowest scores first
    false_negatives = positive_below[cuts]
    false_positives = (len(rows) - cuts) - (positive_below[-1] - false_negatives)
    costs = cost_false_negative * false_negatives + cost_false_positive * false_positives
    return pd.DataFrame(
        {
            "threshold": _thresholds_between(rows.score[order][starts]),
            "adverse_rate": 1 - cuts / len(rows),
            "false_negatives": false_negatives,
            "false_positives": false_positives,
            "cost_per_row": costs / len(rows),
        }
    )


def threshold_cost(
    is_positive: np.ndarray,
    score: np.ndarray,
    threshold: float,
    cost_false_negative: float,
    cost_false_positive: float,
    *,
    num_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Interval:
    """Mean cost per row of deciding rows (N,) at a given threshold, with its bootstrap interval.

    Raises:
        BadInputError: shapes, missing values, or a cost that is not positive.
    """
    bayes_threshold(cost_false_negative, cost_false_positive)
    rows = ScoredRows.of_score(is_positive, score)
    is_adverse = rows.score >= threshold
    costs = np.where(rows.is_positive, ~is_adverse * cost_false_negative, is_adverse * cost_false_positive)
    replicates = np.concatenate(
        [
            counts @ costs / counts.sum(axis=1)
            for counts in resample_counts(len(rows), num_bootstrap, seed=seed, groups=groups)
        ]
    )
    return Interval(float(costs.mean()), *percentile_range(replicates, confidence), confidence)


def threshold_for_sensitivity(is_positive: np.ndarray, score: np.ndarray, sensitivity: float) -> float:
    """The highest threshold that still finds at least `sensitivity` (0 to 1] of the positives.

    Raises:
        BadInputError: shapes, missing values, no positive row, or a sensitivity outside (0, 1].
    """
    if not 0 < sensitivity <= 1:
        raise BadInputError(f"sensitivity is {sensitivity}, expected above 0 and up to 1.")
    rows = ScoredRows.of_score(is_positive, score)
    falling = np.sort(rows.score[rows.is_positive])[::-1]
    if len(falling) == 0:
        raise BadInputError("There is no positive row, so no sensitivity.")
    # The tolerance keeps 0.9 of 10 positives at 9 although 0.9 * 10 may come out above 9.
    needed = int(np.ceil(sensitivity * len(falling) - 1e-9))
    return float(falling[max(needed, 1) - 1])


def cutoff_table(
    is_positive: np.ndarray,
    score: np.ndarray,
    cost_false_negative: float,
    cost_false_positive: float,
    *,
    num_steps: int = 20,
    confidence: float = 0.95,
    amounts: np.ndarray | None = None,
    margin_fraction: float | None = None,
    loss_fraction: float | None = None,
) -> pd.DataFrame:
    """What each cut-off means for the book: one row per even step of the approval rate, and the cheapest cut-off.

    Columns: threshold, approved, approval_rate, bad_rate_approved with bad_rate_low and bad_rate_high (Wilson),
    sensitivity (share of positives turned away), false_positive_rate (share of negatives turned away),
    cost_per_applicant, is_cheapest. amounts (N,) adds approved_amount and profit_per_applicant: an approved negative
    earns amount x margin_fraction, an approved positive loses amount x loss_fraction.

    Raises:
        BadInputError: shapes, missing values, one class only, a cost that is not positive, or amounts without both
            fractions.
    """
    curve = cost_curve(is_positive, score, cost_false_negative, cost_false_positive)
    rows = ScoredRows.of_score(is_positive, score)
    approved = np.round((1 - curve["adverse_rate"].to_numpy()) * len(rows)).astype(int)
    cheapest = cheapest_threshold(is_positive, score, cost_false_negative, cost_false_positive)
    steps = np.abs(approved[None, :] - np.linspace(0, len(rows), num_steps + 1)[:, None]).argmin(axis=1)
    kept = np.unique(np.r_[steps, np.flatnonzero(curve["threshold"] == cheapest)])
    curve, approved = curve.iloc[kept].reset_index(drop=True), approved[kept]
    num_positive = int(rows.is_positive.sum())
    low, high = wilson_interval(curve["false_negatives"].to_numpy(), approved, confidence)
    table = pd.DataFrame(
        {
            "threshold": curve["threshold"],
            "approved": approved,
            "approval_rate": approved / len(rows),
            "bad_rate_approved": curve["false_negatives"] / np.where(approved > 0, approved, np.nan),
            "bad_rate_low": low,
            "bad_rate_high": high,
            "sensitivity": 1 - curve["false_negatives"] / num_positive,
            "false_positive_rate": curve["false_positives"] / (len(rows) - num_positive),
            "cost_per_applicant": curve["cost_per_row"],
            "is_cheapest": curve["threshold"] == cheapest,
        }
    )
    if amounts is None:
        return table
    worth = _worth(rows, np.asarray(amounts, dtype=float), margin_fraction, loss_fraction)
    is_approved = rows.score[None, :] < table["threshold"].to_numpy()[:, None]
    return table.assign(
        approved_amount=is_approved @ np.asarray(amounts, dtype=float),
        profit_per_applicant=is_approved @ worth / len(rows),
    )


def _worth(
    rows: ScoredRows, amounts: np.ndarray, margin_fraction: float | None, loss_fraction: float | None
) -> np.ndarray:
    """(N,) what approving each row earns, negative for a loss."""
    if margin_fraction is None or loss_fraction is None:
        raise BadInputError("Amounts need margin_fraction and loss_fraction to become a profit.")
    if amounts.shape != (len(rows),) or not np.isfinite(amounts).all():
        raise BadInputError(f"amounts has shape {amounts.shape}, expected ({len(rows)},) finite values.")
    return np.where(rows.is_positive, -loss_fraction, margin_fraction) * amounts


def _thresholds_between(distinct: np.ndarray) -> np.ndarray:
    """(G + 1,) cut-offs around G rising scores: at or below all, half-way between neighbours, above all."""
    half_way = distinct[:-1] / 2 + distinct[1:] / 2
    # Half-way between neighbouring floats may round down to the lower one, which must pass.
    half_way = np.where(half_way > distinct[:-1], half_way, distinct[1:])
    return np.r_[min(0.0, distinct[0]), half_way, np.nextafter(max(1.0, distinct[-1]), np.inf)]
