"""Losses of variance forecasts, one number a row; lower is better. One registry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.forecasting.checked_rows import finite_rows, require_rows
from core.registry import Registry

# (forecast_variance (N,), realised_variance (N,)) -> (N,)
VarianceLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]

LOSSES: Registry[VarianceLoss] = Registry("loss")


@LOSSES.register("qlike")
def qlike(forecast_variance: np.ndarray, realised_variance: np.ndarray) -> np.ndarray:
    """log f + r / f of each row, of variances in percent squared.

    Robust: a noisy but unbiased realised variance ranks forecasts as the true variance would. A realised variance of
    zero is allowed. Differences of two methods do not depend on the unit; the level does, and may be negative.

    Shape: (N,), (N,) -> (N,)

    Source: Patton 2011, section 2, loss QLIKE; robustness: his proposition on homogeneous losses, b = -2.

    Raises:
        BadInputError: lengths differ, a value is missing or infinite, a forecast is not above 0, a variance is below 0.
    """
    forecast, realised = _checked(forecast_variance, realised_variance)
    return np.log(forecast) + realised / forecast


@LOSSES.register("squared_error")
def squared_error(forecast_variance: np.ndarray, realised_variance: np.ndarray) -> np.ndarray:
    """(f - r)^2 of each row, in percent to the fourth power. Robust as qlike is, but a few wild days decide it.

    Shape: (N,), (N,) -> (N,)

    Source: Patton 2011, section 2, loss MSE.

    Raises:
        BadInputError: as `qlike`.
    """
    forecast, realised = _checked(forecast_variance, realised_variance)
    return (forecast - realised) ** 2


@LOSSES.register("absolute_error")
def absolute_error(forecast_variance: np.ndarray, realised_variance: np.ndarray) -> np.ndarray:
    """|f - r| of each row, in percent squared.

    Not robust: with a noisy realised variance it prefers forecasts that are too low. For description, not for verdicts.

    Shape: (N,), (N,) -> (N,)

    Source: Patton 2011, section 2, loss MAE and the bias of its optimal forecast.

    Raises:
        BadInputError: as `qlike`.
    """
    forecast, realised = _checked(forecast_variance, realised_variance)
    return np.abs(forecast - realised)


def _checked(forecast_variance: np.ndarray, realised_variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as finite float arrays (N,), the forecasts above 0 and the realised variances not below."""
    forecast, realised = finite_rows(forecast_variance=forecast_variance, realised_variance=realised_variance)
    require_rows(forecast > 0, forecast, "forecast_variance", "above 0")
    require_rows(realised >= 0, realised, "realised_variance", "0 or more")
    return forecast, realised
