"""Is a delivery of numbers to be believed, and are rows and errors since the champion still like those before it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import to_plain
from core.data.held_batches import is_accepted
from core.evaluation.intervals import Interval
from core.lifecycle.monitor.family import corrected, month_family
from core.lifecycle.monitor.label_tests import mean_changes
from core.lifecycle.monitor.outliers import find_outliers
from core.lifecycle.monitor.permuted_units import MIN_UNITS, PermutedUnits, permutation_p_value
from core.lifecycle.monitor.report import MonitorTest
from core.lifecycle.monitor.sentences import KIND_WORDS
from core.lifecycle.monitor.snapshot import Snapshot
from core.lifecycle.retrain.prepared_rows import TargetRows, fit_to
from core.lifecycle.retrain.watching import WATCHED, reference_rows
from core.regression.intervals import bootstrap_value_interval
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows
from core.regression.quantity import in_unit, number_text
from core.regression.regression_model import RegressionModel
from core.regression.retrain.value_retrain_params import ValueMonitorOptions, ValueRetrainParams

OBSERVED = ("mae", "median_absolute_error", "rmse", "coverage")


@dataclass(frozen=True)
class ValueSide:
    """N rows of one side as the champion sees them. value, low, high: (N,), the ends NaN without a band."""

    rows: TargetRows
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, champion: RegressionModel, rows: TargetRows) -> ValueSide:
        """The rows predicted."""
        return cls(rows, *champion.predict(fit_to(champion, rows.samples)))

    @property
    def groups(self) -> np.ndarray:
        """(N,) text."""
        return self.rows.samples.groups.astype(str)

    @property
    def is_labelled(self) -> np.ndarray:
        """(N,) bool."""
        return self.rows.samples.is_labelled

    def predicted(self, champion: RegressionModel) -> PredictedRows:
        """The labelled rows."""
        known = self.is_labelled
        truth, value = self.rows.targets[known], self.value[known]
        if champion.band is None:
            return PredictedRows.checked(truth, value)
        ends = self.low[known], self.high[known]
        return PredictedRows.checked(truth, value, *ends, error_rate=champion.band.error_rate)

    def snapshot(self, champion: RegressionModel, reference: np.ndarray) -> Snapshot:
        """As the monitor's tests of columns read it; the prediction as its place among `reference` (R,) values, 0 to 1.

        Without labels: what they tell of errors is tested here.
        """
        samples = fit_to(champion, self.rows.samples)
        columns = champion.schema.names("number", "category")
        return Snapshot(
            inputs=samples.inputs[columns].reset_index(drop=True),
            features=None,
            group=self.groups,
            probability=np.searchsorted(np.sort(reference), self.value, side="right") / len(reference),
            targets=np.full(len(samples), np.nan),
            threshold=0.5,
        )


def watch_values(
    champion: RegressionModel,
    rows: TargetRows,
    *,
    folder: Path,
    batches: Sequence[str],
    newest: str | None,
    params: ValueRetrainParams,
) -> dict[str, Any]:
    """Hold the rows of the batches since the champion against those that it knew but did not learn from.

    As `core.lifecycle.retrain.watching.watch_target`; the dictionary is what `Run.watch` gives. Columns, predictions
    and, where labels are, errors are tested together (Holm). Whatever alarms asks for training anew: a model of numbers
    is cheap to fit, and its band is fitted with it.
    """
    of_batch = rows.manifest["batch"].to_numpy(dtype=object)
    is_new = np.isin(of_batch, batches)
    num_new_labels = int((is_new & rows.samples.is_labelled).sum())
    told = {"batches": list(batches), "num_new_labels": num_new_labels, "batch_problems": [], "reports": []}
    reference = rows.take(reference_rows(champion, rows) & ~is_new)
    if not batches or not len(reference):
        reason = "No delivery has come since the champion." if not batches else "No row is left to compare with."
        return {**told, "recommendation": _advice("no_action", [reason])}
    before = ValueSide.of(champion, reference)
    if newest in batches and not is_accepted(folder, newest):
        problems = suspicions(champion, before, ValueSide.of(champion, rows.take(of_batch == newest)), params)
        if problems:
            return {**told, "batch_problems": problems, "recommendation": _advice("hold", problems)}
    after = ValueSide.of(champion, rows.take(np.isin(of_batch, batches[-params.watch_batches :])))
    report = watch_report(champion, before, after, params.monitor, seed=params.seed)
    told["reports"] = [{"name": WATCHED, "batches": list(batches), "report": report}]
    return {**told, "recommendation": recommend_values(report, has_labels=num_new_labels > 0)}


def suspicions(
    champion: RegressionModel, before: ValueSide, delivery: ValueSide, params: ValueRetrainParams
) -> list[str]:
    """Why one delivery is not to be believed, whatever its drift: a broken feed, outliers, labels in another unit."""
    sides = [side.snapshot(champion, before.value) for side in (before, delivery)]
    found, policy, reasons = find_outliers(*sides), params.policy, []
    if found.vanished:
        reasons.append(f"No value at all in: {', '.join(found.vanished)}.")
    if found.share > policy.max_outlier_share:
        reasons.append(
            f"{found.share:.0%} of the rows are unlike anything in the reference, at most"
            f" {policy.max_outlier_share:.0%} are allowed."
        )
    if before.is_labelled.any() and delivery.is_labelled.any():
        usual, now = (float(np.median(np.abs(side.predicted(champion).error))) for side in (before, delivery))
        if now > policy.max_error_ratio * usual:
            reasons.append(
                f"The middle error is {in_unit(now, champion.unit)}, {now / max(usual, 1e-12):.0f} times that of rows"
                " before: its labels look to be in another unit, or beside the wrong rows."
            )
    return reasons


def watch_report(
    champion: RegressionModel, before: ValueSide, after: ValueSide, options: ValueMonitorOptions, *, seed: int
) -> dict[str, Any]:
    """The tests with their verdicts, alarms first; errors as observed on either side; sentences. JSON-ready."""
    sides = [side.snapshot(champion, before.value) for side in (before, after)]
    family = month_family(*sides, options, seed=seed)
    tests = [replace(test, name="predicted value") if test.kind == "prediction" else test for test in family.tests]
    left_out = {name: why for name, why in family.left_out.items() if name != "labels"}
    counts = [int(side.is_labelled.sum()) for side in (before, after)]
    if family.tests and min(counts) >= options.min_labelled:
        tests += error_tests(champion, before, after, options, num_permutations=family.num_permutations, seed=seed)
    else:
        left_out["labels"] = f"{counts[1]} rows are labelled, {options.min_labelled} on either side are needed"
    tests = corrected(tests, options)
    observed = {
        name: observed_errors(champion, side, options, seed=seed) if count >= options.min_labelled else None
        for name, side, count in (("observed", after, counts[1]), ("reference_observed", before, counts[0]))
    }
    report = {
        "num_rows": len(after.rows),
        "num_groups": sides[1].num_groups,
        "num_labelled": counts[1],
        "num_reference_rows": len(before.rows),
        "family_error_rate": options.family_error_rate,
        "num_permutations": family.num_permutations,
        "tests": [asdict(test) for test in tests],
        "performance": observed,
        "outliers": asdict(find_outliers(*sides)),
        "left_out": left_out,
        "problems": list(family.problems),
    }
    return to_plain({**report, "summary": list(_sentences(report, champion.unit))})


def error_tests(
    champion: RegressionModel,
    before: ValueSide,
    after: ValueSide,
    options: ValueMonitorOptions,
    *,
    num_permutations: int,
    seed: int,
) -> Iterator[MonitorTest]:
    """Did errors grow, did they turn to one side, does the band miss more often? By whole groups dealt anew.

    Each is a studentised difference of means (`mean_changes`). Effects are shares of the reference's mean absolute
    error, and of rows; an error that became smaller has none.
    """
    groups = [side.groups[side.is_labelled] for side in (before, after)]
    if min(len(np.unique(names)) for names in groups) < MIN_UNITS:
        return
    units = PermutedUnits.deal(*groups, num_permutations=num_permutations, seed=seed)
    sides = [side.predicted(champion) for side in (before, after)]
    usual = max(float(np.abs(sides[0].error).mean()), float(np.finfo(float).tiny))
    error = np.concatenate([side.error for side in sides])
    statistics, change = mean_changes(np.abs(error), units)
    growth = max(change, 0.0) / usual
    yield _test("absolute error", "performance", "growth", statistics, growth, options.min_error_increase)
    statistics, change = mean_changes(error, units)
    yield _test("mean error", "calibration", "change / usual error", statistics, change / usual, options.min_bias)
    if champion.band is not None:
        is_outside = np.concatenate([(side.truth < side.low) | (side.truth > side.high) for side in sides])
        statistics, change = mean_changes(is_outside.astype(float), units)
        limit = options.min_miss_increase
        yield _test("rows outside their band", "calibration", "share more", statistics, max(change, 0.0), limit)


def _test(name: str, kind: str, effect_name: str, statistics: np.ndarray, effect: float, limit: float) -> MonitorTest:
    return MonitorTest(
        name=name,
        kind=kind,
        method="difference of means",
        statistic=float(statistics[0]),
        effect_name=effect_name,
        effect=effect,
        effect_limit=limit,
        p_value=permutation_p_value(statistics),
    )


def observed_errors(
    champion: RegressionModel, side: ValueSide, options: ValueMonitorOptions, *, seed: int
) -> dict[str, Any]:
    """`{num_rows, metric: {value, low, high}}` of the labelled rows, in the label's unit, by whole groups."""
    rows, groups = side.predicted(champion), side.groups[side.is_labelled]
    found: dict[str, Any] = {"num_rows": len(rows)}
    for metric in (*map(REGRESSION_METRICS.__getitem__, OBSERVED), MEAN_ERROR):
        if metric.needs_band and not rows.has_band:
            continue
        drawn = {"num_bootstrap": options.num_bootstrap, "confidence": options.confidence, "seed": seed}
        told: Interval = bootstrap_value_interval(metric, rows, groups=groups, **drawn)
        found[metric.name] = {"value": told.value, "low": told.low, "high": told.high}
    return found


