"""The logarithm of the variance moves, by size and sign of the return."""

from __future__ import annotations

from typing import ClassVar

from core.forecasting.arch_forecaster import ArchForecaster
from core.forecasting.forecaster import FORECASTERS


@FORECASTERS.register("egarch")
class Egarch(ArchForecaster):
    """Source: Nelson 1991, "Conditional heteroskedasticity in asset returns: a new approach"."""

    volatility: ClassVar = {"vol": "EGARCH", "p": 1, "o": 1, "q": 1}
    has_closed_form = False
