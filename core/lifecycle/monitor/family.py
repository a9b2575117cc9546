"""The family of a month's tests: which there are, with how many deals, and what Holm makes of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.evaluation.multiple_testing import holm
from core.lifecycle.monitor.month_tests import (
    absolute_calibration_tests,
    column_tests,
    joint_tests,
    label_tests,
    num_gaps,
)
from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.monitor.permuted_units import MIN_UNITS
from core.lifecycle.monitor.pooled_rows import PooledRows
from core.lifecycle.monitor.report import MonitorTest
from core.lifecycle.monitor.snapshot import Snapshot

MAX_PERMUTATIONS = 5000
NUM_JOINT_TESTS, NUM_LABEL_TESTS = 2, 3


@dataclass(frozen=True)
class Family:
    """tests: corrected, alarms first. left_out: what was not tested and why. problems: why there are no tests."""

    tests: tuple[MonitorTest, ...]
    num_permutations: int
    left_out: dict[str, str]
    problems: tuple[str, ...]


def month_family(reference: Snapshot, batch: Snapshot, options: MonitorOptions, *, seed: int) -> Family:
    """Every test that the two sides allow, corrected together.

    Raises:
        BadInputError: more tests than the permutations can tell apart.
    """
    columns, left_out = _tested_columns(reference.inputs, batch.inputs)
    if problems := _too_few(reference, batch, options):
        return Family((), 0, left_out, tuple(problems))
    num_tests = len(columns) + num_gaps(reference.inputs, batch.inputs, columns) + 1 + NUM_JOINT_TESTS + NUM_LABEL_TESTS
    draw = {"max_rows": options.max_rows, "num_permutations": _num_permutations(num_tests, options), "seed": seed}
    pooled = PooledRows.draw(reference, batch, **draw)
    if pooled.units.smallest_p_value * num_tests > options.family_error_rate:
        problem = (
            f"The batch has {batch.num_groups} groups and the reference {reference.num_groups}: too few for any of "
            f"{num_tests} tests to be significant together."
        )
        return Family((), 0, left_out, (problem,))
    tests = [
        *column_tests(reference, batch, columns, pooled, options),
        *joint_tests(reference, batch, columns, pooled, options, seed=seed),
    ]
    if not batch.has_labels(options.min_labelled):
        left_out["labels"] = f"{int(batch.is_labelled.sum())} rows are labelled, {options.min_labelled} are needed"
    elif not reference.has_labels(options.min_labelled):
        tests += absolute_calibration_tests(batch, options)
        left_out["AUC against the reference"] = "the reference has too few labels"
    else:
        labelled = PooledRows.draw(reference, batch, **draw, is_labelled=True)
        if labelled.units.smallest_p_value * num_tests > options.family_error_rate:
            left_out["labels"] = "the labelled rows are of too few groups"
        else:
            tests += label_tests(reference, batch, labelled, options)
    return Family(corrected(tests, options), draw["num_permutations"], left_out, ())


def corrected(tests: Sequence[MonitorTest], options: MonitorOptions) -> tuple[MonitorTest, ...]:
    """With Holm's p-values and the verdicts; alarms first, then by p-value, tests without one last."""
    adjusted = holm(np.array([test.p_value for test in tests], dtype=float))
    judged = [
        replace(
            test,
            p_adjusted=float(value),
            is_alarm=bool(value <= options.family_error_rate and abs(test.effect) >= test.effect_limit),
        )
        for test, value in zip(tests, adjusted, strict=True)
    ]
    return tuple(sorted(judged, key=lambda test: (not test.is_alarm, np.isnan(test.p_value), test.p_value)))


def _tested_columns(before: pd.DataFrame, after: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """(columns to test, column -> why not)."""
    columns, left_out = [], {}
    for name in before.columns:
        sides = before[name], after[name]
        if any(pd.api.types.is_datetime64_any_dtype(side) for side in sides):
            left_out[str(name)] = "a date, which moves by nature"
        elif len(set(sides[0].unique()) | set(sides[1].unique())) < 2 or all(side.isna().all() for side in sides):
            left_out[str(name)] = "the same in all rows of both sides"
        else:
            columns.append(name)
    return columns, left_out


def _too_few(reference: Snapshot, batch: Snapshot, options: MonitorOptions) -> list[str]:
    problems = []
    for name, side in (("batch", batch), ("reference", reference)):
        if len(side) < options.min_rows:
            problems.append(f"The {name} has {len(side)} rows; {options.min_rows} are needed.")
        elif side.num_groups < MIN_UNITS:
            problems.append(f"All rows of the {name} are of one group; {MIN_UNITS} are needed.")
    return problems


def _num_permutations(num_tests: int, options: MonitorOptions) -> int:
    """Enough that Holm's strictest step, family_error_rate / num_tests, is twice the smallest p-value.

    Raises:
        BadInputError: so many tests that not even the most permutations are enough.
    """
    wanted = int(np.ceil(2 * num_tests / options.family_error_rate))
    num_permutations = max(options.num_permutations, min(wanted, MAX_PERMUTATIONS))
    if num_tests > options.family_error_rate * (num_permutations + 1):
        raise BadInputError(
            f"{num_tests} tests at {options.family_error_rate:g} need {num_tests / options.family_error_rate:,.0f} "
            f"permutations, at most {MAX_PERMUTATIONS:,} are made.",
            repair="Watch fewer columns, allow more false alarms, or set num_permutations.",
        )
    return num_permutations
