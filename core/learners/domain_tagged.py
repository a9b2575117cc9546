"""A learner that also sees which domain a row is from; at scoring time every row is the target's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples
from core.learners.base import LEARNERS, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary, logits_of
from core.learners.tagged_rows import TaggedRows
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class DomainTaggedOptions:
    """learner, options: what is wrapped. target_domain: the tag of every scored row; empty: the row's own domain."""

    learner: str = "logistic_regression"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""


@LEARNERS.register("domain_tagged")
class DomainTagged(TaggedRows, BinaryTableLearner):
    """The wrapped learner with the domain as a further category."""

    Options = DomainTaggedOptions
    save_inner = staticmethod(save_learner)
    load_inner = staticmethod(load_learner)

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit the wrapped learner on the rows with their domain as a further category.

        Raises:
            BadParamsError: no labelled row, or not two classes.
        """
        labelled = check_binary(train)
        inner = LEARNERS[self.options.learner](self.options.options, seed=self.seed)
        self.fit_tagged(inner, labelled, valid)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        return logits_of(self.inner_, self.tag_for_scoring(samples))
