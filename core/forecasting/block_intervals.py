"""The interval of a mean over days that hang together, by the stationary bootstrap."""

from __future__ import annotations

import math

import numpy as np

from core.evaluation.intervals import Interval, percentile_range
from core.forecasting.checked_rows import finite_rows, require_count, require_fraction

# arch's estimate fails on fewer than 8 rows.
MIN_ESTIMATED_ROWS = 10


def mean_interval(
    values: np.ndarray, *, block_length: int, confidence: float = 0.95, num_bootstrap: int = 1000, seed: int
) -> Interval:
    """The mean of values (N,) of consecutive days, a loss or a difference of two, with its percentile interval.

    block_length: mean days of a block; 1 takes days for independent. Where the days of a block are not few beside N the
    interval is too narrow: with targets of 22 days it held the truth in 85 % of draws of 500 days, in 91 % of 2,500.

    Shape: (N,) -> scalars

    Source: Politis & Romano 1994, by `arch.bootstrap.StationaryBootstrap`; percentiles: Efron & Tibshirani 1993,
    section 13.3.

    Raises:
        BadInputError: values are not (N,), or one is missing or infinite.
        BadParamsError: block_length or num_bootstrap below 1, or confidence not between 0 and 1.
    """
    (values,) = finite_rows(values=values)
    require_count(block_length, "block_length", at_least=1)
    require_count(num_bootstrap, "num_bootstrap", at_least=1)
    require_fraction(confidence, "confidence")
    from arch.bootstrap import StationaryBootstrap

    replicates = StationaryBootstrap(int(block_length), values, seed=seed).apply(np.mean, int(num_bootstrap))[:, 0]
    mean = float(values.mean())
    low, high = percentile_range(replicates, confidence)
    return Interval(mean, min(low, mean), max(high, mean), confidence)


def optimal_block_length(values: np.ndarray, *, horizon: int) -> int:
    """Mean days of a block that suits values (N,), at least `horizon` (overlapping targets) and at most N.

    The cube root of N where it cannot be estimated: fewer than 10 rows, or all alike.

    Source: Politis & White 2004 with the correction of Patton, Politis & White 2009, by
    `arch.bootstrap.optimal_block_length`, column `stationary`, rounded up.

    Raises:
        BadInputError: values are not (N,), or one is missing or infinite.
        BadParamsError: horizon is no whole number of at least 1.
    """
    (values,) = finite_rows(values=values)
    require_count(horizon, "horizon", at_least=1)
    told = math.nan
    if len(values) >= MIN_ESTIMATED_ROWS:
        from arch.bootstrap import optimal_block_length as politis_white

        with np.errstate(divide="ignore", invalid="ignore"):
            told = float(politis_white(values)["stationary"].iloc[0])
    if not math.isfinite(told):  # too few rows, or none differs from the others
        told = len(values) ** (1 / 3)
    return min(len(values), max(horizon, math.ceil(told)))
