"""One model for all rows: source and target together, with the domain as a further category."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples, concatenate
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor
from core.regression.regressors.domain_tagged import DomainTagged
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer
from core.regression.value_folds import value_folds

NUM_FOLDS = 3


@dataclass(frozen=True, config=STRICT)
class PooledOptions:
    """target_multiplier: weight of a target row, the source's weigh 1; none: chosen by held-out target labels."""

    target_multiplier: float | None = Field(default=None, gt=0)


@REGRESSION_TRANSFERS.register("pooled")
class Pooled(RegressionTransfer):
    """How much a target row counts is chosen by held-out target labels, or told.

    The choices are 1, the square root of the ratio of source to target rows, and the ratio itself (both sides then
    weigh the same in total). Where too few labels can be held out, the square root is taken.
    """

    Options = PooledOptions

    def fit(self, task: RegressionTask) -> Regressor:
        """The regressor fitted on all labelled rows, which scores every row as one of the target.

        Raises:
            BadParamsError: no labelled source row or no labelled target row.
        """
        source, target = task.require_source("pooled"), task.require_target("pooled")
        return self._fit_pool(task, source, target, self.options.target_multiplier or self.choose_multiplier(task))

    def choose_multiplier(self, task: RegressionTask) -> float:
        """The weight of a target row with the least held-out squared error on target labels.

        Raises:
            BadParamsError: no labelled source row or no labelled target row.
        """
        source, target = task.require_source("pooled"), task.require_target("pooled")
        ratio = float(source.weights.sum() / target.weights.sum())
        if ratio <= 1.0:
            return 1.0
        folds = value_folds(target, NUM_FOLDS, seed=task.seed)
        if len(folds) < NUM_FOLDS:
            return float(np.sqrt(ratio))
        choices = [1.0, float(np.sqrt(ratio)), ratio]
        errors = np.zeros(len(choices))
        without_valid = replace(task, valid=None)
        for fit_rows, held_rows in folds:
            held = target.take(held_rows)
            for position, choice in enumerate(choices):
                fitted = self._fit_pool(without_valid, source, target.take(fit_rows), choice)
                errors[position] += held.weights @ np.square(held.labels - fitted.predict(held))
        return choices[int(np.argmin(errors))]

    def _fit_pool(self, task: RegressionTask, source: Samples, target: Samples, multiplier: float) -> Regressor:
        kind = task.make_regressor()
        options = {
            "regressor": REGRESSORS.name_of(type(kind)),
            "options": asdict(kind.options),
            "target_domain": task.target_domain,
        }
        rows = concatenate([source, target.with_weights(target.weights * multiplier)])
        return DomainTagged(options, seed=task.seed).fit(rows, task.usable_valid)
