"""What is forecast: the mean daily variance of the next days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.forecasting.checked_rows import finite_rows, require_count


def future_means(day_variance: np.ndarray, horizons: Sequence[int]) -> np.ndarray:
    """Mean of days t+1 .. t+h in row t and the column of horizon h, in percent squared a day.

    NaN in the last h rows of a column, whose days are not all there.

    Shape: (N,) and H horizons -> (N, H)

    Raises:
        BadInputError: day_variance is not (N,) or has a missing or infinite value.
        BadParamsError: a horizon is no whole number of at least 1.
    """
    (variance,) = finite_rows(day_variance=day_variance)
    ahead = np.full((len(variance), len(horizons)), np.nan)
    for column, horizon in enumerate(horizons):
        require_count(horizon, "horizon", at_least=1)
        if len(variance) > horizon:
            # Windows and not differences of a running sum: one wild day must not cost the quiet ones their digits.
            windows = np.lib.stride_tricks.sliding_window_view(variance[1:], horizon)
            ahead[: len(windows), column] = windows.mean(axis=1)
    return ahead


def non_overlapping(num_rows: int, horizon: int) -> np.ndarray:
    """Every h-th row from the first of N on: their targets share no day.

    Shape: (ceil(N / h),) row numbers, rising

    Raises:
        BadParamsError: a number below 1.
    """
    require_count(num_rows, "num_rows", at_least=1)
    require_count(horizon, "horizon", at_least=1)
    return np.arange(0, num_rows, horizon)
