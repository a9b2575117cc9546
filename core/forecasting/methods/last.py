"""The naive forecast: the next h days are as the last h days were."""

from __future__ import annotations

import numpy as np

from core.forecasting.forecaster import FORECASTERS, Forecaster, ForecastTask
from core.forecasting.scaling import trailing_mean
from core.forecasting.series import Series


@FORECASTERS.register("last")
class Last(Forecaster):
    """A random walk at each horizon: the mean of the last h days."""

    def learn(self, task: ForecastTask) -> None:
        """Nothing."""

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2."""
        means = [trailing_mean(series.day_variance, days, min_days=1) for days in self.horizons_]
        return np.stack(means, axis=1)[first_row:]
