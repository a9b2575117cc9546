"""Champion against challenger on the same rows: paired differences with intervals by whole groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import norm

from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.intervals import MAX_UNDEFINED_FRACTION, percentile_range
from core.evaluation.metrics import METRICS, Metric
from core.evaluation.multiple_testing import holm
from core.evaluation.paired_tests import bootstrap_p_value
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.thresholds import bayes_threshold
from core.lifecycle.retrain.gate_limits import GateLimits
from core.lifecycle.retrain.scored import Scored

BRIER, COST = "brier", "cost_per_case"
Measure = Callable[[np.ndarray], np.ndarray]  # weights (B, M) of rows -> (B,)


@dataclass(frozen=True)
class Comparison:
    """One measure of both models on a hold-out or one slice of it; difference above 0: the challenger is better.

    rows: name of the hold-out. metric: a name of METRICS or `cost_per_case` (in units of a false positive). slice: ""
    or "sex = female". num_*_groups: groups that hold a positive, and a negative. champion, challenger: in the
    measure's own unit. low, high: percentile interval of the difference. p_value: two-sided; of a slice adjusted for
    the number of slices (Holm). What cannot be told of so few rows or of one class is None.
    """

    rows: str
    metric: str
    slice: str
    num_rows: int
    num_positive_groups: int
    num_negative_groups: int
    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class _Question:
    """A measure of some of the rows: `members` (M,) positions; `measures` champion's, then challenger's."""

    metric: str
    slice: str
    members: np.ndarray
    measures: tuple[Measure, Measure]
    sign: int
    is_answerable: bool

    def values(self, weights: np.ndarray) -> np.ndarray:
        """(2, B) of weights (B, N) of all rows."""
        if not self.is_answerable:
            return np.full((2, len(weights)), np.nan)
        return np.stack([measure(weights[:, self.members]) for measure in self.measures])


def compare_models(
    scored: Scored,
    limits: GateLimits,
    *,
    metric: Metric,
    cost_false_negative: float,
    cost_false_positive: float,
    seed: int,
) -> list[Comparison]:
    """Headline metric, Brier score and cost per case (each model at its own threshold), then the metric by slice.

    Numbers are sliced in terciles, a missing value is a slice. A slice of fewer than `min_slice_rows` rows or
    `min_per_class` groups of a class is listed without a difference. All differences see the same resampled groups; the
    p-value of a slice is normal with the bootstrap's standard error, since counted replicates end at 2 / (B + 1), which
    no correction over many slices survives.

    Raises:
        BadInputError: a cost that is not positive.
    """
    bayes_threshold(cost_false_negative, cost_false_positive)
    questions = _whole_questions(scored, metric, cost_false_negative / cost_false_positive)
    questions += _slice_questions(scored, metric, limits)
    chunks = [
        np.stack([question.values(counts) for question in questions])
        for counts in resample_counts(len(scored), limits.num_bootstrap, seed=seed, groups=scored.groups)
    ]
    replicates = np.concatenate(chunks, axis=2)
    compared = [
        _comparison(scored, question, drawn, limits.confidence)
        for question, drawn in zip(questions, replicates, strict=True)
    ]
    return _with_adjusted_slices(compared)


def _whole_questions(scored: Scored, metric: Metric, cost_ratio: float) -> list[_Question]:
    """Of all rows. cost_ratio: a false negative in units of a false positive."""
    everyone = np.arange(len(scored))
    chosen = {metric.name: metric, BRIER: METRICS[BRIER]}
    questions = [_metric_question(scored, one, "", everyone) for one in chosen.values()]
    costs = [
        np.where(scored.targets == 1, (score < threshold) * cost_ratio, score >= threshold)
        for score, threshold in (
            (scored.champion, scored.champion_threshold),
            (scored.challenger, scored.challenger_threshold),
        )
    ]
    measures = (partial(_mean, costs[0]), partial(_mean, costs[1]))
    return [*questions, _Question(COST, "", everyone, measures, sign=-1, is_answerable=True)]


def _slice_questions(scored: Scored, metric: Metric, limits: GateLimits) -> list[_Question]:
    """The metric of every value of every slice column."""
    questions = []
    for attribute in scored.slices.columns:
        names = attribute_groups(scored.slices[attribute]).to_numpy()
        for name in np.unique(names.astype(str)):
            members = np.flatnonzero(names == name)
            question = _metric_question(scored, metric, f"{attribute} = {name}", members)
            is_large = len(members) >= limits.min_slice_rows
            is_large &= min(scored.groups_by_class(members)) >= limits.min_per_class
            questions.append(replace(question, is_answerable=question.is_answerable and is_large))
    return questions


def _metric_question(scored: Scored, metric: Metric, name: str, members: np.ndarray) -> _Question:
    sides = [
        ScoredRows.of_score(scored.targets[members], told[members]) for told in (scored.champion, scored.challenger)
    ]
    has_both = len(np.unique(scored.targets[members])) == 2
    return _Question(
        metric.name,
        name,
        members,
        (partial(metric.weighted, sides[0]), partial(metric.weighted, sides[1])),
        sign=1 if metric.is_higher_better else -1,
        is_answerable=has_both or not metric.needs_both_classes,
    )


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) means of values (N,)."""
    return weights @ values / weights.sum(axis=1)


def _comparison(scored: Scored, question: _Question, replicates: np.ndarray, confidence: float) -> Comparison:
    """From replicates (2, B) of both models."""
    champion, challenger = question.values(np.ones((1, len(scored))))[:, 0]
    gaps = question.sign * (replicates[1] - replicates[0]) + 0.0
    difference = question.sign * (challenger - champion) + 0.0
    low, high, p_value = np.nan, np.nan, np.nan
    if np.isfinite(gaps).sum() >= (1 - MAX_UNDEFINED_FRACTION) * len(gaps):
        low, high = percentile_range(gaps, confidence)
        p_value = _normal_p_value(difference, gaps) if question.slice else bootstrap_p_value(gaps)
    numbers = (champion, challenger, difference, low, high, p_value)
    return Comparison(
        scored.name,
        question.metric,
        question.slice,
        len(question.members),
        *scored.groups_by_class(question.members),
        *(float(number) if np.isfinite(number) else None for number in numbers),
    )


def _normal_p_value(difference: float, gaps: np.ndarray) -> float:
    """Two-sided, with the standard error of replicates (B,); an error of zero leaves no doubt."""
    error = gaps[np.isfinite(gaps)].std(ddof=1)
    return float(2 * norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)


def _with_adjusted_slices(compared: list[Comparison]) -> list[Comparison]:
    """The same list, p-values of its slices Holm-corrected together."""
    tested = [place for place, one in enumerate(compared) if one.slice and one.p_value is not None]
    adjusted = dict(zip(tested, holm(np.array([compared[place].p_value for place in tested])), strict=True))
    return [
        replace(one, p_value=float(adjusted[place])) if place in adjusted else one for place, one in enumerate(compared)
    ]
