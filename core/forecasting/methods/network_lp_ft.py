"""The sources' network: first the line, then every weight."""

from __future__ import annotations

from core.forecasting.forecaster import FORECASTERS
from core.forecasting.network_forecaster import NetworkForecaster


@FORECASTERS.register("network_lp_ft")
class NetworkLpFt(NetworkForecaster):
    """Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution"."""

    transfers = True
    from_scratch = "network"
    strategy = "lp_ft"
