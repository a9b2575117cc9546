"""GARCH(1, 1) in which a fall counts more than a rise."""

from __future__ import annotations

from typing import ClassVar

from core.forecasting.arch_forecaster import ArchForecaster
from core.forecasting.forecaster import FORECASTERS


@FORECASTERS.register("gjr_garch")
class GjrGarch(ArchForecaster):
    """Source: Glosten, Jagannathan & Runkle 1993, "On the relation between the expected value and the volatility
    of the nominal excess return on stocks".
    """

    volatility: ClassVar = {"vol": "GARCH", "p": 1, "o": 1, "q": 1}
