"""The section of a vertical that forecasts series, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from core.params import STRICT, DayText, ReportParams

Days = Annotated[int, Field(ge=1)]
Level = Annotated[float, Field(gt=0.0, lt=0.5)]


@dataclass(frozen=True, config=STRICT)
class SeriesPrepareParams:
    """Which market is forecast, which teach, from which day on it is judged.

    horizons: days ahead, rising. test_from: first day of the test period; None: the last `test_fraction` of the days.
    Sources are cut before that day, all of them.
    """

    target_domain: str
    source_domains: tuple[str, ...] = ()
    horizons: tuple[Days, ...] = (1, 5, 22)
    test_from: DayText | None = None
    test_fraction: float = Field(default=0.5, gt=0.0, lt=0.9)

    @field_validator("horizons")
    @classmethod
    def _check_horizons(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("horizons must rise, and be one or more")
        return value


@dataclass(frozen=True, config=STRICT)
class SeriesTrainParams:
    """Which forecaster, on how many days of the target (None: all), fitted again after how many days.

    level_of_risk: probabilities of a loss beyond Value at Risk.
    """

    method: str = "network_lp_ft"
    method_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by method
    history_days: int | None = Field(default=None, ge=100)
    refit_days: int = Field(default=500, ge=1)
    levels_of_risk: tuple[Level, ...] = (0.01, 0.05)
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class SeriesEvaluateParams:
    """Intervals by the stationary bootstrap.

    crisis_quantile: a day belongs to a crisis when the past month's variance is above this quantile of the days before
    the test period.
    """

    rival: str = "gjr_garch"
    num_bootstrap: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    crisis_quantile: float = Field(default=0.9, gt=0.5, lt=1.0)
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class SeriesCompareParams:
    """The transfer ledger: methods x days of history, walked forward over the same test days.

    set_size: of the model confidence set (0.10: it holds the best method in 90 of 100 samples).
    """

    baseline: str = "gjr_garch"
    methods: tuple[str, ...] = ("ewma", "gjr_garch", "har", "network", "network_lp_ft")
    budgets: tuple[Annotated[int, Field(ge=100)] | Literal["all"], ...] = (250, 1000, "all")
    num_bootstrap: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    set_size: float = Field(default=0.10, gt=0.0, lt=0.5)
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class SeriesExportParams:
    """parity_tolerance: largest relative difference between the exported forecast and the method's own."""

    parity_tolerance: float = Field(default=1e-4, gt=0.0)


@dataclass(frozen=True, config=STRICT)
class SeriesParams:
    """One vertical's section of params.yaml; one subsection a stage, and the vertical's own options."""

    prepare: SeriesPrepareParams
    train: SeriesTrainParams = field(default_factory=SeriesTrainParams)
    evaluate: SeriesEvaluateParams = field(default_factory=SeriesEvaluateParams)
    compare: SeriesCompareParams = field(default_factory=SeriesCompareParams)
    export: SeriesExportParams = field(default_factory=SeriesExportParams)
    report: ReportParams = field(default_factory=ReportParams)
    retrain: Mapping[str, Any] = field(default_factory=dict)  # of `crossdomain retrain`; SeriesRetrainParams
    options: Mapping[str, Any] = field(default_factory=dict)  # parsed by the vertical
