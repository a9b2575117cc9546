"""One batch against the champion's reference: all tests of the month, corrected together, and what to expect of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.errors import BadInputError
from core.lifecycle.monitor.calibration_drift import CalibrationDrift, calibration_drift
from core.lifecycle.monitor.family import month_family
from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.outliers import find_outliers
from core.lifecycle.monitor.report import MonitorReport, MonitorTest, PerformanceReport
from core.lifecycle.monitor.sentences import summary_sentences
from core.lifecycle.monitor.side_performance import estimated_performance, observed_performance
from core.lifecycle.monitor.snapshot import Snapshot, one_class_chance

__all__ = ["MonitorOptions", "MonitorReport", "MonitorTest", "Snapshot", "watch"]


def watch(reference: Snapshot, batch: Snapshot, options: MonitorOptions | None = None, *, seed: int) -> MonitorReport:
    """Compare a batch with rows of the population that the champion was made for.

    Tests: each input column (Kolmogorov-Smirnov of numbers, chi-square of categories and of what is missing), all
    columns together or the embeddings (classifier and kernel two-sample test), the predicted probability, and with
    enough labels calibration and AUC. Every p-value is of whole groups dealt anew to the two sides, so rows of one
    patient or part may depend on each other; Holm corrects all of a month together. So a month that is drawn like the
    reference alarms with a chance of at most `family_error_rate`; and a trifle in many rows alarms neither, as the
    effect must be over its limit too. The tests read at most `max_rows` of a side; stability index and performance
    read all.

    Calibration is compared with the reference's where that has labels; where it has none, the batch's labels are held
    against its probabilities, and then a champion that never was calibrated alarms without drift.

    With too few rows or groups there are no tests, and `problems` says why.

    Raises:
        BadInputError: the sides have different columns, or more tests than the permutations can tell apart.
    """
    options = options or MonitorOptions()
    _check_sides(reference, batch)
    family = month_family(reference, batch, options, seed=seed)
    num_labelled, num_positive = int(batch.is_labelled.sum()), int(np.nansum(batch.targets))
    report = MonitorReport(
        num_rows=len(batch),
        num_groups=batch.num_groups,
        num_labelled=num_labelled,
        num_positive=num_positive,
        num_reference_rows=len(reference),
        one_class_chance=one_class_chance(batch),
        family_error_rate=options.family_error_rate,
        num_permutations=family.num_permutations,
        tests=family.tests,
        performance=_performance(reference, batch, options, seed=seed),
        calibration=_calibration(batch, options),
        outliers=find_outliers(reference, batch),
        left_out=family.left_out,
        problems=family.problems,
    )
    return replace(report, summary=summary_sentences(report))


def _performance(reference: Snapshot, batch: Snapshot, options: MonitorOptions, *, seed: int) -> PerformanceReport:
    """Estimated of all rows, observed of the labelled ones; both at the batch's threshold."""
    told = {"options": options, "seed": seed}
    before = replace(reference, threshold=batch.threshold)
    return PerformanceReport(
        estimated_performance(batch, **told),
        estimated_performance(before, **told),
        observed_performance(batch, **told),
        observed_performance(before, **told),
    )


def _calibration(batch: Snapshot, options: MonitorOptions) -> CalibrationDrift | None:
    """The labelled rows as such."""
    if not batch.has_labels(options.min_labelled):
        return None
    known = batch.is_labelled
    told = batch.targets[known], batch.probability[known]
    return calibration_drift(*told, groups=batch.group[known], confidence=options.confidence)


def _check_sides(reference: Snapshot, batch: Snapshot) -> None:
    """Raises:
    BadInputError: a column, or the number of features, is of one side only.
    """
    alone = set(reference.inputs.columns) ^ set(batch.inputs.columns)
    if alone:
        names = ", ".join(f"'{name}'" for name in sorted(map(str, alone)))
        raise BadInputError(f"Not on both sides: {names}.", repair="Give both sides the champion's columns.")
    sizes = [None if side.features is None else side.features.shape[1] for side in (reference, batch)]
    if sizes[0] != sizes[1]:
        raise BadInputError(
            f"The reference has {sizes[0] or 'no'} features a row, the batch {sizes[1] or 'none'}.",
            repair="Describe both sides with one champion.",
        )
