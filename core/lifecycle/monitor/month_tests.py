"""All tests of a month, each with its effect; nothing is corrected yet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.evaluation.shift import population_stability_index
from core.lifecycle.monitor.calibration_drift import calibration_drift
from core.lifecycle.monitor.column_tests import (
    category_codes,
    chi_square_statistics,
    is_number_column,
    kolmogorov_smirnov_distances,
    number_codes,
    number_values,
)
from core.lifecycle.monitor.label_tests import auc_drops, calibration_residuals, mean_changes
from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.permuted_units import permutation_p_value
from core.lifecycle.monitor.pooled_rows import PooledRows
from core.lifecycle.monitor.report import MonitorTest
from core.lifecycle.monitor.snapshot import Snapshot
from core.lifecycle.monitor.table_design import principal_places, table_design
from core.lifecycle.monitor.two_sample import classifier_two_sample, kernel_two_sample

PSI, KS, CHI_SQUARE = "PSI", "Kolmogorov-Smirnov", "chi-square"


def column_tests(
    reference: Snapshot, batch: Snapshot, columns: list[str], pooled: PooledRows, options: MonitorOptions
) -> Iterator[MonitorTest]:
    """Each named input column, then the probability; the effect is the stability index of all rows.

    A number in which values are missing gets a second test, of how many are.
    """
    for name in columns:
        sides = reference.inputs[name], batch.inputs[name]
        if all(is_number_column(side) for side in sides):
            yield from _number_tests(str(name), "input", *map(number_values, sides), pooled, options)
        else:
            index = population_stability_index(*sides, num_bins=options.num_bins, is_category=True)
            codes = category_codes(pooled.pool_frames(*sides))
            statistics = chi_square_statistics(codes, pooled.units)
            yield _column_test(str(name), "input", CHI_SQUARE, statistics, index, options)
    sides = reference.probability, batch.probability
    yield from _number_tests("probability", "prediction", *sides, pooled, options)


def num_gaps(reference: pd.DataFrame, batch: pd.DataFrame, columns: list[str]) -> int:
    """How many number columns have missing values on either side."""
    sides = [(reference[name], batch[name]) for name in columns]
    numbers = [pair for pair in sides if all(is_number_column(side) for side in pair)]
    return sum(any(np.isnan(number_values(side)).any() for side in pair) for pair in numbers)


def _number_tests(
    name: str, kind: str, before: np.ndarray, after: np.ndarray, pooled: PooledRows, options: MonitorOptions
) -> Iterator[MonitorTest]:
    """Of the values that are there, and of the share that is not."""
    index = population_stability_index(before, after, num_bins=options.num_bins)
    values = pooled.pool(before, after)
    distances = kolmogorov_smirnov_distances(number_codes(values), pooled.units)
    yield _column_test(name, kind, KS, distances, index, options)
    if np.isnan(before).any() or np.isnan(after).any():
        statistics = chi_square_statistics(np.isnan(values).astype(int), pooled.units)
        yield _column_test(f"{name} is missing", kind, CHI_SQUARE, statistics, index, options)


def _column_test(
    name: str, kind: str, method: str, statistics: np.ndarray, index: float, options: MonitorOptions
) -> MonitorTest:
    return MonitorTest(
        name=name,
        kind=kind,
        method=method,
        statistic=float(statistics[0]),
        effect_name=PSI,
        effect=index,
        effect_limit=options.min_psi,
        p_value=permutation_p_value(statistics),
    )


def joint_tests(
    reference: Snapshot, batch: Snapshot, columns: list[str], pooled: PooledRows, options: MonitorOptions, *, seed: int
) -> Iterator[MonitorTest]:
    """Classifier and kernel two-sample test of the embedding rows, or of all columns together where there are none."""
    if reference.features is not None and batch.features is not None:
        kind, rows = "embedding", pooled.pool(reference.features, batch.features)
    elif columns:
        kind, rows = "input", table_design(pooled.pool_frames(reference.inputs[columns], batch.inputs[columns]))
    else:
        return
    places = principal_places(rows)
    told = classifier_two_sample(places, pooled.units, seed=seed)
    yield MonitorTest(
        name="classifier two-sample",
        kind=kind,
        method="held-out accuracy",
        statistic=told.statistic,
        effect_name="accuracy above 1/2",
        effect=told.effect,
        effect_limit=options.min_accuracy_gain,
        p_value=told.p_value,
    )
    told = kernel_two_sample(places, pooled.units)
    yield MonitorTest(
        name="kernel two-sample",
        kind=kind,
        method="maximum mean discrepancy",
        statistic=told.statistic,
        effect_name="share of the spread",
        effect=told.effect,
        effect_limit=options.min_kernel_distance,
        p_value=told.p_value,
    )


def label_tests(
    reference: Snapshot, batch: Snapshot, pooled: PooledRows, options: MonitorOptions
) -> Iterator[MonitorTest]:
    """Change of calibration (in the large, and spread) and of the AUC, where both sides have labels."""
    targets = pooled.pool(reference.targets, batch.targets)
    probability = pooled.pool(reference.probability, batch.probability)
    for name, residual in calibration_residuals(targets, probability).items():
        statistics, change = mean_changes(residual, pooled.units)
        yield _calibration_test(name, statistics[0], change, permutation_p_value(statistics), options)
    drops = auc_drops(targets, probability, pooled.units)
    yield MonitorTest(
        name="AUC",
        kind="performance",
        method="drop against the reference",
        statistic=float(drops[0]),
        effect_name="drop",
        effect=float(drops[0]),
        effect_limit=options.min_auc_drop,
        p_value=permutation_p_value(drops),
    )


def absolute_calibration_tests(batch: Snapshot, options: MonitorOptions) -> Iterator[MonitorTest]:
    """The batch's labels against its probabilities, where the reference has no labels to compare with."""
    known = batch.is_labelled
    found = calibration_drift(batch.targets[known], batch.probability[known], groups=batch.group[known])
    large = found.in_the_large_z, found.calibration_gap, found.in_the_large_p_value
    spread = found.spiegelhalter_z, found.excess_brier, found.spiegelhalter_p_value
    yield _calibration_test("in the large", *large, options)
    yield _calibration_test("spread", *spread, options)


def _calibration_test(
    name: str, statistic: float, change: float, p_value: float, options: MonitorOptions
) -> MonitorTest:
    is_large = name == "in the large"
    return MonitorTest(
        name=name,
        kind="calibration",
        method="observed less told" if is_large else "Spiegelhalter",
        statistic=float(statistic),
        effect_name="gap" if is_large else "excess Brier score",
        effect=change,
        effect_limit=options.min_calibration_gap if is_large else options.min_excess_brier,
        p_value=p_value,
    )
