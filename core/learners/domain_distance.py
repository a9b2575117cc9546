"""How far a row is from the nearest of several domains: Mahalanobis with one covariance for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.learners.gaussian_distance import fit_gaussian, mahalanobis

MAX_COMPONENTS = 64
ROWS_A_COMPONENT = 5
SHRINKAGE = 0.1
PREFIX = "distance_"


@dataclass(frozen=True)
class DomainDistance:
    """means, scales: (P,) of the rows. components: (K, P) main directions. centres: (D, K + 1) of the domains.
    weight: (K + 1, K + 1), so that |(x - centre) @ weight| is the distance; the last column is the log of what the
    components miss of a row.
    """

    means: np.ndarray
    scales: np.ndarray
    components: np.ndarray
    centres: np.ndarray
    weight: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, domains: np.ndarray) -> Self:
        """From rows (N, P) and the name of each row's domain (N,).

        Source: Lee, Lee, Lee & Shin 2018, equations 1 and 2 (class means, tied covariance), with domains as classes,
        on principal components.
        """
        means, scales = rows.mean(axis=0), rows.std(axis=0)
        scales = np.where(scales > 1e-9, scales, 1.0)
        standard = (rows - means) / scales
        num = min(MAX_COMPONENTS, max(1, len(rows) // ROWS_A_COMPONENT), rows.shape[1])
        components = np.linalg.svd(standard, full_matrices=False)[2][:num]
        places = _places(standard, components)
        names, member = np.unique(domains, return_inverse=True)
        centres = np.stack([places[member == k].mean(axis=0) for k in range(len(names))])
        _, weight = fit_gaussian(places - centres[member], SHRINKAGE)
        return cls(means, scales, components, centres.astype(np.float32), weight)

    def measure(self, rows: np.ndarray) -> np.ndarray:
        """(N,) distance to the nearest domain of rows (N, P)."""
        places = _places((rows - self.means) / self.scales, self.components)
        return np.min([mahalanobis(places, centre, self.weight) for centre in self.centres], axis=0).astype(float)

    def arrays(self) -> dict[str, np.ndarray]:
        """To save."""
        return {f"{PREFIX}{name}": values for name, values in vars(self).items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        return cls(*(arrays[f"{PREFIX}{name}"] for name in cls.__dataclass_fields__))


def _places(standard: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(N, K + 1) main components, and the log length of the rest."""
    main = standard @ components.T
    missed = np.linalg.norm(standard - main @ components, axis=1)
    return np.column_stack([main, np.log(missed + 1e-6 + 1e-3 * np.sqrt(standard.shape[1]))])
