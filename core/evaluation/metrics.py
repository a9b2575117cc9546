"""Metrics of predicted probabilities, each written for a matrix of row weights so that the bootstrap is one pass.

A metric gets `rows` (N of them) and weights (B, N) and gives B values. Weights of one give the plain value; a
bootstrap replicate is the metric with the number of times that each row was drawn as its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.evaluation.equal_mass_bins import equal_mass_bins
from core.evaluation.scored_rows import ScoredRows
from core.registry import Registry

WeightedMetric = Callable[[ScoredRows, np.ndarray], np.ndarray]
NUM_ECE_BINS = 10
MAX_FALSE_ALARM_FRACTION = 0.05
SMALLEST_PROBABILITY = np.finfo(float).eps


@dataclass(frozen=True)
class Metric:
    """One number of how good probabilities are.

    weighted: (rows, weights (B, N)) -> (B,), NaN where a replicate lacks a class.
    has_upward_bias: a distance or an absolute value, which noise only adds to, so that resampling inflates it; its
    interval needs the correction in `intervals.replicate_interval`.
    """

    name: str
    title: str
    weighted: WeightedMetric
    is_higher_better: bool = True
    needs_both_classes: bool = False
    has_upward_bias: bool = False

    def function(self, labels: np.ndarray, probability: np.ndarray, positive_index: int) -> float:
        """The metric of labels (N,) and probabilities (N, C).

        Raises:
            BadInputError: shapes, missing values, or one class only where the metric needs both.
        """
        return self.of_rows(ScoredRows.checked(labels, probability, positive_index))

    def of_rows(self, rows: ScoredRows) -> float:
        """The metric of rows that were checked already."""
        if self.needs_both_classes:
            rows.require_both_classes()
        return float(self.weighted(rows, np.ones((1, len(rows))))[0])


METRICS: Registry[Metric] = Registry("metric")


def _metric(name: str, title: str, **claims: bool) -> Callable[[WeightedMetric], WeightedMetric]:
    """File a weighted function as a metric; claims: the Boolean fields of Metric."""

    def file_metric(weighted: WeightedMetric) -> WeightedMetric:
        METRICS.register(name)(Metric(name, title, weighted, **claims))
        return weighted

    return file_metric


def sums_by_score(rows: ScoredRows, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the positives and of the negatives at each of the G distinct scores, rising; two (B, G)."""
    order, starts = rows.ascending
    in_order = np.take(weights, order, axis=1)
    positive = in_order * rows.is_positive[order]
    negative = in_order - positive
    if len(starts) == len(order):
        return positive, negative
    return np.add.reduceat(positive, starts, axis=1), np.add.reduceat(negative, starts, axis=1)


