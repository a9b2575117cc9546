"""A Gaussian of good cells, at each position or for all: the Mahalanobis distance is the anomaly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.learners.base import LEARNERS
from core.learners.gaussian_distance import fit_gaussian, mahalanobis
from core.learners.local_feature_learner import LocalFeatureLearner
from core.learners.local_features import LocalFeatureOptions
from core.learners.one_class import OneClassOptions
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class GaussianFeaturesOptions(OneClassOptions, LocalFeatureOptions):
    """position: `each` cell has a Gaussian of its own, for parts that always lie alike; `shared`: one for all cells.

    num_channels: drawn at random before anything is fitted; None keeps all. shrinkage: share of the diagonal in the
    covariance; `each` has as many rows as there are good pictures and needs more of it.
    """

    scaling: Literal["none", "standardise", "whiten"] = "standardise"
    position: Literal["each", "shared"] = "shared"
    num_channels: int | None = Field(default=None, ge=1)
    shrinkage: float = Field(default=0.1, ge=0.0, le=1.0)


@LEARNERS.register("gaussian_features")
class GaussianFeatures(LocalFeatureLearner):
    """Source: Defard et al. 2021, "PaDiM: a patch distribution modeling framework", sections III-B and III-C."""

    Options = GaussianFeaturesOptions

    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        parts = self._fit_scaling(described)
        parts["channels"] = self._drawn_channels(self._scaled(described[:1], parts).shape[-1])
        cells = self._scaled(described, parts)[:, 0][..., parts["channels"]]
        if self.options.position == "shared":
            fitted = [fit_gaussian(cells.reshape(-1, cells.shape[-1]), self.options.shrinkage)]
        else:
            by_cell = cells.reshape(len(cells), -1, cells.shape[-1])
            fitted = [fit_gaussian(by_cell[:, cell], self.options.shrinkage) for cell in range(by_cell.shape[1])]
        parts["mean"] = np.stack([mean for mean, _ in fitted])
        parts["weight"] = np.stack([weight for _, weight in fitted])
        return parts

    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        cells = self._scaled(described[:, :1], parts)[:, 0][..., parts["channels"]]
        flat = cells.reshape(len(cells), -1, cells.shape[-1])
        if len(parts["mean"]) == 1:
            found = mahalanobis(flat.reshape(-1, flat.shape[-1]), parts["mean"][0], parts["weight"][0])
        else:
            told = zip(parts["mean"], parts["weight"], strict=True)
            found = np.stack([mahalanobis(flat[:, cell], *gaussian) for cell, gaussian in enumerate(told)], axis=1)
        return found.reshape(cells.shape[:-1])

    def _drawn_channels(self, num_channels: int) -> np.ndarray:
        """(K,) positions of the channels that are read."""
        kept = min(self.options.num_channels or num_channels, num_channels)
        return np.sort(np.random.default_rng(self.seed).permutation(num_channels)[:kept])
