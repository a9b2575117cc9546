"""A regressor that also sees which domain a row is from; at scoring time every row is the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import Feature
from core.learners.domain_tagged import TAG_COLUMN
from core.params import STRICT
from core.regression.regressor import REGRESSORS, Regressor, check_values, load_regressor, save_regressor


@dataclass(frozen=True, config=STRICT)
class DomainTaggedOptions:
    """regressor, options: what is wrapped. target_domain: tag of every scored row; empty: the row's own domain."""

    regressor: str = "ridge"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""


@REGRESSORS.register("domain_tagged")
class DomainTagged(Regressor):
    """Fitted state: `inner_` (the wrapped regressor) and `domains_` (the categories of the tag)."""

    Options = DomainTaggedOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit the wrapped regressor on the rows with their domain as a further category.

        Raises:
            BadParamsError: no labelled row, or all labels are equal.
        """
        labelled = check_values(train)
        self.domains_ = sorted(set(labelled.domains.astype(str)))
        inner = REGRESSORS[self.options.regressor](self.options.options, seed=self.seed)
        tagged_valid = None if valid is None else self._tag(valid, valid.domains.astype(str))
        self.inner_ = inner.fit(self._tag(labelled, labelled.domains.astype(str)), tagged_valid)
        return self

    def predict(self, samples: Samples) -> np.ndarray:
        """(N,) in units of the label."""
        return self.inner_.predict(self._tag_for_scoring(samples))

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) of the wrapped regressor, less the tag, which is no property of the row."""
        values = self.inner_.contributions(self._tag_for_scoring(samples))
        return values.drop(columns=TAG_COLUMN, errors="ignore")

    def for_residuals(self) -> DomainTagged:
        """A fresh one whose wrapped regressor takes labels of either sign."""
        inner = REGRESSORS[self.options.regressor](self.options.options).for_residuals()
        options = {**asdict(self.options), "options": asdict(inner.options)}
        return type(self)(options, seed=self.seed)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The learning curve of the wrapped regressor."""
        return getattr(self.inner_, "history_", None) or []

    def save_state(self, folder: Path) -> None:
        """Write domain_tagged.json and the wrapped regressor in inner/."""
        write_json(folder / "domain_tagged.json", {"domains": self.domains_})
        save_regressor(self.inner_, folder / "inner")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        self.domains_ = read_json(folder / "domain_tagged.json")["domains"]
        self.inner_ = load_regressor(folder / "inner")

    def _tag_for_scoring(self, samples: Samples) -> Samples:
        told = self.options.target_domain
        return self._tag(samples, np.full(len(samples), told) if told else samples.domains.astype(str))

    def _tag(self, samples: Samples, domains: np.ndarray) -> Samples:
        feature = Feature(TAG_COLUMN, "category", tuple(self.domains_), meaning="domain of the row")
        inputs = samples.inputs.assign(**{TAG_COLUMN: domains.astype(object)})
        return samples.with_inputs(inputs, samples.schema.with_features([feature]))
