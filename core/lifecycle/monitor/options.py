"""What the monitor may be told: how often it may cry wolf, and below which effect it keeps quiet."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class MonitorOptions:
    """A test alarms when it is significant at `family_error_rate` over all tests and its effect is over its limit.

    num_permutations: at least so many; more where the number of tests asks for a smaller smallest p-value.
    """

    family_error_rate: float = Field(default=0.05, gt=0.0, lt=0.5)  # months without drift that may alarm
    min_psi: float = Field(default=0.10, ge=0.0)  # a column or the probability; stability index
    min_accuracy_gain: float = Field(default=0.05, ge=0.0, lt=0.5)  # classifier two-sample test, above 1/2
    min_kernel_distance: float = Field(default=0.01, ge=0.0, lt=1.0)  # squared discrepancy as a share of the spread
    min_calibration_gap: float = Field(default=0.03, ge=0.0, lt=1.0)  # change of (observed rate - told rate)
    min_excess_brier: float = Field(default=0.01, ge=0.0, lt=1.0)  # change of (Brier score - what it should be)
    min_auc_drop: float = Field(default=0.03, ge=0.0, lt=1.0)  # of labelled rows
    num_permutations: int = Field(default=500, ge=99)
    num_bootstrap: int = Field(default=500, ge=100)  # of the performance estimate
    max_rows: int = Field(default=1000, ge=100)  # of a side that the tests see, whole groups
    min_rows: int = Field(default=50, ge=10)  # of a side; below it nothing is tested
    min_labelled: int = Field(default=50, ge=10)  # of a side; below it labels are not used
    num_bins: int = Field(default=10, ge=2)  # of the stability index
    cost_false_negative: float = Field(default=5.0, gt=0.0)
    cost_false_positive: float = Field(default=1.0, gt=0.0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
