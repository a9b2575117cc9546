"""One HAR for all markets, each measured in multiples of its own level."""

from __future__ import annotations

import numpy as np

from core.forecasting.forecaster import FORECASTERS, ForecastTask
from core.forecasting.har_rows import HarRows, fit_lines
from core.forecasting.methods.har import Har


@FORECASTERS.register("har_pooled")
class HarPooled(Har):
    """Source: Bollerslev, Hood, Huss & Pedersen 2018, "Risk everywhere: modeling and managing volatility"."""

    transfers = True
    from_scratch = "har"

    def find_lines(self, own: HarRows, task: ForecastTask) -> np.ndarray:
        """(4, H) of the sources' rows and the target's."""
        return fit_lines([own, *(HarRows.of(source, task.horizons) for source in task.sources)])
