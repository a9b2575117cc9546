"""Folds in time: train on what was known, forecast the next rows, move on."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadInputError
from core.forecasting.checked_rows import require_count


@dataclass(frozen=True)
class Fold:
    """Rows to train on and the rows that are forecast with that fit; both slices of row numbers, start and stop set."""

    train: slice
    test: slice


def walk_forward(
    num_rows: int,
    *,
    first_test_row: int,
    rows_per_fold: int,
    horizon: int,
    history_rows: int | None = None,
    embargo_rows: int = 0,
) -> list[Fold]:
    """Folds over rows 0 .. N-1, of which row t is known at the end of day t and has days t+1 .. t+h as its target.

    The test rows first_test_row .. N-1-h, those whose target is complete, are each in one fold, in time order;
    rows_per_fold of them a fold, fewer in the last. A fold beginning at row f is fitted at the end of day f, so its
    training rows are purged to t <= f - h, whose targets are known by then.
    embargo_rows: as many more of the newest training rows are left out; costs recency, guards against targets that are
    known late. history_rows: only the newest so many training rows (a label budget in days); fewer where there are
    no more, None for all.

    Source: purging and embargo: Lopez de Prado 2018, sections 7.4.1 and 7.4.2, of which walking forward needs the side
    before the test rows only.

    Raises:
        BadParamsError: a setting is no whole number, or too low.
        BadInputError: no training row is left for the first fold, or no test row has a complete target.
    """
    for name, value in (("num_rows", num_rows), ("rows_per_fold", rows_per_fold), ("horizon", horizon)):
        require_count(value, name, at_least=1)
    for name, value in (("first_test_row", first_test_row), ("embargo_rows", embargo_rows)):
        require_count(value, name, at_least=0)
    if history_rows is not None:
        require_count(history_rows, "history_rows", at_least=1)
    gap = horizon + embargo_rows
    if first_test_row < gap:
        raise BadInputError(
            f"No training row before row {first_test_row} has a target known by then: horizon {horizon} and embargo"
            f" {embargo_rows} take {gap} rows.",
            repair=f"Begin to test at row {gap} or later.",
        )
    end = num_rows - horizon
    if first_test_row >= end:
        raise BadInputError(
            f"No row from {first_test_row} on has a complete target: {num_rows} rows, horizon {horizon}.",
            repair="Use more days, or begin to test earlier.",
        )
    folds = []
    for first in range(first_test_row, end, rows_per_fold):
        stop = first - gap + 1
        start = 0 if history_rows is None else max(0, stop - history_rows)
        folds.append(Fold(slice(start, stop), slice(first, min(first + rows_per_fold, end))))
    return folds
