"""Source rows weighted by how much they look like the target: for a covariate shift, with or without target labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples, concatenate
from core.params import STRICT
from core.regression.regressor import Regressor
from core.regression.transfer import REGRESSION_TRANSFERS, RegressionTask, RegressionTransfer
from core.transfers.importance_weighting import effective_num_rows, estimate_density_ratio, normalise_ratio


@dataclass(frozen=True, config=STRICT)
class ImportanceWeightingOptions:
    """flattening: exponent of the density ratio, between 0 (plain source rows) and 1 (unbiased, but noisy).

    max_ratio: larger ratios are clipped.
    """

    flattening: float = Field(default=0.5, ge=0, le=1)
    max_ratio: float = Field(default=10.0, gt=0)


@REGRESSION_TRANSFERS.register("importance_weighting")
class ImportanceWeighting(RegressionTransfer):
    """Labelled target rows join with the weights that they have; those of the source keep their mean weight.

    After `fit`, `effective_num_rows_` tells how many equal rows the weighted source is worth, and `weights_` what each
    source row weighs.
    """

    Options = ImportanceWeightingOptions
    needs_target_labels = False
    learns_unlabelled = True

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self._estimated: tuple[Samples, object, np.ndarray] | None = None

    def fit(self, task: RegressionTask) -> Regressor:
        """The regressor fitted on weighted source rows and the labelled target rows.

        Raises:
            BadParamsError: no labelled source row, or all labels are equal.
        """
        source = task.require_source("importance_weighting")
        ratio = self._density_ratio(task, source)
        self.weights_ = source.weights * normalise_ratio(ratio, self.options.flattening, self.options.max_ratio)
        self.effective_num_rows_ = effective_num_rows(self.weights_)
        rows = concatenate([source.with_weights(self.weights_), task.labelled_target])
        return task.make_regressor().fit(rows)

    def _density_ratio(self, task: RegressionTask, source: Samples) -> np.ndarray:
        """The ratio, estimated once for the same source and target rows, whichever labels are masked."""
        if self._estimated is None or (
            self._estimated[0] is not task.source or self._estimated[1] is not task.target.inputs
        ):
            ratio = estimate_density_ratio(source, task.target, seed=task.seed)
            self._estimated = (task.source, task.target.inputs, ratio)
        return self._estimated[2]
