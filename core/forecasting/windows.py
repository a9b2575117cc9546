"""What the sequence network sees: the last days before each origin, in multiples of their own trailing scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.forecasting.scaling import HAR_DAYS, WARM_UP_ROWS, ewma, trailing_mean, trailing_scale
from core.forecasting.series import Series
from core.forecasting.targets import future_means

WINDOW_DAYS = 64
CHANNELS = ("return", "log_variance", "log_weighted_variance")
STATICS = ("log_weighted_variance", "log_day", "log_week", "log_month", "has_range")
LARGEST_RETURN = 8.0  # in multiples of the scale
SMALLEST_VARIANCE = 0.02  # in multiples of the scale squared: a day without movement has a logarithm, too


@dataclass(frozen=True)
class Windows:
    """N origins: days (N, 3, 64), statics (N, 5), base (N,) log of the weighted variance, all relative to `scale`.

    targets (N, H) and base are in multiples of scale (N,), percent^2. rows (N,): the origin's row in its series.
    """

    days: np.ndarray
    statics: np.ndarray
    base: np.ndarray
    targets: np.ndarray
    scale: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: np.ndarray) -> Windows:
        """Some of the origins."""
        return Windows(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def windows_of(series: Series, horizons: tuple[int, ...], first_row: int = WARM_UP_ROWS) -> Windows:
    """The windows that end at each row from `first_row` on; days before the series' first are filled with it.

    Row t holds nothing of a later day, but for its targets.
    """
    variance = series.day_variance
    rows = np.arange(max(first_row, WARM_UP_ROWS), len(series))
    scale = trailing_scale(variance)[rows]
    weighted = ewma(variance)
    back = np.maximum(rows[:, None] + np.arange(1 - WINDOW_DAYS, 1), 0)
    root = np.sqrt(scale)[:, None]
    days = np.stack(
        [
            np.clip(series.returns[back] / root, -LARGEST_RETURN, LARGEST_RETURN),
            relative_log(variance[back], scale[:, None]),
            relative_log(weighted[back], scale[:, None]),
        ],
        axis=1,
    )
    means = [weighted, *(trailing_mean(variance, num) for num in HAR_DAYS)]
    statics = [relative_log(mean[rows], scale) for mean in means]
    statics = np.stack([*statics, np.full(len(rows), float(series.has_range))], axis=1)
    targets = future_means(variance, horizons)[rows] / scale[:, None]
    return Windows(
        days.astype(np.float32),
        statics.astype(np.float32),
        statics[:, 0].astype(np.float32),
        targets.astype(np.float32),
        scale,
        rows,
    )


def relative_log(variance: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """log(variance / scale + SMALLEST_VARIANCE)."""
    return np.log(variance / scale + SMALLEST_VARIANCE)


def concatenate(parts: list[Windows]) -> Windows:
    """The origins of several markets, one market after the other."""
    return Windows(*(np.concatenate([getattr(p, name) for p in parts]) for name in Windows.__dataclass_fields__))
