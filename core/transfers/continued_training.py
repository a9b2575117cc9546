"""The source model trained on with the target's rows: more trees, or an L2 penalty centred at its coefficients."""

from __future__ import annotations

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.base import LEARNERS, Learner
from core.learners.blend import Blend
from core.learners.logistic_regression import LogisticRegression
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source, usable_valid


@TRANSFERS.register("continued_training")
class ContinuedTraining(Transfer):
    """Works with learners that have `fit_prior` and `continue_on` (boosted_trees, logistic_regression).

    Of a blend of fixed equal weights, the logistic parts continue and the others are fitted on the target alone: few
    labels can move a coefficient back, but not take back the source's trees.
    """

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
                repair="Choose boosted_trees, logistic_regression, image_probe, image_classifier, or another transfer.",
            )
        if isinstance(learner, Blend):
            return self._continue_blend(task, source, learner)
        prior = self.source_fits.recall(task, "prior", lambda: learner.fit_prior(source, task.target))
        return prior.continue_on(task.target.labelled(), usable_valid(task))

    def _continue_blend(self, task: TransferTask, source: Samples, blend: Blend) -> Blend:
        """The blend of its parts, each continued or fitted on the target."""
        target, fitted = task.target.labelled(), []
        for position, part in enumerate(_parts_of(blend)):
            if isinstance(part, LogisticRegression):
                prior = self.source_fits.recall(
                    task, f"prior of part {position}", lambda part=part: part.fit_prior(source, task.target)
                )
                fitted.append(prior.continue_on(target))
            else:
                fitted.append(part.fit(target))
        return Blend.of_fitted(fitted, np.full(len(fitted), 1.0 / len(fitted)), seed=blend.seed)


def can_continue(learner: Learner) -> bool:
    """Whether the learner can be trained on; a blend with a logistic part can where nothing is fitted between parts."""
    if isinstance(learner, Blend):
        options = learner.options
        is_fixed = options.use_equal_weights and not options.use_part_maps and not options.prior_weights
        return is_fixed and any(isinstance(part, LogisticRegression) for part in _parts_of(learner))
    return hasattr(learner, "fit_prior") and hasattr(learner, "continue_on")


def _parts_of(blend: Blend) -> list[Learner]:
    """Its parts, unfitted."""
    return [LEARNERS[part.learner](part.options, seed=blend.seed) for part in blend.options.parts]
