"""No transfer: the target's labels alone. The baseline that every transfer has to beat."""

from __future__ import annotations

from core.regression.regressor import Regressor
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer


@REGRESSION_TRANSFERS.register("target_only")
class TargetOnly(RegressionTransfer):
    """The source is not read."""

    needs_source = False

    def fit(self, task: RegressionTask) -> Regressor:
        """The regressor fitted on the labelled target rows.

        Raises:
            BadParamsError: the target has no labelled row, or all its labels are equal.
        """
        return task.make_regressor().fit(task.labelled_target, task.usable_valid)
