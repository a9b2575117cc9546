"""Samples: what a learner is fitted on and scores, the same for tables, text and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

ROW_FIELDS = ("labels", "sample_ids", "domains", "weights", "groups", "label_probability", "kinds", "findings")


@dataclass(frozen=True)
class Samples:
    """N samples in one schema.

    inputs: a DataFrame of N rows (tables) or a dataset with `__len__` and `__getitem__`.
    labels: (N,) float, index into Vertical.classes; NaN = unlabelled or masked by the label budget.
    sample_ids: (N,) str, unique.   domains: (N,) str.   weights: (N,) float >= 0.
    schema: a TableSchema for tables; None where the inputs speak for themselves.
    groups: (N,) str, who or what a row belongs to; equal to sample_ids where no group is known.
    label_probability: (N,) float in 0..1, the positive class's share as the labellers graded it; NaN where they gave
    none or the label is masked. Left out: all NaN.
    kinds: (N,) str, the label's own word (`crack`, `good`); empty where the label is masked. Left out: all empty.
    findings: (N, K) float, 1 present, 0 absent, NaN unknown or masked, of the K `finding_names`. Left out: all NaN.
    """

    inputs: Any
    labels: np.ndarray
    sample_ids: np.ndarray
    domains: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    schema: Any = None
    label_probability: np.ndarray = field(default=None)
    kinds: np.ndarray = field(default=None)
    findings: np.ndarray = field(default=None)
    finding_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.label_probability is None:
            object.__setattr__(self, "label_probability", np.full(len(self.labels), np.nan))
        if self.kinds is None:
            object.__setattr__(self, "kinds", np.full(len(self.labels), "", dtype=object))
        if self.findings is None:
            object.__setattr__(self, "findings", np.full((len(self.labels), len(self.finding_names)), np.nan))
        for name in ROW_FIELDS:
            if len(getattr(self, name)) != len(self.inputs):
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, inputs {len(self.inputs)}")
        if self.findings.shape[1:] != (len(self.finding_names),):
            raise ValueError(f"findings are {self.findings.shape}, expected (N, {len(self.finding_names)}) as named")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_labelled(self) -> np.ndarray:
        """(N,) bool."""
        return ~np.isnan(self.labels)

    @property
    def num_labelled(self) -> int:
        """How many labels a method may see."""
        return int(self.is_labelled.sum())

    @property
    def targets(self) -> np.ndarray:
        """(N,) int class indices.

        Raises:
            ValueError: a label is missing; take `labelled()` first.
        """
        if not self.is_labelled.all():
            raise ValueError("some rows are unlabelled; use Samples.labelled() first")
        return self.labels.astype(int)

    @property
    def target_probability(self) -> np.ndarray:
        """(N,) of class 1: the graded probability where it is known, else the label as 0 or 1.

        Raises:
            ValueError: a label is missing.
        """
        return np.where(np.isnan(self.label_probability), self.targets, self.label_probability)

    def with_labels(self, labels: np.ndarray) -> Samples:
        """The same rows with other labels; where one is taken away, its grade, word and findings go with it."""
        is_gone = np.isnan(labels) | (labels != self.labels)
        return replace(
            self,
            labels=labels,
            label_probability=np.where(is_gone, np.nan, self.label_probability),
            kinds=np.where(is_gone, "", self.kinds),
            findings=np.where(is_gone[:, None], np.nan, self.findings),
        )

    def findings_of(self, names: Sequence[str]) -> np.ndarray:
        """(N, len(names)) findings by name, in that order; NaN for one that these rows do not have."""
        places = {name: place for place, name in enumerate(self.finding_names)}
        unknown = np.full(len(self), np.nan)
        columns = [self.findings[:, places[name]] if name in places else unknown for name in names]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0))

    def take(self, rows: np.ndarray | Sequence[int]) -> Samples:
        """The rows by position or by a Boolean mask, in the order given."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)
        if isinstance(self.inputs, pd.DataFrame):
            inputs = self.inputs.iloc[rows].reset_index(drop=True)
        elif hasattr(self.inputs, "take"):
            inputs = self.inputs.take(rows)
        else:
            inputs = [self.inputs[row] for row in rows]
        return replace(
            self,
            inputs=inputs,
            **{name: getattr(self, name)[rows] for name in ROW_FIELDS},
        )

    def labelled(self) -> Samples:
        """Only rows whose label may be seen."""
        return self.take(self.is_labelled)

    def of_domains(self, names: Sequence[str]) -> Samples:
        """Only rows of the named domains."""
        return self.take(np.isin(self.domains.astype(str), list(names)))

    def with_weights(self, weights: np.ndarray) -> Samples:
        """The same rows with other weights, (N,) >= 0."""
        return replace(self, weights=np.asarray(weights, dtype=float))

    def with_inputs(self, inputs: Any, schema: Any) -> Samples:
        """The same rows described by other inputs and their schema."""
        return replace(self, inputs=inputs, schema=schema)


def concatenate(parts: Sequence[Samples]) -> Samples:
    """Rows of tables in one schema, one part below the other; a finding that a part lacks is unknown there.

    Raises:
        ValueError: the schemas differ.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.schema != first.schema:
            raise ValueError("samples of different schemas cannot be concatenated")
    names = tuple(dict.fromkeys(name for part in parts for name in part.finding_names))
    parts = [replace(part, findings=part.findings_of(names), finding_names=names) for part in parts]
    return replace(
        first,
        inputs=pd.concat([part.inputs for part in parts], ignore_index=True),
        finding_names=names,
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ROW_FIELDS},
    )
