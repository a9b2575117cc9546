"""Are columns of rows what a formula can take? The error names the first row that is not."""

from __future__ import annotations

import numpy as np

from core.errors import BadInputError, BadParamsError


def finite_rows(**columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The columns as float arrays (N,), in the order given; the keywords are their names in errors.

    Raises:
        BadInputError: a column is not (N,), is empty, differs in length from the first, or has a value that is missing
            or infinite.
    """
    checked: list[np.ndarray] = []
    for name, values in columns.items():
        array = np.asarray(values, dtype=float)
        if array.ndim != 1 or len(array) == 0:
            raise BadInputError(f"{name} has shape {array.shape}, expected (N,) with at least one row.")
        if checked and len(array) != len(checked[0]):
            raise BadInputError(f"{name} has {len(array)} rows, expected {len(checked[0])} as {next(iter(columns))}.")
        require_rows(np.isfinite(array), array, name, "a finite number")
        checked.append(array)
    return tuple(checked)


def require_rows(is_right: np.ndarray, values: np.ndarray, name: str, expected: str) -> None:
    """Refuse values (N,) of which any is not right, by the mask (N,).

    Raises:
        BadInputError: the first wrong row, its value, and how many there are.
    """
    wrong = np.flatnonzero(~is_right)
    if len(wrong):
        first = wrong[0]
        raise BadInputError(
            f"{name} of row {first} is {values[first]}, expected {expected}; {len(wrong)} of {len(values)} are wrong.",
            repair="Leave out or mend these rows first.",
        )


def require_count(value: int, name: str, *, at_least: int) -> None:
    """Refuse a number of rows, days or draws that is no whole number of `at_least` or more.

    Raises:
        BadParamsError: what was got and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise BadParamsError(f"{name} is {value!r}, expected a whole number of at least {at_least}.")


def require_fraction(value: float, name: str) -> None:
    """Refuse a level, a size or a confidence that is not between 0 and 1.

    Raises:
        BadParamsError: what was got and what was expected.
    """
    if not 0 < value < 1:
        raise BadParamsError(f"{name} is {value!r}, expected between 0 and 1.")
