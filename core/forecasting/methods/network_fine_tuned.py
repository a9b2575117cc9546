"""The sources' network, every weight trained on."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network_fine_tuned")
class NetworkFineTuned(NetworkForecaster):
    """Full fine-tuning."""

    transfers = True
    from_scratch = "network"
    strategy = "full"
