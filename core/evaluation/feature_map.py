"""The map of all rows in two dimensions, and the training rows that are most like each test row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from core.evaluation.feature_rows import TRAINING_ROLES, FeatureRows

NUM_NEIGHBOURS = 5
MAX_COMPONENTS = 50
MAP_COLUMNS = ("sample_id", "domain", "role", "x", "y", "label", "probability", "is_wrong")
NEIGHBOUR_COLUMNS = ("sample_id", "rank", "neighbour_id", "neighbour_domain", "neighbour_label", "distance")


@dataclass(frozen=True)
class PrincipalAxes:
    """Standardised features on their main directions.

    means, scales: (P,) of the rows fitted on. axes: (K, P), orthonormal, the largest entry of each positive.
    explained: (K,) share of the variance.
    """

    means: np.ndarray
    scales: np.ndarray
    axes: np.ndarray
    explained: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, num_components: int = MAX_COMPONENTS) -> Self:
        """From rows (N, P), as many components as they vary in; a feature that is NaN (not known) counts as its mean.

        Source: Pearson 1901; Jolliffe 2002, Principal Component Analysis, section 2.3 (correlation matrix).
        """
        is_known = np.isfinite(features)
        counts = np.maximum(is_known.sum(axis=0), 1)
        means = np.where(is_known, features, 0.0).sum(axis=0) / counts
        scales = np.sqrt((np.where(is_known, features - means, 0.0) ** 2).sum(axis=0) / counts)
        scales = np.where(scales > 1e-9, scales, np.inf)  # what is the same everywhere tells nothing
        standard = _standardise(features, means, scales)
        if len(features) < 2 or not standard.any():  # all rows are alike
            return cls(means, scales, np.zeros((1, features.shape[1])), np.zeros(1))
        num = min(num_components, len(features) - 1, features.shape[1])
        is_partial = num < min(standard.shape)
        pca = PCA(num, svd_solver="arpack" if is_partial else "full", random_state=0).fit(standard)
        is_real = pca.explained_variance_ratio_ > 1e-9  # a direction without variance is any direction
        axes = pca.components_[is_real]
        signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
        return cls(means, scales, axes * signs[:, None], pca.explained_variance_ratio_[is_real])

    def place(self, features: np.ndarray) -> np.ndarray:
        """(N, K) coordinates of rows (N, P)."""
        return _standardise(features, self.means, self.scales) @ self.axes.T


def _standardise(features: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(N, P) with mean 0 and deviation 1; 0 where a feature is not known."""
    return np.nan_to_num((features - means) / scales, nan=0.0, posinf=0.0, neginf=0.0)


def fit_axes(rows: FeatureRows) -> PrincipalAxes | None:
    """The axes of the training rows of source and target; None without rows."""
    is_training = rows.of(*TRAINING_ROLES)
    return PrincipalAxes.fit(rows.features[is_training]) if is_training.any() else None


def feature_map(
    rows: FeatureRows, axes: PrincipalAxes | None, predictions: pd.DataFrame, *, positive_class: str
) -> pd.DataFrame:
    """MAP_COLUMNS, one row a drawn row; x and y are its first two components.

    predictions: sample_id, probability (of the positive class) and is_adverse of the test rows. probability and
    is_wrong are told of test rows alone, is_wrong of labelled ones.
    """
    table = rows.table.drop(columns="group")
    places = np.zeros((len(table), 2))
    if axes is not None:
        found = axes.place(rows.features)[:, :2]
        places[:, : found.shape[1]] = found
    told = predictions.set_index("sample_id").reindex(table["sample_id"])
    is_test = (table["role"] == "test").to_numpy()
    probability = np.where(is_test, told["probability"].to_numpy(dtype=float), np.nan)
    is_adverse = told["is_adverse"].astype("boolean").to_numpy(dtype=float, na_value=np.nan) > 0.5
    is_wrong = pd.array(is_adverse != (table["label"] == positive_class).to_numpy(), dtype="boolean")
    is_wrong[~(is_test & (table["label"] != "").to_numpy())] = pd.NA
    table = table.assign(x=places[:, 0], y=places[:, 1], probability=probability, is_wrong=is_wrong)
    return table[list(MAP_COLUMNS)]


def nearest_neighbours(rows: FeatureRows, axes: PrincipalAxes | None) -> pd.DataFrame:
    """NEIGHBOUR_COLUMNS: of each test row the five nearest labelled training rows by Euclidean distance, nearest first.

    rank counts from 1; of equally near rows the first in the table's order comes first.
    """
    is_known = (rows.table["label"] != "").to_numpy()
    candidates = np.flatnonzero(rows.of(*TRAINING_ROLES) & is_known)
    tests = np.flatnonzero(rows.of("test"))
    num = min(NUM_NEIGHBOURS, len(candidates))
    if axes is None or not num:
        tests, order, distance = tests[:0], np.zeros((0, 0), dtype=int), np.zeros((0, 0))
    else:
        places = axes.place(rows.features)
        distances = cdist(places[tests], places[candidates])
        order = np.argsort(distances, axis=1, kind="stable")[:, :num]
        distance = np.take_along_axis(distances, order, axis=1)
    near = rows.table.iloc[candidates[order.ravel()]]
    table = pd.DataFrame(
        {
            "sample_id": np.repeat(rows.table["sample_id"].to_numpy(dtype=object)[tests], num if len(tests) else 0),
            "rank": np.tile(np.arange(1, num + 1), len(tests)),
            "neighbour_id": near["sample_id"].to_numpy(dtype=object),
            "neighbour_domain": near["domain"].to_numpy(dtype=object),
            "neighbour_label": near["label"].to_numpy(dtype=object),
            "distance": distance.ravel(),
        }
    )
    return table.astype({name: str for name in NEIGHBOUR_COLUMNS if name not in ("rank", "distance")})
