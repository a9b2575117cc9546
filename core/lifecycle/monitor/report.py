"""What a month's watch found, JSON-ready."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.artifacts import to_plain
from core.lifecycle.monitor.calibration_drift import CalibrationDrift
from core.lifecycle.monitor.outliers import Outliers
from core.lifecycle.monitor.performance_estimate import Performance

Kind = Literal["input", "embedding", "prediction", "calibration", "performance"]


@dataclass(frozen=True)
class MonitorTest:
    """One question to the month.

    statistic: of the method. effect: its size in the unit that effect_name says, with effect_limit, over which it
    matters. p_value: NaN where there is no test. p_adjusted: Holm over all tests of the month. is_alarm: p_adjusted
    is at most the family error rate and the effect over its limit.
    """

    name: str
    kind: Kind
    method: str
    statistic: float
    effect_name: str
    effect: float
    effect_limit: float
    p_value: float
    p_adjusted: float = float("nan")
    is_alarm: bool = False


@dataclass(frozen=True)
class PerformanceReport:
    """Figures of the batch and, to compare with, of the reference; observed ones are None without enough labels."""

    estimated: Performance
    reference_estimated: Performance
    observed: Performance | None
    reference_observed: Performance | None


@dataclass(frozen=True)
class MonitorReport:
    """A batch against its reference.

    num_*: of the batch, rows, groups, labelled rows and positives among them. one_class_chance: chance under the told
    probabilities that all labelled rows are of one class; None where they are of two or none is labelled.
    tests: all, alarms first, then by p-value. calibration: of the batch's labelled rows as such, None without enough.
    left_out: column (or labels) -> why it was not tested. problems: why nothing could be tested, and then there are no
    tests.
    """

    num_rows: int
    num_groups: int
    num_labelled: int
    num_positive: int
    num_reference_rows: int
    one_class_chance: float | None
    family_error_rate: float
    num_permutations: int
    tests: tuple[MonitorTest, ...]
    performance: PerformanceReport
    calibration: CalibrationDrift | None
    outliers: Outliers
    left_out: dict[str, str]
    problems: tuple[str, ...]
    summary: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[MonitorTest, ...]:
        """The tests that alarm."""
        return tuple(test for test in self.tests if test.is_alarm)

    def has_alarm(self, *kinds: Kind) -> bool:
        """Whether a test of any of the kinds alarms, or of any kind where none is named."""
        return any(not kinds or test.kind in kinds for test in self.alarms)

    def as_dict(self) -> dict[str, Any]:
        """JSON types only; NaN becomes None."""
        return to_plain(asdict(self))
