"""The rows that HAR models learn from: three averages and the mean variance of the next days, by market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.forecasting.scaling import har_features
from core.forecasting.series import Series
from core.forecasting.targets import future_means


@dataclass(frozen=True)
class HarRows:
    """features (N, 3), targets (N, H; NaN where unknown), both divided by `level`, the mean variance of the days."""

    features: np.ndarray
    targets: np.ndarray
    level: float

    @classmethod
    def of(cls, series: Series, horizons: tuple[int, ...], level: float | None = None) -> HarRows:
        """All rows of a series that have a whole month behind them; level: another than the series' own mean."""
        level = float(np.mean(series.day_variance)) if level is None else level
        features = har_features(series.day_variance) / level
        is_known = np.isfinite(features).all(axis=1)
        targets = future_means(series.day_variance, horizons) / level
        return cls(features[is_known], targets[is_known], level)


def design(features: np.ndarray) -> np.ndarray:
    """(N, 4): a one in front."""
    return np.column_stack([np.ones(len(features)), features])


def fit_lines(parts: list[HarRows]) -> np.ndarray:
    """(4, H) least squares of all parts together, each horizon by itself, on the rows whose target is known."""
    features = design(np.concatenate([part.features for part in parts]))
    targets = np.concatenate([part.targets for part in parts])
    found = []
    for column in targets.T:
        is_known = np.isfinite(column)
        found.append(np.linalg.lstsq(features[is_known], column[is_known], rcond=None)[0])
    return np.stack(found, axis=1)


def fit_shrunk_lines(part: HarRows, towards: np.ndarray, strength: float) -> np.ndarray:
    """(4, H) that minimise |y - X b|^2 + strength * (b - b0)' X'X (b - b0): own lines and b0 mixed by the strength.

    The minimum lies at (own + strength * b0) / (1 + strength).

    Source: Zellner 1986, "On assessing prior distributions and Bayesian regression analysis with g-prior
    distributions"; the pull to a source's weights is L2-SP's (Li, Grandvalet & Davoine 2018, eq. 2).
    """
    return (fit_lines([part]) + strength * towards) / (1.0 + strength)
