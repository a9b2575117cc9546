"""The source model as it is: what the target gets for no label at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.regression.regressor import Regressor
from core.regression.source_regressors import SourceRegressors
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer


@REGRESSION_TRANSFERS.register("source_only")
class SourceOnly(RegressionTransfer):
    """Target rows are not read, labelled or not; predictions are in the source's unit."""

    needs_target_labels = False

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self.source_regressors = SourceRegressors()

    def fit(self, task: RegressionTask) -> Regressor:
        """The regressor fitted on all source rows together.

        Raises:
            BadParamsError: the source has no labelled row, or all its labels are equal.
        """
        return self.source_regressors.recall(task, task.require_source("source_only"))
