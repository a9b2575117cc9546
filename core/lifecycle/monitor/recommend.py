"""From a month's report to what to do with the champion."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import to_plain
from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.outliers import Outliers, find_outliers
from core.lifecycle.monitor.performance_estimate import Performance
from core.lifecycle.monitor.report import MonitorReport
from core.lifecycle.monitor.side_performance import observed_performance
from core.lifecycle.monitor.snapshot import Snapshot, one_class_chance
from core.strict import STRICT

Action = Literal["no_action", "recalibrate", "adapt", "retrain", "hold"]


@dataclass(frozen=True, config=STRICT)
class MonitorPolicy:
    """When a batch is not to be believed, and when the champion is no longer good enough."""

    min_auc: float | None = Field(default=None, gt=0.0, lt=1.0)  # None: only against the reference
    max_auc_drop: float = Field(default=0.05, gt=0.0, lt=1.0)  # below the reference's
    max_outlier_share: float = Field(default=0.25, gt=0.0, le=1.0)  # of rows unlike anything in the reference
    min_one_class_chance: float = Field(default=0.01, ge=0.0, lt=1.0)  # below it labels of one class are a mistake


@plain_dataclass(frozen=True)
class Recommendation:
    """What to do, and why, the weightiest reason first."""

    action: Action
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return to_plain({"action": self.action, "reasons": self.reasons})


def recommend(
    report: MonitorReport, policy: MonitorPolicy | None = None, *, has_labels: bool, is_believed: bool = False
) -> Recommendation:
    """The first row that fits:

    | the month                                                                  | action      |
    |----------------------------------------------------------------------------|-------------|
    | too few rows or groups to test                                             | hold        |
    | labels of one class only, which the probabilities all but rule out         | hold        |
    | a column without any value, or more outliers than the policy allows        | hold        |
    | AUC surely under its limit: the whole interval, observed or estimated      | retrain     |
    | no alarm                                                                   | no_action   |
    | AUC alarm (labelled rows: discrimination is worse)                         | retrain     |
    | input, embedding or prediction alarm; labels of both classes to learn from | retrain     |
    | input, embedding or prediction alarm; no such labels                       | adapt       |
    | calibration alarm alone                                                    | recalibrate |

    The limit is `min_auc`, and the reference's AUC less `max_auc_drop`; an estimate is held against an estimate, an
    observation against an observation. has_labels: whether the month's labels may be learnt from. hold: neither score
    with the champion unseen nor learn from the batch before a person has looked at it. is_believed: a person has, or
    its rows were asked about apart (`suspicions`); then the second and third row fit no more.
    """
    policy = policy or MonitorPolicy()
    if reasons := [*report.problems, *([] if is_believed else _reasons_not_to_believe(report, policy))]:
        return Recommendation("hold", tuple(reasons))
    if reasons := _under_limit(report, policy):
        return Recommendation("retrain", tuple(reasons))
    if not report.alarms:
        return Recommendation("no_action", ("No test alarms.",))
    reasons = tuple(_alarm_reasons(report))
    if report.has_alarm("performance"):
        return Recommendation("retrain", reasons)
    if report.has_alarm("input", "embedding", "prediction"):
        has_both_classes = 0 < report.num_positive < report.num_labelled
        if has_labels and has_both_classes:
            return Recommendation("retrain", reasons)
        why = "There are no labels of both classes to learn from."
        return Recommendation("adapt", (*reasons, why))
    return Recommendation("recalibrate", (*reasons, "Discrimination is not worse."))


def suspicions(
    reference: Snapshot, batch: Snapshot, options: MonitorOptions, policy: MonitorPolicy | None = None, *, seed: int
) -> list[str]:
    """Why one delivery is not to be believed, whatever its drift: a broken feed, outliers, one class, turned labels.

    Labels count as turned where the champion orders the batch surely worse than chance, and the reference surely
    better. No p-value is asked: each is a matter of sizes that no ordinary month has.
    """
    policy = policy or MonitorPolicy()
    outliers, chance = find_outliers(reference, batch), one_class_chance(batch)
    reasons = _unlike_anything(outliers, chance, int(batch.is_labelled.sum()), int(np.nansum(batch.targets)), policy)
    observed, expected = (observed_performance(side, options, seed=seed) for side in (batch, reference))
    if observed is not None and expected is not None and observed.auc.high < 0.5 < expected.auc.low:
        reasons.append(
            f"The champion orders the batch worse than chance (AUC {observed.auc.value:.3f}, at most "
            f"{observed.auc.high:.3f}; {expected.auc.value:.3f} on rows before): its labels look turned."
        )
    return reasons


def _reasons_not_to_believe(report: MonitorReport, policy: MonitorPolicy) -> list[str]:
    return _unlike_anything(report.outliers, report.one_class_chance, report.num_labelled, report.num_positive, policy)


def _unlike_anything(
    outliers: Outliers, chance: float | None, num_labelled: int, num_positive: int, policy: MonitorPolicy
) -> list[str]:
    reasons = []
    if chance is not None and chance < policy.min_one_class_chance:
        word = "positive" if num_positive else "negative"
        reasons.append(f"All {num_labelled} labelled rows are {word}, which the probabilities all but rule out.")
    if outliers.vanished:
        reasons.append(f"No value at all in: {', '.join(outliers.vanished)}.")
    if outliers.share > policy.max_outlier_share:
        reasons.append(
            f"{outliers.share:.0%} of the rows are unlike anything in the reference, "
            f"at most {policy.max_outlier_share:.0%} are allowed."
        )
    return reasons


def _under_limit(report: MonitorReport, policy: MonitorPolicy) -> list[str]:
    """Each AUC whose whole interval is under a limit."""
    told = report.performance
    pairs = {
        "observed": (told.observed, told.reference_observed),
        "estimated": (told.estimated, told.reference_estimated),
    }
    reasons = []
    for word, (batch, reference) in pairs.items():
        limit = _limit(reference, policy)
        if batch is not None and limit is not None and batch.auc.high < limit:  # never of NaN
            reasons.append(f"The {word} AUC {batch.auc.value:.3f} is surely under its limit {limit:.3f}.")
    return reasons


def _limit(reference: Performance | None, policy: MonitorPolicy) -> float | None:
    limits = [policy.min_auc] if policy.min_auc is not None else []
    if reference is not None and reference.auc.value == reference.auc.value:  # not NaN
        limits.append(reference.auc.value - policy.max_auc_drop)
    return max(limits, default=None)


def _alarm_reasons(report: MonitorReport) -> list[str]:
    """One sentence a kind that alarms: how many tests and the largest of them."""
    reasons = []
    for kind in ("performance", "calibration", "prediction", "embedding", "input"):
        alarms = [test for test in report.alarms if test.kind == kind]
        if alarms:
            worst = max(alarms, key=lambda test: abs(test.effect) / max(test.effect_limit, 1e-12))
            reasons.append(
                f"{len(alarms)} {kind} alarm{'s' if len(alarms) > 1 else ''}, most of all {worst.name}: "
                f"{worst.effect_name} {worst.effect:.3g}, limit {worst.effect_limit:g}."
            )
    return reasons
