"""The sources' network, its convolutions frozen, the line learned on the target."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network_probe")
class NetworkProbe(NetworkForecaster):
    """Linear probing."""

    transfers = True
    from_scratch = "network"
    strategy = "linear_probe"
