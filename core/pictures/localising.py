"""How well heat maps find what is looked for, and the level from which a pixel counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.data.samples import Samples
from core.evaluation.localisation import aupro, best_iou, iou, pixel_auroc, region_table

NATURAL_LEVEL = 0.5
NEGATIVE_QUANTILE = 0.98  # of the negative validation pictures' hottest pixels, where no mask tells
MIN_NEGATIVE_MAPS = 10
SIDE_PX = 256  # maps and masks larger than this are measured on every k-th pixel
MIN_REGION_FRACTION = 0.0002  # of the picture; a smaller region is a speck


@dataclass(frozen=True)
class LocatedRows:
    """maps: (N, h, w) heat in 0..1. masks: (N, h, w) bool. is_positive, has_mask: (N,) bool.

    A negative picture's mask is empty and known; a positive one's is known where it was drawn.
    """

    maps: np.ndarray
    masks: np.ndarray
    is_positive: np.ndarray
    has_mask: np.ndarray

    @classmethod
    def of(
        cls, maps: np.ndarray, is_positive: np.ndarray, sample_ids: Sequence[str], found: Mapping[str, np.ndarray]
    ) -> Self:
        """Maps (N, S, S) with the masks that were found by sample id."""
        step = max(1, -(-maps.shape[1] // SIDE_PX)) if len(maps) else 1
        maps = maps[:, ::step, ::step]
        masks, has_mask = np.zeros(maps.shape, dtype=bool), ~np.asarray(is_positive)
        for row, name in enumerate(sample_ids):
            if is_positive[row] and name in found and found[name].any():
                masks[row], has_mask[row] = found[name][::step, ::step] > 0, True
        return cls(maps, masks, np.asarray(is_positive), has_mask)

    @property
    def with_mask(self) -> tuple[np.ndarray, np.ndarray]:
        """(M, h, w) maps and masks of the rows whose mask is known."""
        return self.maps[self.has_mask], self.masks[self.has_mask]

    @property
    def can_measure(self) -> bool:
        """Whether a positive pixel is known."""
        return bool(self.masks.any())


def choose_rows(samples: Samples, num_rows: int, *, seed: int) -> np.ndarray:
    """(n,) sorted positions of at most `num_rows` labelled rows, half of them positive where there are so many."""
    generator = np.random.default_rng(seed)
    parts = [generator.permutation(np.flatnonzero(samples.targets == label)) for label in (1, 0)]
    num_positive = min(len(parts[0]), max(num_rows // 2, num_rows - len(parts[1])))
    return np.sort(np.concatenate([parts[0][:num_positive], parts[1][: num_rows - num_positive]]))


def calibrate_level(valid: LocatedRows) -> tuple[float, str]:
    """The level, and how it was found: the best overlap with the masks, or what few negative pictures reach.

    Without masks or enough negative pictures: 0.5, from which maps call a pixel positive by themselves.
    """
    if valid.can_measure:
        return best_iou(*valid.with_mask)[1], "best overlap with the masks of validation pictures"
    negative = valid.maps[~valid.is_positive]
    if len(negative) >= MIN_NEGATIVE_MAPS:
        level = float(np.quantile(negative.max(axis=(1, 2)), NEGATIVE_QUANTILE))
        return level, f"{NEGATIVE_QUANTILE:.0%} of the negative validation pictures have no pixel above it"
    return NATURAL_LEVEL, "not calibrated: no masks and too few negative validation pictures"


def localise(test: LocatedRows, level: float) -> dict[str, Any]:
    """Figures at the level; those that need masks are None where there are none."""
    is_hot = test.maps >= level
    result: dict[str, Any] = {
        "rows": len(test.maps),
        "rows_with_mask": int(test.masks.any(axis=(1, 2)).sum()),
        "positive_with_a_hot_pixel": _share(is_hot[test.is_positive].any(axis=(1, 2))),
        "negative_with_a_hot_pixel": _share(is_hot[~test.is_positive].any(axis=(1, 2))),
        "mean_area_positive": _share(is_hot[test.is_positive]),
        "mean_area_negative": _share(is_hot[~test.is_positive]),
        "pixel_auroc": None,
        "aupro": None,
        "iou": None,
        "best_iou": None,
        "peak_in_mask": None,
        "mean_regions": None,
    }
    smallest = max(1, round(MIN_REGION_FRACTION * test.maps[0].size)) if len(test.maps) else 1
    counts = [len(region_table(heat, level, min_pixels=smallest)) for heat in test.maps[test.is_positive]]
    result["mean_regions"] = float(np.mean(counts)) if counts else None
    if test.can_measure:
        maps, masks = test.with_mask
        marked = masks.any(axis=(1, 2))
        peaks = maps[marked].reshape(marked.sum(), -1).argmax(axis=1)
        inside = np.take_along_axis(masks[marked].reshape(marked.sum(), -1), peaks[:, None], axis=1)
        result |= {
            "pixel_auroc": pixel_auroc(maps, masks),
            "aupro": aupro(maps, masks),
            "iou": iou(maps, masks, level),
            "best_iou": best_iou(maps, masks)[0],
            "peak_in_mask": float(inside.mean()),
            "mean_mask_area": float(masks[marked].mean()),
        }
    return result


def _share(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
