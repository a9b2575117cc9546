"""Exponentially weighted squared returns, the same for every horizon."""

from __future__ import annotations

import numpy as np

from core.forecasting.forecaster import FORECASTERS, Forecaster, ForecastTask
from core.forecasting.scaling import ewma
from core.forecasting.series import Series


@FORECASTERS.register("ewma")
class Ewma(Forecaster):
    """Source: J.P. Morgan/Reuters 1996, "RiskMetrics - Technical Document", section 5.2 (decay 0.94)."""

    def learn(self, task: ForecastTask) -> None:
        """Nothing: the decay is RiskMetrics' own."""

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2."""
        level = ewma(np.square(series.returns))[first_row:]
        return np.repeat(level[:, None], len(self.horizons_), axis=1)
