"""Closed-form alignments of cached features: fitted on two feature matrices, no labels, no training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from sklearn.utils.extmath import randomized_svd

from core.errors import BadInputError, BadParamsError, did_you_mean

SD_FLOOR_FRACTION = 0.05  # of both domains' sd: a feature all but constant in one domain is not blown up
LARGE_SIDE = 600  # from here on, axes are found by random projections (fixed draw) instead of exactly


class FeatureMap(ABC):
    """A map of each domain's (N, D) features into one space. Fitted arrays are named in `array_names`."""

    array_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Learn from (N, D) source and (M, D) target features."""

    @abstractmethod
    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of source rows."""

    @abstractmethod
    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, K) of target rows."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted state by name."""
        return {name: np.ascontiguousarray(getattr(self, f"{name}_")) for name in self.array_names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `to_arrays`."""
        fitted = cls()
        for name in cls.array_names:
            setattr(fitted, f"{name}_", arrays[name])
        return fitted


class StandardiseMap(FeatureMap):
    """Each domain in units of its own mean and standard deviation: AdaBN on cached features.

    Source: Li et al. 2017, "Revisiting batch normalization for practical domain adaptation", algorithm 1.
    """

    array_names = ("source_mean", "source_sd", "target_mean", "target_sd")

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Means and standard deviations (divisor N) of both."""
        both_sd = np.concatenate([source, target]).std(axis=0, dtype=float)
        self.source_mean_, self.source_sd_ = _mean_and_sd(source, both_sd)
        self.target_mean_, self.target_sd_ = _mean_and_sd(target, both_sd)
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, D) in the source's units."""
        return (features - self.source_mean_) / self.source_sd_

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, D) in the target's units."""
        return (features - self.target_mean_) / self.target_sd_


class CommonUnits(FeatureMap):
    """Both domains in units of the mean and standard deviation of all rows: no alignment, only equal scales."""

    array_names = ("mean", "sd")

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Mean and standard deviation of all rows."""
        rows = np.concatenate([source, target])
        self.mean_, self.sd_ = _mean_and_sd(rows, rows.std(axis=0, dtype=float))
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, D) in common units."""
        return (features - self.mean_) / self.sd_

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, D) in common units."""
        return self.map_source(features)


class CoralMap(FeatureMap):
    """Source rows are whitened and recoloured with the target's covariance; both domains are centred on their own mean.

    source -> (x - mean_S) (C_S + r I)^(-1/2) (C_T + r I)^(1/2), with r = ridge; the paper has r = 1 for features of
    unit variance, hence here `ridge` times the mean variance of the two domains.

    Source: Sun, Feng & Saenko 2016, "Return of frustratingly easy domain adaptation", algorithm 1.
    """

    array_names = ("source_mean", "target_mean", "recolouring")

    def __init__(self, *, ridge: float = 1.0) -> None:
        self.ridge = ridge

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Means, and the (D, D) recolouring."""
        self.source_mean_, self.target_mean_ = source.mean(axis=0, dtype=float), target.mean(axis=0, dtype=float)
        of_source, of_target = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (source, target))
        ridge = self.ridge * 0.5 * (np.trace(of_source) + np.trace(of_target)) / len(of_source)
        added = max(ridge, np.finfo(float).tiny) * np.eye(len(of_source))
        self.recolouring_ = symmetric_power(of_source + added, -0.5) @ symmetric_power(of_target + added, 0.5)
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, D) with the target's covariance."""
        return (features - self.source_mean_) @ self.recolouring_

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, D) centred."""
        return features - self.target_mean_


class SubspaceAlignment(FeatureMap):
    """The source's principal subspace turned onto the target's: source -> z X_S X_S^T X_T, target -> z X_T.

    z is each domain in its own standard units; X the first `num_components` principal axes.

    Source: Fernando et al. 2013, "Unsupervised visual domain adaptation using subspace alignment", section 3.
    """

    array_names = ("source_mean", "source_sd", "target_mean", "target_sd", "source_axes", "target_axes")

    def __init__(self, *, num_components: int = 64) -> None:
        self.num_components = num_components

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Units and axes; as many axes as the smaller domain has rows less one, at most."""
        units = StandardiseMap().fit(source, target)
        vars(self).update({f"{name}_": array for name, array in units.to_arrays().items()})
        num_axes = min(self.num_components, source.shape[1], len(source) - 1, len(target) - 1)
        self.target_axes_ = principal_axes(units.map_target(target), num_axes)
        own_axes = principal_axes(units.map_source(source), num_axes)
        self.source_axes_ = own_axes @ (own_axes.T @ self.target_axes_)
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, K) on the aligned axes."""
        return ((features - self.source_mean_) / self.source_sd_) @ self.source_axes_

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, K) on the target's own axes."""
        return ((features - self.target_mean_) / self.target_sd_) @ self.target_axes_