def recommend_values(report: Mapping[str, Any], *, has_labels: bool) -> dict[str, Any]:
    """`{action, reasons}`: no_action without an alarm; retrain with new labels; adapt, if only rows have come."""
    if report["problems"]:
        return _advice("no_action", [*report["problems"], "They are watched again with the next delivery."])
    alarms = [test for test in report["tests"] if test["is_alarm"]]
    if not alarms:
        return _advice("no_action", ["No test alarms."])
    reasons = [
        f"{test['name']}: {test['effect_name']} {test['effect']:.3g}, limit {test['effect_limit']:g},"
        f" adjusted p {test['p_adjusted']:.2g}."
        for test in alarms
    ]
    if has_labels:
        return _advice("retrain", reasons)
    return _advice("adapt", [*reasons, "There are no new labels to learn from."])


def _advice(action: str, reasons: Sequence[str]) -> dict[str, Any]:
    return {"action": action, "reasons": list(reasons)}


def _sentences(report: Mapping[str, Any], unit: str) -> Iterator[str]:
    """For the person who reads the mail."""
    yield from report["problems"]
    alarms = [test for test in report["tests"] if test["is_alarm"]]
    if report["tests"]:
        yield (
            f"{len(alarms)} of {len(report['tests'])} tests alarm on {report['num_rows']:,} rows of"
            f" {report['num_groups']:,} groups; without drift a month alarms at most {report['family_error_rate']:.0%}"
            " of the time."
        )
    for kind, word in KIND_WORDS.items():
        told = [
            f"{test['name']} ({test['effect_name']} {test['effect']:.3g})" for test in alarms if test["kind"] == kind
        ]
        if told:
            yield f"{word}: {'; '.join(told)}."
    now, usual = report["performance"]["observed"], report["performance"]["reference_observed"]
    if now is not None and usual is not None:
        low, high = (number_text(now["mae"][end]) for end in ("low", "high"))
        yield (
            f"Mean absolute error {number_text(now['mae']['value'])} [{low}, {high}] {unit} on"
            f" {now['num_rows']:,} labelled rows, {number_text(usual['mae']['value'])} on rows before."
        )
    else:
        yield "Too few labels to observe the error."
