"""Champion against challenger on the same rows of a predicted number: paired differences with intervals by groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from core.evaluation.attribute_bands import attribute_groups
from core.lifecycle.retrain.paired_questions import Question, answer
from core.regression.metrics import REGRESSION_METRICS, ValueMetric
from core.regression.predicted_rows import PredictedRows
from core.regression.retrain.value_retrain_params import ValueGateLimits

BAND_METRIC = "interval_score"  # value and band in one figure, compared where both models have a band
SIDES = ("champion", "challenger")


@dataclass(frozen=True)
class ValueComparison:
    """One metric of both models on a hold-out or one slice of it; difference above 0: the challenger is better.

    rows: name of the hold-out. slice: "" or "sex = female". champion to high: in the metric's unit. p_value: two-sided;
    of a slice adjusted for the number of slices (Holm). What cannot be told is None.
    """

    rows: str
    metric: str
    slice: str
    num_rows: int
    num_groups: int
    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None

    def too_few(self, limits: ValueGateLimits) -> str:
        """Why the hold-out decides nothing; "" where it does."""
        if self.num_rows >= limits.min_rows and self.num_groups >= limits.min_groups:
            return ""
        return (
            f"{self.num_rows:,} rows of {self.num_groups:,} groups: below {limits.min_rows:,} rows or"
            f" {limits.min_groups:,} groups a hold-out decides nothing."
        )


def compare_values(
    name: str,
    rows: Mapping[str, PredictedRows],
    groups: np.ndarray,
    slices: pd.DataFrame,
    limits: ValueGateLimits,
    *,
    metric: str,
    seed: int,
) -> list[ValueComparison]:
    """The headline metric, the interval score where both have a band, then the metric by slice.

    rows: `champion` and `challenger`, the same N rows in the same order. groups (N,) are resampled whole. slices: N
    rows, a column an attribute; numbers in terciles, a missing value is a slice. A slice of too few rows or groups is
    listed without a difference.
    """
    everyone = np.arange(len(groups))
    has_bands = all(side.has_band for side in rows.values())
    wanted = dict.fromkeys([metric, *([BAND_METRIC] if has_bands else [])])
    questions = [_question(rows, REGRESSION_METRICS[one], "", everyone) for one in wanted]
    for attribute in slices.columns:
        names = attribute_groups(slices[attribute]).to_numpy().astype(str)
        for value in np.unique(names):
            members = np.flatnonzero(names == value)
            is_large = len(members) >= limits.min_slice_rows and _num_groups(groups, members) >= limits.min_groups
            told = f"{attribute} = {value}"
            questions.append(_question(rows, REGRESSION_METRICS[metric], told, members, is_answerable=is_large))
    told = answer(questions, groups, num_bootstrap=limits.num_bootstrap, confidence=limits.confidence, seed=seed)
    return [
        ValueComparison(
            name, one.metric, one.slice, len(one.members), _num_groups(groups, one.members), **vars(answered)
        )
        for one, answered in zip(questions, told, strict=True)
    ]


def _question(
    rows: Mapping[str, PredictedRows],
    metric: ValueMetric,
    name: str,
    members: np.ndarray,
    *,
    is_answerable: bool = True,
) -> Question:
    parts = [rows[side].part(members) for side in SIDES]
    return Question(
        metric.name,
        name,
        members,
        (partial(metric.weighted, parts[0]), partial(metric.weighted, parts[1])),
        sign=1 if metric.is_higher_better else -1,
        is_answerable=is_answerable,
    )


def _num_groups(groups: np.ndarray, members: np.ndarray) -> int:
    return len(np.unique(groups[members]))
