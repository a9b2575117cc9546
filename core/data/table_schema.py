"""The features of a table as a learner sees them, fixed when it is fitted and saved beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Feature:
    """One feature column. categories: the values known, `order`ed or sorted.

    kind: number, category, text, or image, whose cells are `core.images.image.Image`.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    is_ordered: bool = False
    monotone: int = 0
    meaning: str = ""
    unit: str = ""
    is_protected: bool = False


@dataclass(frozen=True)
class TableSchema:
    """Features in order. Frames of this schema hold float64 numbers (NaN missing) and `object` texts (None missing)."""

    features: tuple[Feature, ...]

    def names(self, *kinds: str) -> list[str]:
        """Feature names of the given kinds, or all."""
        return [f.name for f in self.features if not kinds or f.kind in kinds]

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def without(self, names: Sequence[str]) -> TableSchema:
        """The schema less the named features."""
        return TableSchema(tuple(f for f in self.features if f.name not in set(names)))

    def with_features(self, features: Sequence[Feature]) -> TableSchema:
        """The schema with further features at its end."""
        return TableSchema(self.features + tuple(features))

    def with_categories_of(self, frame: pd.DataFrame) -> TableSchema:
        """Fill in the categories of unordered category features from training rows only."""
        filled = []
        for feature in self.features:
            if feature.kind == "category" and not feature.is_ordered:
                seen = sorted(frame[feature.name].dropna().astype(str).unique())
                feature = replace(feature, categories=tuple(seen))
            filled.append(feature)
        return TableSchema(tuple(filled))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"features": [asdict(feature) for feature in self.features]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TableSchema:
        """Inverse of `to_dict`."""
        return cls(tuple(Feature(**{**f, "categories": tuple(f["categories"])}) for f in values["features"]))
