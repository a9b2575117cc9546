"""No transfer: the target's labels alone. The baseline that every transfer has to beat."""

from __future__ import annotations

from core.learners.base import Learner
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import usable_valid


@TRANSFERS.register("target_only")
class TargetOnly(Transfer):
    """The source is not read."""

    needs_source = False

    def fit(self, task: TransferTask) -> Learner:
        """The learner fitted on the labelled target rows.

        Raises:
            BadParamsError: the target has no labelled row, or not two classes.
        """
        return task.make_learner().fit(task.target.labelled(), usable_valid(task))
