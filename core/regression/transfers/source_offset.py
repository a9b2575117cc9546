"""The source model on the target's scale, and what it leaves learnt from the target's labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor
from core.regression.regressors.source_offset import SourceOffset
from core.regression.source_regressors import SourceRegressors
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer


@dataclass(frozen=True, config=STRICT)
class SourceOffsetTransferOptions:
    """line_strength: rows' worth of doubt that the source tells anything. num_folds: that judge the residuals."""

    line_strength: float = Field(default=1.0, gt=0)
    num_folds: int = Field(default=5, ge=2)


@REGRESSION_TRANSFERS.register("source_offset")
class SourceOffsetTransfer(RegressionTransfer):
    """As `core.regression.regressors.source_offset`, with a source regressor that other transfers may share."""

    Options = SourceOffsetTransferOptions

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self.source_regressors = SourceRegressors()

    def fit(self, task: RegressionTask) -> Regressor:
        """The source regressor, its line and the regressor of the residuals.

        Raises:
            BadParamsError: no labelled source row; the target has no labelled row, or all its labels are equal.
        """
        source, target = task.require_source("source_offset"), task.require_target("source_offset")
        kind = task.make_regressor()
        options = {
            "regressor": REGRESSORS.name_of(type(kind)),
            "options": asdict(kind.options),
            "target_domain": task.target_domain,
            **asdict(self.options),
        }
        fitted = SourceOffset(options, seed=task.seed)
        return fitted.fit_on_target(self.source_regressors.recall(task, source), target, task.usable_valid)
