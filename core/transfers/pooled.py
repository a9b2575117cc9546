"""One model for all rows: source and target together, with the domain as a further category."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from core.data.samples import Samples, concatenate
from core.learners.base import LEARNERS, Learner
from core.learners.binary_table import logits_of
from core.learners.domain_tagged import DomainTagged
from core.learners.held_out_loss import mean_log_loss
from core.learners.inner_folds import inner_folds
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import require_source, target_domain_of, usable_valid

NUM_FOLDS = 3


@TRANSFERS.register("pooled")
class Pooled(Transfer):
    """How much a target row counts is chosen by held-out target labels, or told.

    The choices are 1, the square root of the ratio of source to target rows, and the ratio itself (both sides then
    weigh the same in total). Where too few labels can be held out, the square root is taken.
    """

    def __init__(self, *, target_multiplier: float | None = None) -> None:
        self.target_multiplier = target_multiplier

    def fit(self, task: TransferTask) -> Learner:
        """The learner fitted on all labelled rows, which scores every row as one of the target.

        Raises:
            BadParamsError: no labelled source row, or all rows are of one class.
        """
        source, target = require_source(task, "pooled"), task.target.labelled()
        multiplier = self.target_multiplier
        if multiplier is None:
            multiplier = self.choose_multiplier(task)
        return self._fit_pool(task, source, target, multiplier)

    def choose_multiplier(self, task: TransferTask) -> float:
        """The weight of a target row with the least held-out log loss on target labels."""
        source, target = require_source(task, "pooled"), task.target.labelled()
        ratio = float(source.weights.sum()) / max(float(target.weights.sum()), 1.0)
        if ratio <= 1.0:
            return 1.0
        folds = inner_folds(target, NUM_FOLDS, seed=task.seed) if len(target) else []
        if len(folds) < NUM_FOLDS:
            return float(np.sqrt(ratio))
        choices = [1.0, float(np.sqrt(ratio)), ratio]
        losses = np.zeros(len(choices))
        without_valid = replace(task, valid=None)
        for fit_rows, held_rows in folds:
            held = target.take(held_rows)
            for position, choice in enumerate(choices):
                fitted = self._fit_pool(without_valid, source, target.take(fit_rows), choice)
                losses[position] += mean_log_loss(logits_of(fitted, held), held.targets, held.weights)
        return choices[int(np.argmin(losses))]

    def _fit_pool(self, task: TransferTask, source: Samples, target: Samples, multiplier: float) -> Learner:
        kind = task.make_learner()
        tagged = DomainTagged(
            {
                "learner": LEARNERS.name_of(type(kind)),
                "options": asdict(kind.options),
                "target_domain": target_domain_of(task),
            },
            seed=task.seed,
        )
        rows = concatenate([source, target.with_weights(target.weights * multiplier)])
        return tagged.fit(rows, usable_valid(task))
