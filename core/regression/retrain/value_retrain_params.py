"""The `retrain` subsection of a vertical that predicts a number."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.lifecycle.monitor.options import MonitorOptions
from core.lifecycle.retrain.retrain_params import RunParams
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class ValueGateLimits:
    """What a challenger may lose, as shares of the champion's own error, and how many rows it takes to tell.

    A loss beyond chance is refused whatever its size; one over its limit that may be chance is held for a person.
    needs_gain: promote only where the headline metric or the interval score is better beyond chance (Holm over both).
    """

    max_error_increase: float = Field(default=0.05, ge=0.0)  # of the headline metric and the interval score
    max_slice_increase: float = Field(default=0.15, ge=0.0)  # of the headline metric in the worst slice
    min_slice_rows: int = Field(default=50, ge=10)  # smaller slices are counted, not compared
    max_latency_ratio: float = Field(default=2.0, gt=0.0)  # challenger's time of a prediction / the champion's
    min_rows: int = Field(default=100, ge=10)  # a hold-out below it decides nothing
    min_groups: int = Field(default=10, ge=2)  # of a hold-out and of a slice
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    num_bootstrap: int = Field(default=1000, ge=200)
    needs_gain: bool = False

    def max_loss(self, metric: str, champion: float | None) -> float:
        """Of a whole hold-out, in the metric's unit; `champion` is its value there."""
        return self.max_error_increase * abs(champion or 0.0)

    def max_loss_of_slice(self, champion: float) -> float:
        """Of the headline metric in one slice."""
        return self.max_slice_increase * abs(champion)

    @property
    def slice_words(self) -> str:
        """That limit in words."""
        return f"{self.max_slice_increase:.0%} of the champion's error"

    @property
    def needed_of_a_slice(self) -> str:
        """What it takes for a slice to be compared."""
        return f"{self.min_slice_rows} rows and {self.min_groups} groups"


@dataclass(frozen=True, config=STRICT)
class ValuePolicy:
    """When a delivery is not to be believed."""

    max_outlier_share: float = Field(default=0.25, gt=0.0, le=1.0)  # of rows unlike anything in the reference
    max_error_ratio: float = Field(default=5.0, gt=1.0)  # median error / the reference's: another unit, shifted rows


@dataclass(frozen=True, config=STRICT)
class ValueMonitorOptions(MonitorOptions):
    """The monitor's tests of inputs and predictions, and below which change of the errors it keeps quiet."""

    min_error_increase: float = Field(default=0.10, ge=0.0)  # of the mean absolute error, as a share of the reference's
    min_bias: float = Field(
        default=0.25, ge=0.0
    )  # change of the mean error, as a share of the reference's mean absolute
    min_miss_increase: float = Field(default=0.05, ge=0.0)  # change of the share of rows outside their band


@dataclass(frozen=True, config=STRICT)
class ValueRetrainParams(RunParams):
    """How a vertical that predicts a number is retrained.

    when: train where the monitor asks for it (drift), or with every batch (always). watch_batches: the newest
    deliveries since the champion that are watched together, so that late labels count.
    """

    when: Literal["drift", "always"] = "drift"
    watch_batches: int = Field(default=4, ge=1)
    monitor: ValueMonitorOptions = field(default_factory=ValueMonitorOptions)
    policy: ValuePolicy = field(default_factory=ValuePolicy)
    gates: ValueGateLimits = field(default_factory=ValueGateLimits)
