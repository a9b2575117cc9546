"""GARCH(1, 1)."""

from __future__ import annotations

from typing import ClassVar

from core.forecasting.arch_forecaster import ArchForecaster
from core.forecasting.forecaster import FORECASTERS


@FORECASTERS.register("garch")
class Garch(ArchForecaster):
    """Source: Bollerslev 1986, "Generalized autoregressive conditional heteroskedasticity"."""

    volatility: ClassVar = {"vol": "GARCH", "p": 1, "q": 1}
