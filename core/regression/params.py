"""The section of a vertical that predicts a number from table rows, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT, CompareParams, EvaluateParams, PrepareParams, ReportParams


@dataclass(frozen=True, config=STRICT)
class RegressionTrainParams:
    """Which transfer with which regressor, and how often the band around a value may miss.

    candidates: of `auto`, beside target_only; none: all. band_error_rate: share of new rows (or groups) that may lie
    outside the band. is_band_symmetric: as far down as up; otherwise each side has its own limit, which needs twice as
    many validation labels.
    """

    transfer: str = "auto"
    candidates: tuple[str, ...] = ()
    transfer_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by transfer, checked in choices
    regressor: str = "ridge"
    regressor_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by regressor
    band_error_rate: float = Field(default=0.1, gt=0.0, lt=0.5)
    is_band_symmetric: bool = True
    seed: int = 0


@dataclass(frozen=True, config=STRICT)
class RegressionCompareParams(CompareParams):
    """The transfer ledger; a method is a transfer or `transfer:regressor`. metric: ranks them, one without a band."""

    methods: tuple[str, ...] = ("target_only", "source_only", "source_offset")
    budgets: tuple[Annotated[int, Field(ge=0)] | Literal["all"], ...] = (25, 100, "all")
    metric: str = "mae"


@dataclass(frozen=True, config=STRICT)
class RegressionExportParams:
    """parity_tolerance: largest relative difference between a value of the exported files and the model's own."""

    parity_tolerance: float = Field(default=1e-6, gt=0.0)
    num_latency_rows: int = Field(default=1000, ge=1)


@dataclass(frozen=True, config=STRICT)
class RegressionParams:
    """One vertical's section of params.yaml; one subsection a stage, and the vertical's own options.

    evaluate.num_bins: bins of the prediction in which errors and the band's coverage are told.
    """

    prepare: PrepareParams
    train: RegressionTrainParams = field(default_factory=RegressionTrainParams)
    evaluate: EvaluateParams = field(default_factory=EvaluateParams)
    compare: RegressionCompareParams = field(default_factory=RegressionCompareParams)
    export: RegressionExportParams = field(default_factory=RegressionExportParams)
    report: ReportParams = field(default_factory=ReportParams)
    retrain: Mapping[str, Any] = field(default_factory=dict)  # of `crossdomain retrain`; ValueRetrainParams
    options: Mapping[str, Any] = field(default_factory=dict)  # parsed by the vertical
