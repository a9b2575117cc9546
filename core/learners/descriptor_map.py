"""Descriptors brought to one scale, and their Gaussian kernel: the space in which a head is linear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy.linalg import cholesky, solve_triangular

JITTER = 1e-6  # on the kernel's diagonal, so that equal pictures leave it invertible
MAX_DISTANCE_ROWS = 1000  # the median distance is of so many rows


@dataclass
class DescriptorMap:
    """Standardised, perhaps whitened or of length one, perhaps compared with landmarks.

    arrays: centre, scale: (P,); rotation: (P, K), where whitened; landmarks: (M, K), where there is a kernel.
    min_group_rows: a group of at least so many rows is standardised by its own mean and deviation; 0: none is.
    """

    arrays: dict[str, np.ndarray]
    min_group_rows: int = 0
    has_unit_length: bool = False
    gamma: float = 0.0
    _factor: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def fit(
        cls,
        descriptors: np.ndarray,
        groups: np.ndarray,
        *,
        num_components: int | None = None,
        min_group_rows: int = 0,
        has_unit_length: bool = False,
    ) -> Self:
        """Scale (and components) from rows whose labels are not read.

        Shape: descriptors (N, P); groups (N,). num_components: whiten to at most so many principal components.
        """
        centre, scale = descriptors.mean(axis=0, dtype=float), descriptors.std(axis=0, dtype=float)
        arrays = {"centre": centre, "scale": np.where(scale > 1e-12, scale, 1.0)}
        made = cls(arrays, min_group_rows, has_unit_length)
        if num_components is not None:
            standard = made.place(descriptors, groups)
            _, sizes, components = np.linalg.svd(standard - standard.mean(axis=0), full_matrices=False)
            kept = min(num_components, int(np.sum(sizes > 1e-6 * max(sizes[0], 1e-12))) or 1)
            deviations = np.maximum(sizes[:kept], 1e-12) / np.sqrt(len(standard))
            arrays["rotation"] = np.ascontiguousarray(components[:kept].T / deviations)
        return made

    def place(self, descriptors: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """(N, K) places of rows before the kernel."""
        standard = (descriptors - self.arrays["centre"]) / self.arrays["scale"]
        if self.min_group_rows:
            names, member = np.unique(np.asarray(groups).astype(str), return_inverse=True)
            for group in np.flatnonzero(np.bincount(member, minlength=len(names)) >= self.min_group_rows):
                rows = member == group
                deviation = standard[rows].std(axis=0)
                standard[rows] -= standard[rows].mean(axis=0)
                standard[rows] /= np.where(deviation > 1e-6, deviation, 1.0)
        if "rotation" in self.arrays:
            standard = standard @ self.arrays["rotation"]
        if self.has_unit_length:
            standard = standard / np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-12)
        return standard

    def add_kernel(self, places: np.ndarray, *, width: float, max_landmarks: int, seed: int) -> None:
        """From now on rows are compared with landmarks by exp(-gamma |x - y|^2), gamma = width / median |x - y|^2.

        All rows are landmarks up to `max_landmarks`: the kernel machine is then exact.

        Source: Williams & Seeger 2001, "Using the Nystroem method to speed up kernel machines", section 2.
        """
        random = np.random.default_rng(seed)
        rows = np.arange(len(places))
        if len(rows) > max_landmarks:
            rows = np.sort(random.choice(rows, max_landmarks, replace=False))
        self.arrays["landmarks"] = np.ascontiguousarray(places[rows])
        few = places if len(places) <= MAX_DISTANCE_ROWS else random.permutation(places)[:MAX_DISTANCE_ROWS]
        distances = squared_distances(few, few)[np.triu_indices(len(few), 1)]
        median = float(np.median(distances)) if len(distances) else 0.0
        self.gamma = width / median if median > 0 else width
        self._factor = None

    def base(self, places: np.ndarray) -> np.ndarray:
        """(N, M) kernel with the landmarks, or the places themselves where there is no kernel."""
        if "landmarks" not in self.arrays:
            return places
        return np.exp(-self.gamma * squared_distances(places, self.arrays["landmarks"]))

    def design(self, places: np.ndarray) -> np.ndarray:
        """(N, M) columns whose inner products are the kernel: base L^-T, where L L^T is the landmarks' kernel."""
        base = self.base(places)
        return base if self._lower is None else solve_triangular(self._lower, base.T, lower=True).T

    def to_base(self, coefficients: np.ndarray) -> np.ndarray:
        """(1 + M,) coefficients of `base` that give the same logits as those of `design`."""
        if self._lower is None:
            return coefficients
        return np.r_[coefficients[0], solve_triangular(self._lower, coefficients[1:], lower=True, trans="T")]

    def to_design(self, coefficients: np.ndarray) -> np.ndarray:
        """Inverse of `to_base`."""
        return coefficients if self._lower is None else np.r_[coefficients[0], self._lower.T @ coefficients[1:]]

    def slopes(self, descriptors: np.ndarray, groups: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """(N, P) derivative of the logit by each descriptor, `coefficients` those of `base`; scales count as constants.

        Of a row that its group standardises, the training scale stands for the group's.
        """
        places = self.place(descriptors, groups)
        if "landmarks" in self.arrays:
            shares = self.base(places) * coefficients[1:]
            slopes = (
                -2.0 * self.gamma * (shares.sum(axis=1, keepdims=True) * places - shares @ self.arrays["landmarks"])
            )
        else:
            slopes = np.repeat(coefficients[None, 1:], len(places), axis=0)
        if "rotation" in self.arrays:
            slopes = slopes @ self.arrays["rotation"].T
        return slopes / self.arrays["scale"]

    @property
    def _lower(self) -> np.ndarray | None:
        """(M, M) factor L; computed when it is first needed, None without a kernel."""
        if self._factor is None and "landmarks" in self.arrays:
            kernel = self.base(self.arrays["landmarks"])
            self._factor = cholesky(kernel + JITTER * np.eye(len(kernel)), lower=True)
        return self._factor


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(N, M) |x - y|^2 of the rows (N, K) and (M, K), never below zero."""
    squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2.0 * (left @ right.T)
    return np.maximum(squares, 0.0)
