"""Rows with a known number and a predicted one, with a band where there is one: checked once, shared by all metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.errors import BadInputError


@dataclass(frozen=True)
class PredictedRows:
    """N rows: truth (N,), value (N,) predicted, and a band low (N,) to high (N,) that is to hold the truth.

    error_rate: share of rows that the band is allowed to miss, 0 to 1. Truth, value and band have the target's unit.
    The value need not lie inside its band. Make it with `checked`, which refuses what no metric can be computed from.
    """

    truth: np.ndarray
    value: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    error_rate: float | None = None

    @classmethod
    def checked(
        cls,
        truth: np.ndarray,
        value: np.ndarray,
        low: np.ndarray | None = None,
        high: np.ndarray | None = None,
        *,
        error_rate: float | None = None,
    ) -> PredictedRows:
        """Truth and value (N,), finite; low and high (N,), finite, low <= high, both or none.

        Raises:
            BadInputError: shapes do not fit, no rows, a missing or infinite number, one end of a band only, ends that
                are crossed, or an error_rate outside 0 to 1 or without a band.
        """
        truth = finite_numbers(truth, "truth")
        value = finite_numbers(value, "value", num_rows=len(truth))
        if (low is None) != (high is None):
            given, missing = ("high", "low") if low is None else ("low", "high")
            raise BadInputError(f"{given} is given without {missing}.", repair="Give both ends of the band, or none.")
        if low is None:
            if error_rate is not None:
                raise BadInputError(f"error_rate is {error_rate}, but there is no band.", repair="Give low and high.")
            return cls(truth, value)
        repair = "A band without an end was fitted on too few rows: use more of them or a larger error_rate."
        low, high = (
            finite_numbers(e, n, num_rows=len(truth), repair=repair) for e, n in ((low, "low"), (high, "high"))
        )
        num_crossed = int((low > high).sum())
        if num_crossed:
            raise BadInputError(
                f"In {num_crossed} of {len(truth)} rows low is above high.", repair="Give the lower end first."
            )
        if error_rate is not None:
            check_error_rate(error_rate)
        return cls(truth, value, low, high, error_rate)

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def error(self) -> np.ndarray:
        """(N,) predicted minus true: above 0 the prediction is too high."""
        return self.value - self.truth

    @cached_property
    def by_absolute_error(self) -> tuple[np.ndarray, np.ndarray]:
        """((N,) rows by rising absolute error, (N,) the errors in that order)."""
        size = np.abs(self.error)
        order = np.argsort(size, kind="stable")
        return order, size[order]

    @property
    def has_band(self) -> bool:
        """Whether the rows have a band."""
        return self.low is not None

    def require_band(self) -> tuple[np.ndarray, np.ndarray]:
        """The band's ends, low (N,) and high (N,).

        Raises:
            BadInputError: the rows have no band.
        """
        if self.low is None or self.high is None:
            raise BadInputError(
                f"The {len(self)} rows have no band; this needs low and high.",
                repair="Fit a ConformalBand on calibration rows and give its ends.",
            )
        return self.low, self.high

    def part(self, mask: np.ndarray) -> PredictedRows:
        """The rows of a mask (N,), which may be none."""
        low, high = (None if end is None else end[mask] for end in (self.low, self.high))
        return PredictedRows(self.truth[mask], self.value[mask], low, high, self.error_rate)


def finite_numbers(values: np.ndarray, name: str, *, num_rows: int | None = None, repair: str = "") -> np.ndarray:
    """A float array (N,) of `values`; num_rows: the N that is expected, any above 0 where not given.

    Raises:
        BadInputError: no numbers, another shape, no rows, or a missing or infinite number.
    """
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{name} holds something that is no number ({error}).") from None
    if values.ndim != 1:
        raise BadInputError(f"{name} has shape {values.shape}, expected (N,).", repair="Give one number a row.")
    if num_rows is not None and len(values) != num_rows:
        raise BadInputError(f"{name} has {len(values)} rows, expected {num_rows}.")
    if len(values) == 0:
        raise BadInputError("There are no rows to evaluate.")
    num_bad = int((~np.isfinite(values)).sum())
    if num_bad:
        raise BadInputError(
            f"{num_bad} of {len(values)} {name} numbers are missing or infinite.",
            repair=repair or "Evaluate rows with a known truth; a learner must predict every one of them.",
        )
    return values


def check_error_rate(error_rate: float) -> None:
    """Refuse a share of misses that is no share.

    Raises:
        BadInputError: error_rate outside 0 to 1.
    """
    if not 0 < error_rate < 1:
        raise BadInputError(
            f"error_rate is {error_rate}, expected between 0 and 1.", repair="A band of 90 % has error_rate=0.1."
        )
