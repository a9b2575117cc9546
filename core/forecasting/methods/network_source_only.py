"""The sequence network of the sources, as it is."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network_source_only")
class NetworkSourceOnly(NetworkForecaster):
    """Zero-shot: the target's history sets its scale and nothing else."""

    transfers = True
    from_scratch = "network"
