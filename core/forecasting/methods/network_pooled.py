"""One network for the sources' days and the target's together."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network_pooled")
class NetworkPooled(NetworkForecaster):
    """All days in one training; the epoch is chosen on the target's last days."""

    transfers = True
    from_scratch = "network"
    is_pooled = True
