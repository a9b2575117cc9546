"""Champion against challenger on the same rows: paired differences with intervals by whole groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from core.evaluation.attribute_bands import attribute_groups
from core.evaluation.metrics import METRICS, Metric
from core.evaluation.scored_rows import ScoredRows
from core.evaluation.thresholds import bayes_threshold
from core.lifecycle.retrain.gate_limits import GateLimits
from core.lifecycle.retrain.paired_questions import Question, answer
from core.lifecycle.retrain.scored import Scored

BRIER, COST = "brier", "cost_per_case"


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

    def too_few(self, limits: GateLimits) -> str:
        """Why the hold-out decides nothing; "" where it does."""
        for kind, count in (("negative", self.num_positive_groups), ("positive", self.num_negative_groups)):
            if count == 0:
                return (
                    f"All {self.num_rows:,} rows are {kind}: a hold-out of one class decides nothing. Label more rows."
                )
        positive, negative = self.num_positive_groups, self.num_negative_groups
        if self.num_rows >= limits.min_rows and min(positive, negative) >= limits.min_per_class:
            return ""
        return (
            f"{self.num_rows:,} rows, {positive:,} groups with a positive and {negative:,} with a negative: below"
            f" {limits.min_rows:,} rows or {limits.min_per_class:,} groups of a class a hold-out decides nothing."
        )


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
    `min_per_class` groups of a class is listed without a difference. All differences see the same resampled groups.

    Raises:
        BadInputError: a cost that is not positive.
    """
    bayes_threshold(cost_false_negative, cost_false_positive)
    questions = _whole_questions(scored, metric, cost_false_negative / cost_false_positive)
    questions += _slice_questions(scored, metric, limits)
    told = answer(
        questions,
        scored.groups,
        num_bootstrap=limits.num_bootstrap,
        confidence=limits.confidence,
        seed=seed,
    )
    return [
        Comparison(
            scored.name,
            question.metric,
            question.slice,
            len(question.members),
            *scored.groups_by_class(question.members),
            **vars(one),
        )
        for question, one in zip(questions, told, strict=True)
    ]


def _whole_questions(scored: Scored, metric: Metric, cost_ratio: float) -> list[Question]:
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
    return [*questions, Question(COST, "", everyone, measures, sign=-1, is_answerable=True)]


def _slice_questions(scored: Scored, metric: Metric, limits: GateLimits) -> list[Question]:
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


def _metric_question(scored: Scored, metric: Metric, name: str, members: np.ndarray) -> Question:
    sides = [
        ScoredRows.of_score(scored.targets[members], told[members]) for told in (scored.champion, scored.challenger)
    ]
    has_both = len(np.unique(scored.targets[members])) == 2
    return Question(
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
