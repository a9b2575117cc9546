"""What a challenger may lose against the champion, and how many rows it takes to tell."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.strict import STRICT

NUM_GAIN_TESTS = 3  # headline metric, Brier score, cost per case


@dataclass(frozen=True, config=STRICT)
class GateLimits:
    """A significant loss is refused whatever its size; one over its limit that may be chance is held for a person.

    needs_gain: promote only where the headline metric, the Brier score or the cost is significantly better on the
    fresh hold-out, Holm-corrected over the three; without it a challenger that is no worse may replace the champion.
    """

    max_metric_loss: float = Field(default=0.01, ge=0.0)  # of the headline metric on a hold-out, in its own unit
    max_brier_loss: float = Field(default=0.005, ge=0.0)
    max_cost_loss: float = Field(default=0.02, ge=0.0)  # cost per case, in units of a false positive
    max_slice_loss: float = Field(default=0.05, ge=0.0)  # of the headline metric in the worst slice
    min_slice_rows: int = Field(default=50, ge=10)  # smaller slices are counted, not compared
    max_latency_ratio: float = Field(default=2.0, gt=0.0)  # challenger's time of a prediction / the champion's
    min_rows: int = Field(default=100, ge=10)  # a hold-out below it decides nothing
    min_per_class: int = Field(default=10, ge=2)  # groups that hold a row of the class; of a hold-out and of a slice
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    num_bootstrap: int = Field(default=1000, ge=200)
    needs_gain: bool = False

    def max_loss(self, metric: str, champion: float | None) -> float:
        """Of a whole hold-out, in the metric's unit; `champion` is its value there."""
        return {"brier": self.max_brier_loss, "cost_per_case": self.max_cost_loss}.get(metric, self.max_metric_loss)

    def max_loss_of_slice(self, champion: float) -> float:
        """Of the headline metric in one slice."""
        return self.max_slice_loss

    @property
    def slice_words(self) -> str:
        """That limit in words."""
        return f"{self.max_slice_loss:g}"

    @property
    def needed_of_a_slice(self) -> str:
        """What it takes for a slice to be compared."""
        return f"{self.min_slice_rows} rows and {self.min_per_class} groups of each class"

    def __post_init__(self) -> None:
        smallest_p = NUM_GAIN_TESTS * 2 / (self.num_bootstrap + 1)
        if smallest_p >= 1 - self.confidence:
            raise BadParamsError(
                f"{self.num_bootstrap} replicates cannot show a difference at a confidence of {self.confidence:g}: the "
                f"smallest corrected p-value they give is {smallest_p:.2g}.",
                repair=f"Set num_bootstrap to {int(NUM_GAIN_TESTS * 2 / (1 - self.confidence)) + 1} or more.",
            )
