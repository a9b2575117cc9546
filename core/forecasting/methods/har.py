"""Three averages, one line for each horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.forecasting.forecaster import FORECASTERS, Forecaster, ForecastTask
from core.forecasting.har_rows import HarRows, design, fit_lines
from core.forecasting.scaling import har_features
from core.forecasting.series import Series


@FORECASTERS.register("har")
class Har(Forecaster):
    """Direct forecasts by least squares.

    Source: Corsi 2009, "A simple approximate long-memory model of realized volatility", section 2.
    """

    def learn(self, task: ForecastTask) -> None:
        """The target's own lines."""
        own = HarRows.of(task.history, task.horizons)
        self.level_, self.lines_ = own.level, self.find_lines(own, task)

    def find_lines(self, own: HarRows, task: ForecastTask) -> np.ndarray:
        """(4, H) of variances in multiples of the level."""
        return fit_lines([own])

    def foresee(self, series: Series, first_row: int) -> np.ndarray:
        """(N - first_row, H) percent^2."""
        features = har_features(series.day_variance)[first_row:] / self.level_
        return design(features) @ self.lines_ * self.level_

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Level and lines."""
        return {"level": self.level_}, {"lines": self.lines_}

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """As `state` gave them."""
        self.level_, self.lines_ = values["level"], arrays["lines"]
