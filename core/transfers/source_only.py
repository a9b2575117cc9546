"""The source model as it is: what the target gets for no label at all."""

from __future__ import annotations

from core.learners.base import Learner
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source


@TRANSFERS.register("source_only")
class SourceOnly(Transfer):
    """Target rows are not read, labelled or not."""

    needs_target_labels = False

    def __init__(self, source_fits: SourceFits | None = None) -> None:
        self.source_fits = source_fits or SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The learner fitted on all source rows together.

        Raises:
            BadParamsError: the source has no labelled row, or not two classes.
        """
        source = require_source(task, "source_only")
        return self.source_fits.recall(task, "all", lambda: task.make_learner().fit(source))
