"""Whole groups dealt anew to reference and batch: the exact null distribution that all tests of a month share."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Self

import numpy as np

from core.errors import BadInputError

MIN_UNITS = 2  # of each side
TOLERANCE = 1e-9  # permuted values that differ by rounding alone are equal


@dataclass(frozen=True)
class PermutedUnits:
    """N pooled rows (reference, then batch) in G units, and which units each of 1 + B deals gives to the batch.

    A unit is a group of one side; a group on both sides is two units, which only makes the tests stricter.
    unit: (N,) int 0..G-1. names: (N,) str, the groups' own names. sizes: (G,) rows of each unit.
    sides: (G, 1 + B) float, 1 where the unit is the batch's; column 0 is as it was. num_reference: rows of it in N.

    Under "both sides' groups are drawn alike" every deal is as likely as the one seen, so a test whose statistic is
    computed for each column holds its level exactly, however the rows of a group depend on each other.

    Source: Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3; p-value: Phipson & Smyth
    2010, "Permutation p-values should never be zero", equation 2.
    """

    unit: np.ndarray
    names: np.ndarray
    sizes: np.ndarray
    sides: np.ndarray
    num_reference: int

    @classmethod
    def deal(cls, reference_groups: np.ndarray, batch_groups: np.ndarray, *, num_permutations: int, seed: int) -> Self:
        """Units of rows with groups (N1,) and (N2,), dealt `num_permutations` times.

        Raises:
            BadInputError: a side has fewer than two groups.
        """
        codes = [
            np.unique(np.asarray(side).astype(str), return_inverse=True) for side in (reference_groups, batch_groups)
        ]
        num_units = [len(names) for names, _ in codes]
        if min(num_units) < MIN_UNITS:
            raise BadInputError(
                f"The sides have {num_units[0]} and {num_units[1]} groups; two each are needed to compare them.",
                repair="Use rows of more groups (patients, borrowers, parts).",
            )
        unit = np.concatenate([codes[0][1], num_units[0] + codes[1][1]])
        is_batch = np.repeat([0.0, 1.0], num_units)
        shuffled = np.random.default_rng(seed).permuted(np.tile(is_batch, (num_permutations, 1)), axis=1)
        return cls(
            unit=unit,
            names=np.concatenate([names[inverse] for names, inverse in codes]),
            sizes=np.bincount(unit).astype(float),
            sides=np.concatenate([is_batch[:, None], shuffled.T], axis=1),
            num_reference=len(reference_groups),
        )

    @property
    def batch_rows(self) -> np.ndarray:
        """(1 + B,) rows of the batch in each deal."""
        return self.sizes @ self.sides

    @property
    def smallest_p_value(self) -> float:
        """The least p-value any test can give: one over the number of different deals, seen or possible."""
        num_units, num_batch = len(self.sizes), int(self.sides[:, 0].sum())
        return max(1 / self.sides.shape[1], 1 / comb(num_units, num_batch))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(G,) or (G, K) sums over each unit's rows of values (N,) or (N, K)."""
        values = np.asarray(values, dtype=float)
        if len(self.sizes) == len(self.unit):  # one row a unit
            summed = np.empty_like(values)
            summed[self.unit] = values
            return summed
        summed = np.zeros((len(self.sizes), *values.shape[1:]))
        np.add.at(summed, self.unit, values)
        return summed


def permutation_p_value(statistics: np.ndarray) -> float:
    """Share of the deals (1 + B,) with a statistic at least as large as that of column 0, itself counted.

    NaN where column 0 is; a deal without a statistic counts as large.

    Source: Phipson & Smyth 2010, equation 2: (b + 1) / (B + 1).
    """
    observed = statistics[0]
    if np.isnan(observed):
        return float("nan")
    margin = TOLERANCE * max(1.0, abs(observed)) if np.isfinite(observed) else 0.0
    return float(np.mean(np.isnan(statistics) | (statistics >= observed - margin)))
