"""How good is the champion likely to be on rows without labels? Its own probabilities tell, if they can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import BadInputError
from core.evaluation.intervals import MAX_UNDEFINED_FRACTION, Interval, percentile_range
from core.evaluation.metrics import METRICS
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.thresholds import bayes_threshold

FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "cost_per_case")


@dataclass(frozen=True)
class Performance:
    """Each figure with its interval; NaN where a class is not there (an end: in most replicates).

    auc: chance that a positive scores above a negative. accuracy, sensitivity, specificity: at the threshold.
    cost_per_case: mean cost of the decisions at the threshold, in the costs' unit. num_rows: what they are of.
    """

    auc: Interval
    accuracy: Interval
    sensitivity: Interval
    specificity: Interval
    cost_per_case: Interval
    num_rows: int


def estimate_performance(
    probability: np.ndarray,
    threshold: float,
    *,
    groups: np.ndarray | None = None,
    cost_false_negative: float = 5.0,
    cost_false_positive: float = 1.0,
    num_bootstrap: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> Performance:
    """Figures of rows with calibrated positive-class probability (N,), no label read.

    A row of probability p counts as p of a positive and 1 - p of a negative, so each figure is a ratio of expectations
    under "labels are drawn from the probabilities, each on its own": with a_i = 1 where p_i >= threshold,

        accuracy    = sum_i (a_i p_i + (1 - a_i)(1 - p_i)) / N
        sensitivity = sum_i a_i p_i / sum_i p_i,   specificity = sum_i (1 - a_i)(1 - p_i) / sum_i (1 - p_i)
        cost        = sum_i (c_fn (1 - a_i) p_i + c_fp a_i (1 - p_i)) / N
        auc         = sum_{i != j} p_i (1 - p_j) ([p_i > p_j] + [p_i = p_j] / 2) / sum_{i != j} p_i (1 - p_j)

    The interval is of replicates in which whole groups (N,) are drawn with replacement and then every row's label: for
    another batch of this mix. For the figure of these very rows, whose draw is settled, it is somewhat wide.

    It takes for granted that the probabilities are calibrated on this very batch. That holds when only the mix of
    cases moved and the champion is calibrated for each kind of case. It does not when the meaning of the inputs moved
    (concept drift: the estimate does not change at all) or the base rate did for reasons the inputs do not show (prior
    shift: the estimate is off in the direction of the old rate). Then only labels tell.

    Source: NannyML documentation, "Confidence-based performance estimation" (how it works); Kivimäki, Białek, Kuberski
    & Nurminen 2025, "Performance estimation in binary classification using calibrated confidence", section 3.

    Raises:
        BadInputError: no rows, a value that is no probability, groups of another length, or a cost not above 0.
    """
    probability = np.asarray(probability, dtype=float)
    if probability.ndim != 1 or not len(probability) or not ((probability >= 0) & (probability <= 1)).all():
        raise BadInputError(f"Probabilities of shape {probability.shape}, expected (N,) values from 0 to 1.")
    costs = cost_false_negative, cost_false_positive
    chunks = resample_counts(len(probability), num_bootstrap, seed=seed, groups=groups)
    return _performance(probability, probability, threshold, costs, chunks, confidence, seed=seed)


def observe_performance(
    is_positive: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    *,
    groups: np.ndarray | None = None,
    cost_false_negative: float = 5.0,
    cost_false_positive: float = 1.0,
    num_bootstrap: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> Performance:
    """The same figures of labelled rows (N,), with the bootstrap interval over whole groups.

    Raises:
        BadInputError: shapes, missing values, or a cost that is not above 0.
    """
    rows = ScoredRows.of_score(is_positive, probability)
    costs = cost_false_negative, cost_false_positive
    chunks = resample_counts(len(rows), num_bootstrap, seed=seed, groups=groups)
    return _performance(rows.score, rows.is_positive.astype(float), threshold, costs, chunks, confidence, seed=seed)


def _performance(
    score: np.ndarray,
    chance: np.ndarray,
    threshold: float,
    costs: tuple[float, float],
    chunks: Iterator[np.ndarray],
    confidence: float,
    *,
    seed: int,
) -> Performance:
    """Figures of rows that are positive by `chance` (N,), and their replicates from bootstrap counts."""
    bayes_threshold(*costs)
    random = np.random.default_rng([seed, 1])
    values = _figures(score, threshold, costs, chance[None], 1 - chance[None])
    values["auc"] = _without_own_pairs(values["auc"], chance)
    parts = []
    for counts in chunks:
        positive = random.binomial(counts.astype(int), chance).astype(float)
        parts.append(_figures(score, threshold, costs, positive, counts - positive))
    replicates = {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}
    intervals = {name: _interval(float(values[name][0]), replicates[name], confidence) for name in FIGURES}
    return Performance(**intervals, num_rows=len(score))


def _figures(
    score: np.ndarray, threshold: float, costs: tuple[float, float], positive: np.ndarray, negative: np.ndarray
) -> dict[str, np.ndarray]:
    """(B,) of each figure; rows (N,) weigh as positives and as negatives (B, N)."""
    is_adverse = (score >= threshold).astype(float)
    found, passed = positive @ is_adverse, negative @ (1 - is_adverse)
    num_positive, num_negative = positive.sum(axis=1), negative.sum(axis=1)
    num_rows = num_positive + num_negative
    twice = ScoredRows.of_score(np.repeat([True, False], len(score)), np.tile(score, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "auc": METRICS["auc"].weighted(twice, np.concatenate([positive, negative], axis=1)),
            "accuracy": (found + passed) / num_rows,
            "sensitivity": found / num_positive,
            "specificity": passed / num_negative,
            "cost_per_case": (costs[0] * (num_positive - found) + costs[1] * (num_negative - passed)) / num_rows,
        }


def _without_own_pairs(auc: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The AUC less the pairs of a row with itself, which can't be positive and negative at once (they were ties)."""
    pairs, own = chance.sum() * (1 - chance).sum(), (chance * (1 - chance)).sum()
    if pairs - own <= 0:
        return np.full(1, np.nan)
    return (auc * pairs - own / 2) / (pairs - own)


def _interval(value: float, replicates: np.ndarray, confidence: float) -> Interval:
    """The percentile interval; it always holds the value."""
    if np.isnan(value) or np.isfinite(replicates).mean() < 1 - MAX_UNDEFINED_FRACTION:
        return Interval(value, float("nan"), float("nan"), confidence)
    low, high = percentile_range(replicates, confidence)
    return Interval(value, min(low, value), max(high, value), confidence)
