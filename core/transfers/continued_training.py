"""The source model trained on with the target's rows: more trees, or an L2 penalty centred at its coefficients."""

from __future__ import annotations

from core.errors import BadParamsError
from core.learners.base import LEARNERS, Learner
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source, usable_valid


@TRANSFERS.register("continued_training")
class ContinuedTraining(Transfer):
    """Works with learners that have `fit_prior` and `continue_on` (boosted_trees, logistic_regression)."""

    def __init__(self, source_fits: SourceFits | None = None) -> None:
        self.source_fits = source_fits or SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The source learner, continued on the labelled target rows.

        Raises:
            BadParamsError: the learner cannot continue, or a side has no labelled row or not two classes.
        """
        source = require_source(task, "continued_training")
        learner = task.make_learner()
        if not can_continue(learner):
            raise BadParamsError(
                f"Learner '{LEARNERS.name_of(type(learner))}' cannot be trained on from a source model.",
                repair="Choose boosted_trees or logistic_regression, or another transfer.",
            )
        prior = self.source_fits.recall(task, "prior", lambda: learner.fit_prior(source, task.target))
        return prior.continue_on(task.target.labelled(), usable_valid(task))


def can_continue(learner: Learner) -> bool:
    """Whether the learner can be trained on."""
    return hasattr(learner, "fit_prior") and hasattr(learner, "continue_on")
