"""The `retrain` subsection of a vertical that forecasts."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.forecasting.params import SeriesParams
from core.lifecycle.retrain.retrain_params import RunParams
from core.params import parse_section
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class DeliveryLimits:
    """From where on a delivery is set aside until a person has looked at it.

    jump_percent: log return in size, in percent, that is a split's or beyond all that was seen. max_scale_ratio: of the
    median absolute return to that of the days before, in either direction; told of `min_scale_days` days or more. A
    crisis moves markets five times as much as calm; percent for fractions is a hundred times. max_gap_days: calendar
    days without a row; markets close for eleven at most. stuck_days: equal returns in a row, and more than ever before.
    """

    jump_percent: float = Field(default=40.0, gt=0.0)
    max_scale_ratio: float = Field(default=10.0, gt=1.0)
    min_scale_days: int = Field(default=10, ge=2)
    max_gap_days: int = Field(default=21, ge=4)
    stuck_days: int = Field(default=5, ge=2)


@dataclass(frozen=True, config=STRICT)
class WatchLimits:
    """When the champion's forecasts count as no longer holding.

    significance: of all tests together (Holm). min_stretches: a stretch of new days is at most the walk-forward's days
    over this long, else hardly any stretch is there to compare it with. min_coverage_days, min_independence_days:
    fewer days tell nothing of Value at Risk, and of exceedances in a row.
    """

    significance: float = Field(default=0.05, gt=0.0, lt=0.5)
    min_stretches: int = Field(default=20, ge=5)
    min_coverage_days: int = Field(default=15, ge=10)
    min_independence_days: int = Field(default=250, ge=50)


@dataclass(frozen=True, config=STRICT)
class SeriesGateLimits:
    """What a challenger may lose, and how many days it takes to tell.

    refit_days: trading days from one refit to the next when the method is judged on the days since the champion;
    stretched where that would be more than `max_refits` fits. min_days: origins whose days ahead are known; fewer
    decide nothing, and a short month has 18. max_loss: of the mean QLIKE; a larger loss that may be chance is held for
    a person. max_factor: the newest forecasts of challenger and champion differ by less.
    """

    refit_days: int = Field(default=5, ge=1)
    max_refits: int = Field(default=8, ge=1)
    min_days: int = Field(default=15, ge=10)
    max_loss: float = Field(default=0.05, ge=0.0)
    max_factor: float = Field(default=3.0, gt=1.0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)


@dataclass(frozen=True, config=STRICT)
class SeriesRetrainParams(RunParams):
    """How a vertical that forecasts is retrained.

    when: train with every delivery (always), or where the champion's forecasts no longer hold (drift). Always, unlike
    for classes: new days carry their own truth, so there is no wait for labels, and whoever forecasts a market fits
    again every month. min_new_days: trading days since the champion from which on `always` trains; fewer change
    nothing that could be judged.
    """

    when: Literal["drift", "always"] = "always"
    min_new_days: int = Field(default=5, ge=1)
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    watch: WatchLimits = field(default_factory=WatchLimits)
    gates: SeriesGateLimits = field(default_factory=SeriesGateLimits)


def series_retrain_params(params: SeriesParams, vertical: str) -> SeriesRetrainParams:
    """The vertical's `retrain`.

    Raises:
        BadParamsError: an unknown key or a value out of range.
    """
    return parse_section(SeriesRetrainParams, params.retrain, where=f"{vertical}.retrain")
