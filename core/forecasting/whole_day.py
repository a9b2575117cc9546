"""Variances of a session brought to those of a whole day, without a look at the days that are tested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.errors import BadInputError
from core.forecasting.series import Series


def whole_day_factor(series: Series, before: np.datetime64) -> float:
    """Mean squared return over mean variance of the days before `before`.

    A range knows nothing of what happens while the market is closed, and an open that repeats the last close hides it.

    Source: Hansen & Lunde 2005, "A realized variance for the whole day based on intermittent high-frequency data",
    section 2.

    Raises:
        BadInputError: no day lies before, or none moved.
    """
    known = series.until(before)
    if len(known) == 0 or not np.mean(known.day_variance) > 0:
        raise BadInputError(
            f"'{series.name}' has no day with a movement before {before}.",
            repair="Choose a later prepare.test_from, or another market.",
        )
    return float(np.mean(np.square(known.returns)) / np.mean(known.day_variance))


def to_whole_days(series: Series, before: np.datetime64) -> Series:
    """The series with its variances times `whole_day_factor`; squared returns stay as they are."""
    return replace(series, day_variance=series.day_variance * whole_day_factor(series, before))