@_metric("auc", "Area under the ROC curve", needs_both_classes=True)
def auc(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Chance that a positive scores above a negative, ties counting half.

    Source: Mann-Whitney U; Hanley & McNeil 1982.
    """
    positive, negative = sums_by_score(rows, weights)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * (np.cumsum(negative, axis=1) - negative / 2)).sum(axis=1)
    return _divide(won, pairs)


@_metric("gini", "Gini coefficient", needs_both_classes=True)
def gini(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """2 AUC - 1: 0 is chance, 1 is perfect."""
    return 2 * auc(rows, weights) - 1


@_metric("ks", "Kolmogorov-Smirnov distance", needs_both_classes=True, has_upward_bias=True)
def ks(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Largest distance between the score distributions of positives and negatives, 0 to 1."""
    positive, negative = (np.cumsum(part, axis=1) for part in sums_by_score(rows, weights))
    gap = _divide(positive, positive[:, -1:]) - _divide(negative, negative[:, -1:])
    return np.abs(gap).max(axis=1)


@_metric("pr_auc", "Average precision", needs_both_classes=True)
def pr_auc(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Precision averaged over recall, without interpolation; chance level = prevalence.

    Source: scikit-learn's `average_precision_score`, AP = sum_n (R_n - R_{n-1}) P_n.
    """
    positive, negative = sums_by_score(rows, weights)
    above = positive[:, ::-1].cumsum(axis=1)[:, ::-1]
    all_above = above + negative[:, ::-1].cumsum(axis=1)[:, ::-1]
    precision = np.divide(above, all_above, out=np.zeros_like(above), where=all_above > 0)
    return _divide((positive * precision).sum(axis=1), positive.sum(axis=1))


@_metric("brier", "Brier score", is_higher_better=False)
def brier(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the positive class's probability.

    Source: Brier 1950, for the positive class alone.
    """
    return _mean(weights, (rows.score - rows.is_positive) ** 2)


@_metric("log_loss", "Log loss", is_higher_better=False)
def log_loss(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Mean of -ln p(true class) in nats; p is clipped at the machine epsilon, so it stays finite."""
    of_truth = rows.probability[np.arange(len(rows)), rows.labels]
    return _mean(weights, -np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1)))


@_metric("ece", "Expected calibration error", is_higher_better=False, has_upward_bias=True)
def ece(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Gap between told and observed rate, weighted over 10 bins of equal mass.

    ECE = sum_b (n_b / N) |mean label in b - mean probability in b|, positive class against the rest; bins by
    `equal_mass_bins` of the unweighted scores.
    Source: Naeini, Cooper & Hauskrecht 2015, with equal-mass instead of equal-width bins.
    """
    bins = equal_mass_bins(rows.score, NUM_ECE_BINS)
    # Within a bin n_b |mean - mean| is |sum of differences|: no division by an empty bin.
    difference = np.zeros((len(rows), bins.max() + 1))
    difference[np.arange(len(rows)), bins] = rows.is_positive - rows.score
    return _divide(np.abs(weights @ difference).sum(axis=1), weights.sum(axis=1))


@_metric("accuracy", "Accuracy")
def accuracy(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Share of rows whose most probable class is the true one."""
    return _mean(weights, rows.probability.argmax(axis=1) == rows.labels)


@_metric("balanced_accuracy", "Balanced accuracy", needs_both_classes=True)
def balanced_accuracy(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Mean over the classes present of the share found, by most probable class."""
    is_right = rows.probability.argmax(axis=1) == rows.labels
    is_class = [rows.labels == label for label in np.unique(rows.labels)]
    recall = [_divide(weights @ (here & is_right), weights @ here) for here in is_class]
    return np.mean(recall, axis=0)


@_metric("f1", "F1 of the positive class", needs_both_classes=True)
def f1(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN), deciding for the most probable class."""
    is_called = rows.probability.argmax(axis=1) == rows.positive_index
    hits = weights @ (is_called & rows.is_positive)
    return _divide(2 * hits, weights @ is_called.astype(float) + weights @ rows.is_positive.astype(float))


@_metric("macro_f1", "Macro F1", needs_both_classes=True)
def macro_f1(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Mean over the classes present of 2 TP / (2 TP + FP + FN), deciding for the most probable class."""
    called = rows.probability.argmax(axis=1)
    scores = []
    for label in np.unique(rows.labels):
        is_called, is_true = called == label, rows.labels == label
        total = weights @ is_called.astype(float) + weights @ is_true.astype(float)
        scores.append(_divide(2 * (weights @ (is_called & is_true)), total))
    return np.mean(scores, axis=0)


@_metric("recall_at_5_percent_false_alarms", "Recall at 5 % false alarms", needs_both_classes=True)
def recall_at_5_percent_false_alarms(rows: ScoredRows, weights: np.ndarray) -> np.ndarray:
    """Largest share of positives found by a cut-off that calls at most 5 % of the negatives positive."""
    positive, negative = (np.cumsum(part[:, ::-1], axis=1) for part in sums_by_score(rows, weights))
    is_allowed = _divide(negative, negative[:, -1:]) <= MAX_FALSE_ALARM_FRACTION + 1e-12
    recall = np.where(is_allowed, _divide(positive, positive[:, -1:]), 0.0).max(axis=1)
    return np.where((negative[:, -1] > 0) & (positive[:, -1] > 0), recall, np.nan)


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(B,) weighted means of values (N,)."""
    return _divide(weights @ values.astype(float), weights.sum(axis=1))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where a replicate lacks a class."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator
