"""A regressor that also sees which domain a row is from; at scoring time every row is the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.data.samples import Samples
from core.learners.tagged_rows import TaggedRows
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor, check_values, load_regressor, save_regressor


@dataclass(frozen=True, config=STRICT)
class DomainTaggedOptions:
    """regressor, options: what is wrapped. target_domain: tag of every scored row; empty: the row's own domain."""

    regressor: str = "ridge"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""


@REGRESSORS.register("domain_tagged")
class DomainTagged(TaggedRows, Regressor):
    """The wrapped regressor with the domain as a further category."""

    Options = DomainTaggedOptions
    save_inner = staticmethod(save_regressor)
    load_inner = staticmethod(load_regressor)

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit the wrapped regressor on the rows with their domain as a further category.

        Raises:
            BadParamsError: no labelled row, or all labels are equal.
        """
        labelled = check_values(train)
        inner = REGRESSORS[self.options.regressor](self.options.options, seed=self.seed)
        self.fit_tagged(inner, labelled, valid)
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) in units of the label."""
        return self.inner_.predict(self.tag_for_scoring(samples))

    def for_residuals(self) -> DomainTagged:
        """A fresh one whose wrapped regressor takes labels of either sign."""
        inner = REGRESSORS[self.options.regressor](self.options.options).for_residuals()
        options = {**asdict(self.options), "options": asdict(inner.options)}
        return type(self)(options, seed=self.seed)
