"""Made-up series for the tests of forecasting: two-state GARCH days with their variance, seeded."""

import numpy as np

from core.forecasting.series import Series

HORIZONS = (1, 5, 22)


def made_series(num_days=600, *, seed=0, name="made", first_day="2000-01-03", scale=1.0):
    """Days of a GARCH whose measured variance is the true one times a chi-square of 10 over 10."""
    random = np.random.default_rng(seed)
    variance, returns, measured = scale, [], []
    for _ in range(num_days):
        move = np.sqrt(variance) * random.standard_normal()
        returns.append(move)
        measured.append(variance * random.chisquare(10) / 10)
        variance = 0.04 * scale + 0.1 * move**2 + 0.86 * variance
    dates = np.datetime64(first_day, "D") + np.arange(num_days)
    return Series(name, dates, np.array(returns), np.array(measured), has_range=True)


def with_other_future(series, row, *, factor=9.0):
    """The same days up to and with `row`; all later ones are moved."""
    returns, variance = series.returns.copy(), series.day_variance.copy()
    returns[row + 1 :] *= -np.sqrt(factor)
    variance[row + 1 :] *= factor
    return Series(series.name, series.dates, returns, variance, series.has_range)
