"""The source's knowledge joined with what is unusual among the target's own pictures; target labels are optional."""

from __future__ import annotations

from dataclasses import asdict

from core.learners.aligned import require_descriptors
from core.learners.anomaly_guided import AnomalyGuided
from core.learners.base import LEARNERS, Learner
from core.learners.binary_table import check_binary
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source, target_domain_of


@TRANSFERS.register("anomaly_guided")
class AnomalyGuidedTransfer(Transfer):
    """Learners with descriptors only. Fits a target most of whose rows are of the usual, negative kind."""

    needs_target_labels = False
    learns_unlabelled = True

    def __init__(self, source_fits: SourceFits | None = None) -> None:
        self.source_fits = source_fits or SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The fitted learner; target labels are read through `Samples.labelled()` alone.

        Raises:
            BadParamsError: no labelled source row of two classes, or a learner without descriptors.
        """
        source = check_binary(require_source(task, "anomaly_guided"))
        kind = task.make_learner()
        require_descriptors(kind)
        describer = self.source_fits.recall(task, "all", lambda: kind.fit(task.source.labelled()))
        learner = AnomalyGuided(
            {
                "learner": LEARNERS.name_of(type(describer)),
                "options": asdict(describer.options),
                "target_domain": target_domain_of(task),
            },
            seed=task.seed,
        )
        return learner.fit_with(describer, source, task.target)
