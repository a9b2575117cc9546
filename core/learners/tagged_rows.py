"""What a learner of classes and a regressor share when they also see which domain a row is from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import Feature

TAG_COLUMN = "_domain"


class TaggedRows:
    """Fitted state: `inner_` (what is wrapped) and `domains_` (the categories of the tag).

    options.target_domain: the tag of every scored row; empty: the row's own domain.
    """

    save_inner: ClassVar[Callable[[Any, Path], None]]
    load_inner: ClassVar[Callable[[Path], Any]]
    options: Any
    inner_: Any
    domains_: list[str]

    def fit_tagged(self, inner: Any, labelled: Samples, valid: Samples | None) -> None:
        """Fit `inner` on the rows with their domain as a further category."""
        self.domains_ = sorted(set(labelled.domains.astype(str)))
        tagged_valid = None if valid is None else self._tag(valid, valid.domains.astype(str))
        self.inner_ = inner.fit(self._tag(labelled, labelled.domains.astype(str)), tagged_valid)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) of what is wrapped, less the tag, which is no property of the row."""
        values = self.inner_.contributions(self.tag_for_scoring(samples))
        return values.drop(columns=TAG_COLUMN, errors="ignore")

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The learning curve of what is wrapped."""
        return getattr(self.inner_, "history_", None) or []

    def save_state(self, folder: Path) -> None:
        """Write domain_tagged.json, and what is wrapped in inner/."""
        write_json(folder / "domain_tagged.json", {"domains": self.domains_})
        type(self).save_inner(self.inner_, folder / "inner")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        self.domains_ = read_json(folder / "domain_tagged.json")["domains"]
        self.inner_ = type(self).load_inner(folder / "inner")

    def tag_for_scoring(self, samples: Samples) -> Samples:
        """The rows as the target's."""
        told = self.options.target_domain
        return self._tag(samples, np.full(len(samples), told) if told else samples.domains.astype(str))

    def _tag(self, samples: Samples, domains: np.ndarray) -> Samples:
        feature = Feature(TAG_COLUMN, "category", tuple(self.domains_), meaning="domain of the row")
        inputs = samples.inputs.assign(**{TAG_COLUMN: domains.astype(object)})
        return samples.with_inputs(inputs, samples.schema.with_features([feature]))