class DropShifted(FeatureMap):
    """Only the features whose two-sample Kolmogorov-Smirnov statistic between the domains is smallest.

    keep_fraction: share of the features kept, at least one. The statistic is 0 (alike) to 1.
    """

    array_names = ("kept",)

    def __init__(self, *, keep_fraction: float = 0.5) -> None:
        self.keep_fraction = keep_fraction

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Positions of the kept features, in their order."""
        statistics = kolmogorov_smirnov(source, target)
        num_kept = max(1, int(np.ceil(self.keep_fraction * len(statistics))))
        self.kept_ = np.sort(np.argsort(statistics, kind="stable")[:num_kept])
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, K) the kept features."""
        return features[:, self.kept_]

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, K) the kept features."""
        return features[:, self.kept_]


class PrincipalComponents(FeatureMap):
    """Both domains on the principal axes of the two together, in common units: fewer columns for what follows."""

    array_names = ("mean", "sd", "axes")

    def __init__(self, *, num_components: int = 128) -> None:
        self.num_components = num_components

    def fit(self, source: np.ndarray, target: np.ndarray) -> Self:
        """Mean, standard deviation and axes of all rows."""
        rows = np.concatenate([source, target])
        self.mean_, self.sd_ = _mean_and_sd(rows, rows.std(axis=0, dtype=float))
        num_axes = min(self.num_components, rows.shape[1], len(rows) - 1)
        self.axes_ = principal_axes((rows - self.mean_) / self.sd_, num_axes)
        return self

    def map_source(self, features: np.ndarray) -> np.ndarray:
        """(N, K) components."""
        return ((features - self.mean_) / self.sd_) @ self.axes_

    def map_target(self, features: np.ndarray) -> np.ndarray:
        """(N, K) components."""
        return self.map_source(features)


FEATURE_MAPS: dict[str, type[FeatureMap]] = {
    "common_units": CommonUnits,
    "standardise_map": StandardiseMap,
    "coral_map": CoralMap,
    "subspace_alignment": SubspaceAlignment,
    "drop_shifted": DropShifted,
    "principal_components": PrincipalComponents,
}


def fit_maps(names: Sequence[str], source: np.ndarray, target: np.ndarray) -> list[FeatureMap]:
    """The named maps, each fitted on what the one before it gives.

    Raises:
        BadParamsError: an unknown name.
        BadInputError: fewer than two rows a domain, differing widths, or a value that is no number.
    """
    _check_features(source, target)
    fitted = []
    for name in names:
        if name not in FEATURE_MAPS:
            raise BadParamsError(f"Unknown feature map '{name}'.", repair=did_you_mean(name, FEATURE_MAPS))
        fitted.append(FEATURE_MAPS[name]().fit(source, target))
        source, target = fitted[-1].map_source(source), fitted[-1].map_target(target)
    return fitted


def kolmogorov_smirnov(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(D,) largest distance of the two empirical distribution functions, feature by feature.

    Source: Smirnov 1939; Conover 1999, Practical Nonparametric Statistics, section 6.3.
    """
    statistics = np.empty(source.shape[1])
    for column in range(source.shape[1]):
        first, second = np.sort(source[:, column]), np.sort(target[:, column])
        steps = np.concatenate([first, second])
        below_first = np.searchsorted(first, steps, side="right") / len(first)
        below_second = np.searchsorted(second, steps, side="right") / len(second)
        statistics[column] = np.abs(below_first - below_second).max()
    return statistics


def principal_axes(rows: np.ndarray, num_axes: int) -> np.ndarray:
    """(D, K) orthonormal axes of largest variance of (N, D) rows; each axis's largest entry is positive.

    Source: Halko, Martinsson & Tropp 2011, "Finding structure with randomness", algorithm 5.1, for large matrices.
    """
    centred = rows - rows.mean(axis=0)
    if min(rows.shape) > LARGE_SIDE:
        axes = randomized_svd(centred, num_axes, n_iter=5, random_state=0)[2].T
    else:
        axes = np.linalg.svd(centred, full_matrices=False)[2][:num_axes].T
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes * signs


def symmetric_power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A positive definite matrix to a power, by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, np.finfo(float).tiny) ** exponent) @ vectors.T


def _mean_and_sd(rows: np.ndarray, both_sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(D,) mean and standard deviation, the latter never near zero."""
    sd = np.maximum(rows.std(axis=0, dtype=float), SD_FLOOR_FRACTION * both_sd)
    return rows.mean(axis=0, dtype=float), np.where(sd > 1e-12, sd, 1.0)


def _check_features(source: np.ndarray, target: np.ndarray) -> None:
    """Refuse what no map can be fitted on."""
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise BadInputError(f"Features of shape {source.shape} and {target.shape}; expected (N, D) and (M, D).")
    if min(len(source), len(target)) < 2:
        raise BadInputError(
            f"{len(source)} source and {len(target)} target rows; an alignment needs two of each.",
            repair="Add rows, or choose a transfer that reads one domain alone.",
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise BadInputError("A feature is missing or infinite.", repair="Fill gaps before aligning.")
