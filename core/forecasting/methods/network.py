"""The sequence network from scratch: the target's days alone."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network")
class Network(NetworkForecaster):
    """No source, every weight moves."""

    strategy = "full"
