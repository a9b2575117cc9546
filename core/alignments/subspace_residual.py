"""How unlike the bulk of its own domain a row is: its distance from the subspace that most rows lie near."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

CLIP = 4.0
SPREAD_FLOOR = 0.2  # of the plain deviation, added to the robust one


@dataclass(frozen=True)
class SubspaceResidual:
    """centre, scale: (P,) robust place and spread; mean: (P,), components: (K, P) of the rows kept, in their units."""

    centre: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(
        cls, features: np.ndarray, *, num_components: int = 40, kept_fraction: float = 0.75, num_rounds: int = 3
    ) -> Self:
        """Fitted on unlabelled rows (N, P), of which most are assumed to be of the usual kind.

        Each round keeps the fraction of rows nearest to the subspace, so that the unusual ones do not shape it.

        Source: Jackson & Mudholkar 1979, "Control procedures for residuals associated with principal component
        analysis", equation 2.1 (Q statistic), with trimming as in Hubert, Rousseeuw & Vanden Branden 2005, section 2.
        """
        low, centre, high = np.percentile(features, [16, 50, 84], axis=0)
        scale = (high - low) / 2 + SPREAD_FLOOR * features.std(axis=0) + 1e-6
        places = np.clip((features - centre) / scale, -CLIP, CLIP)
        kept = np.arange(len(places))
        for _ in range(num_rounds):
            mean = places[kept].mean(axis=0)
            components = np.linalg.svd(places[kept] - mean, full_matrices=False)[2][:num_components]
            fitted = cls(centre, scale, mean, components)
            kept = np.argsort(fitted._distances(places), kind="stable")[: max(2, int(kept_fraction * len(places)))]
        return fitted

    def distances(self, features: np.ndarray) -> np.ndarray:
        """(N,) distances of rows (N, P) from the subspace, larger = more unusual."""
        return self._distances(np.clip((features - self.centre) / self.scale, -CLIP, CLIP))

    def _distances(self, places: np.ndarray) -> np.ndarray:
        apart = places - self.mean
        inside = apart @ self.components.T
        return np.sqrt(np.maximum((apart**2).sum(axis=1) - (inside**2).sum(axis=1), 0.0))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted state by name."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in ("centre", "scale", "mean", "components")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `to_arrays`."""
        return cls(*(arrays[name] for name in ("centre", "scale", "mean", "components")))


def rank_logits(reference: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) log-odds of the rank of each score among the sorted reference (M,).

    ln(r / (1 - r)), r = (k + 0.5) / (M + 1), k the reference scores below it, r kept within 0.002 and 0.998.
    """
    rank = (np.searchsorted(reference, scores) + 0.5) / (len(reference) + 1)
    rank = np.clip(rank, 0.002, 0.998)
    return np.log(rank / (1 - rank))
