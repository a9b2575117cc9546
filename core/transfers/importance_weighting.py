"""Source rows weighted by how much they look like the target: for a covariate shift, with or without target labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.data.samples import Samples, concatenate
from core.learners.base import Learner
from core.learners.inner_folds import inner_folds
from core.learners.logistic_regression import LogisticRegression
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import require_source

MIN_PRESENT_FRACTION = 0.05


@TRANSFERS.register("importance_weighting")
class ImportanceWeighting(Transfer):
    """Labelled target rows join with weight 1 each.

    flattening: exponent of the density ratio, between 0 (plain source rows) and 1 (unbiased, but noisy).
    max_ratio: larger ratios are clipped. After `fit`, `effective_num_rows_` tells how many equal rows the weighted
    source is worth, and `weights_` what each source row weighs.
    """

    needs_target_labels = False
    learns_unlabelled = True

    def __init__(self, *, flattening: float = 0.5, max_ratio: float = 10.0) -> None:
        self.flattening = flattening
        self.max_ratio = max_ratio
        self._estimated: tuple[Samples, object, np.ndarray] | None = None

    def fit(self, task: TransferTask) -> Learner:
        """The learner fitted on weighted source rows and the labelled target rows.

        Raises:
            BadParamsError: no labelled source row, or all rows are of one class.
        """
        source, target = require_source(task, "importance_weighting"), task.target.labelled()
        ratio = self._density_ratio(task, source)
        self.weights_ = source.weights * normalise_ratio(ratio, self.flattening, self.max_ratio)
        self.effective_num_rows_ = effective_num_rows(self.weights_)
        rows = concatenate([source.with_weights(self.weights_), target])
        return task.make_learner().fit(rows)

    def _density_ratio(self, task: TransferTask, source: Samples) -> np.ndarray:
        """The ratio, estimated once for the same source and target rows, whichever labels are masked."""
        if self._estimated is None or (
            self._estimated[0] is not task.source or self._estimated[1] is not task.target.inputs
        ):
            ratio = estimate_density_ratio(source, task.target, seed=task.seed)
            self._estimated = (task.source, task.target.inputs, ratio)
        return self._estimated[2]


def estimate_density_ratio(source: Samples, target: Samples, *, seed: int, num_folds: int = 5) -> np.ndarray:
    """(N_source,) p_target(x) / p_source(x), each row scored by a domain classifier that did not see it.

    ratio = (N_source / N_target) * P(target | x) / P(source | x). Columns that are (nearly) always missing on one side
    are not read: they would tell the domains apart and say nothing of the rows.

    Source: Sugiyama, Suzuki & Kanamori 2012, Density Ratio Estimation in Machine Learning, eq. 4.2.
    """
    names = [
        name
        for name in source.schema.names("number", "category")
        if min(s.inputs[name].notna().mean() for s in (source, target)) >= MIN_PRESENT_FRACTION
    ]
    if not names or len(target) < 2 or len(source) < 2:
        return np.ones(len(source))
    both = concatenate([_restrict(source, names), _restrict(target, names)])
    is_target = np.concatenate([np.zeros(len(source)), np.ones(len(target))])
    # one row can be a group of its own only, so that folds are plain
    both = replace(both, labels=is_target, weights=np.ones(len(both)), groups=np.arange(len(both)).astype(str))
    log_odds = np.zeros(len(both))
    for fit_rows, held_rows in inner_folds(both, num_folds, seed=seed):
        classifier = LogisticRegression({"numbers": "spline", "num_folds": 3}, seed=seed).fit(both.take(fit_rows))
        log_odds[held_rows] = classifier.predict_logits(both.take(held_rows))
    log_ratio = log_odds[: len(source)] + np.log(len(source) / len(target))
    return np.exp(np.clip(log_ratio, -30.0, 30.0))


def normalise_ratio(ratio: np.ndarray, flattening: float, max_ratio: float) -> np.ndarray:
    """(N,) min(ratio ** flattening, max_ratio), scaled to mean 1.

    Source: Shimodaira 2000, "Improving predictive inference under covariate shift by weighting the log-likelihood
    function", section 5 (the exponent); Sugiyama, Krauledat & Müller 2007, section 3.1.
    """
    clipped = np.minimum(np.asarray(ratio, dtype=float) ** flattening, max_ratio)
    return clipped / clipped.mean()


def effective_num_rows(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2.

    Source: Kish 1965, Survey Sampling, section 8.2.
    """
    return float(np.sum(weights) ** 2 / np.sum(np.square(weights)))


def _restrict(samples: Samples, names: list[str]) -> Samples:
    """The rows with only the named features."""
    others = [name for name in samples.schema.names() if name not in names]
    return samples.with_inputs(samples.inputs[names], samples.schema.without(others))
