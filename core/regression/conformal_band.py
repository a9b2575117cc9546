"""Split conformal bands around a predicted number, with a promise that needs no assumption about the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from core.errors import BadInputError
from core.regression.predicted_rows import check_error_rate, finite_numbers

# A product such as 40 * (1 - 0.7) comes out a hair above 12, which must not cost a rank.
RANK_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class ConformalBand:
    """value - below * scale to value + above * scale, in the target's unit (scale is 1 where none was given).

    below, above: how far the band goes down and up; infinite where the calibration rows were too few for the promise.
    below may be negative in the asymmetric form: predictions that are always too low have a band above the value.
    num_units: calibration rows, or groups, behind the promise. has_scale: `transform` needs a scale a row.
    """

    below: float
    above: float
    error_rate: float
    num_units: int
    has_scale: bool

    @classmethod
    def fit(
        cls,
        truth: np.ndarray,
        value: np.ndarray,
        *,
        error_rate: float = 0.1,
        scale: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        is_symmetric: bool = True,
    ) -> Self:
        """Limits from n calibration rows that the model was not fitted on: truth (N,), value (N,) predicted.

        Symmetric: the ceil((n + 1)(1 - error_rate))-th smallest |truth - value| / scale on both sides. Otherwise the
        ceil((n + 1)(1 - error_rate / 2))-th smallest (truth - value) / scale above and (value - truth) / scale below,
        so that each tail is missed by at most error_rate / 2; it needs twice as many rows.

        The promise: a new row, exchangeable with these, is inside with probability 1 - error_rate at least, on average
        over calibration sets and rows, not for each kind of row. scale (N,), above 0: the size of error to be expected
        of each row, told without its truth; it makes bands wide where errors are large, the promise stays.

        groups (N,): rows of one borrower are not exchangeable with each other, borrowers are. Then each group gives
        one residual, its largest, n is the number of groups, and the promise is per group: with probability
        1 - error_rate ALL rows of a new group are inside. That is wider than a promise per row, the more so the larger
        the groups, and says nothing of new rows of a group that was already here.

        Source: Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, algorithm 2; scale: their section 5.2; tails apart:
        Linusson, Johansson & Löfström 2014, "Signed-error conformal regression".

        Raises:
            BadInputError: error_rate outside 0 to 1, shapes that do not fit, a missing number or group, a scale that
                is not above 0.
        """
        check_error_rate(error_rate)
        truth = finite_numbers(truth, "truth")
        value = finite_numbers(value, "value", num_rows=len(truth))
        residual = (truth - value) / _checked_scale(scale, len(truth))
        member = _members(groups, len(truth))
        if is_symmetric:
            below = above = _limit(np.abs(residual), member, error_rate)
        else:
            below, above = (_limit(side, member, error_rate / 2) for side in (-residual, residual))
        return cls(
            below=below,
            above=above,
            error_rate=float(error_rate),
            num_units=int(member.max()) + 1,
            has_scale=scale is not None,
        )

    def transform(self, value: np.ndarray, scale: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The band's ends, low (N,) and high (N,), around predicted values (N,); infinite where a limit is.

        Raises:
            BadInputError: shapes, a missing value, a scale that is not above 0, or a scale here and none in `fit` or
                the other way round.
        """
        value = finite_numbers(value, "value")
        if (scale is not None) != self.has_scale:
            here, there = ("without", "with") if self.has_scale else ("with", "without")
            raise BadInputError(
                f"The band was fitted {there} a scale and is used {here} one.",
                repair="Give the scale of every row in both places, or in neither.",
            )
        scale = _checked_scale(scale, len(value))
        return value - self.below * scale, value + self.above * scale

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite limit is null."""
        limits = {name: limit if np.isfinite(limit) else None for name, limit in self._limits().items()}
        return {**limits, "error_rate": self.error_rate, "num_units": self.num_units, "has_scale": self.has_scale}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        limits = {name: np.inf if values[name] is None else float(values[name]) for name in ("below", "above")}
        return cls(**{**values, **limits})

    def _limits(self) -> dict[str, float]:
        return {"below": self.below, "above": self.above}


def conformal_rank(num_units: int, error_rate: float) -> int:
    """ceil((num_units + 1)(1 - error_rate)): which smallest score is the limit; above num_units there is none."""
    return int(np.ceil((num_units + 1) * (1 - error_rate) - RANK_TOLERANCE))


def _limit(scores: np.ndarray, member: np.ndarray, error_rate: float) -> float:
    """The ranked score of units, each having the largest score (N,) of its member rows; infinite for too few units."""
    of_unit = np.full(member.max() + 1, -np.inf)
    np.maximum.at(of_unit, member, scores)
    rank = conformal_rank(len(of_unit), error_rate)
    return float(np.sort(of_unit)[rank - 1]) if rank <= len(of_unit) else np.inf


def _members(groups: np.ndarray | None, num_rows: int) -> np.ndarray:
    """(N,) unit numbers 0, 1, ...: of the groups, or each row its own."""
    if groups is None:
        return np.arange(num_rows)
    if len(groups) != num_rows:
        raise BadInputError(f"groups has {len(groups)} rows, expected {num_rows}.")
    num_missing = int(pd.isna(np.asarray(groups)).sum())
    if num_missing:
        raise BadInputError(
            f"{num_missing} of {num_rows} groups are missing.", repair="Give a row without a group a name of its own."
        )
    return np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]


def _checked_scale(scale: np.ndarray | None, num_rows: int) -> np.ndarray:
    """(N,) the scale, or ones."""
    if scale is None:
        return np.ones(num_rows)
    scale = finite_numbers(scale, "scale", num_rows=num_rows)
    if (scale <= 0).any():
        raise BadInputError(
            f"The smallest scale is {scale.min():g}, expected above 0.",
            repair="Give the expected size of each row's error, with a small floor.",
        )
    return scale
