"""Figures of D4: intervals over tile groups and seeds together, and localisation without the padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture

from core.evaluation.intervals import percentile_range
from core.evaluation.localisation import aupro, best_iou, pixel_auroc
from core.evaluation.metrics import METRICS
from core.evaluation.resampling import resample_counts
from core.evaluation.scored_rows import ScoredRows
from core.images.fitting import inner_box
from core.images.image import Image

NUM_BOOTSTRAP = 1000
CONFIDENCE = 0.95
MAP_PX = 96  # of a picture without its padding, at which maps are compared with masks


@dataclass(frozen=True)
class SeedScores:
    """Scores of one seed: rows (M,) of all samples that it tests, score (M,), threshold of its good parts."""

    rows: np.ndarray
    score: np.ndarray
    threshold: float = 0.0


def auc_figure(
    is_defect: np.ndarray, groups: np.ndarray, seeds: Sequence[SeedScores], counted: np.ndarray | None = None
) -> dict[str, float]:
    """AUROC, mean over seeds, with the interval of groups drawn once for all seeds.

    is_defect, groups: (N,) of all samples. counted (N,): rows that count, all by default.
    """
    value, replicates = auc_replicates(is_defect, groups, seeds, counted)
    return with_range(value, replicates)


def auc_replicates(
    is_defect: np.ndarray, groups: np.ndarray, seeds: Sequence[SeedScores], counted: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """AUROC and its (B,) replicates; the draws are the same for every method."""
    counted = np.ones(len(is_defect), dtype=bool) if counted is None else counted
    metric, checked = METRICS["auc"], []
    for seed in seeds:
        kept = counted[seed.rows]
        checked.append((seed.rows[kept], ScoredRows.of_score(is_defect[seed.rows[kept]], seed.score[kept])))
    value = float(np.mean([metric.of_rows(rows) for _, rows in checked]))
    replicates = [
        np.mean([metric.weighted(rows, counts[:, places]) for places, rows in checked], axis=0)
        for counts in resample_counts(len(is_defect), NUM_BOOTSTRAP, seed=0, groups=groups)
    ]
    return value, np.concatenate(replicates)


def rate_figure(is_counted: np.ndarray, groups: np.ndarray, seeds: Sequence[SeedScores]) -> dict[str, float]:
    """Share of the counted rows (N,) above their seed's threshold, mean over seeds, with its interval."""

    def rate(counts: np.ndarray) -> np.ndarray:
        found = []
        for seed in seeds:
            weights = counts[:, seed.rows] * is_counted[seed.rows]
            with np.errstate(invalid="ignore"):
                found.append(weights @ (seed.score > seed.threshold) / weights.sum(axis=1))
        return np.mean(found, axis=0)

    drawn = resample_counts(len(is_counted), NUM_BOOTSTRAP, seed=0, groups=groups)
    return with_range(float(rate(np.ones((1, len(is_counted))))[0]), np.concatenate([rate(counts) for counts in drawn]))


def with_range(value: float, replicates: np.ndarray) -> dict[str, float]:
    """value, low and high of the JSON."""
    low, high = percentile_range(replicates, CONFIDENCE)
    return {"value": value, "low": low, "high": high}


def inner_maps(maps: np.ndarray, images: Sequence[Image], image_fit: str) -> np.ndarray:
    """(N, 96, 96) float32 of (N, h, w) maps of squares: the picture itself, its padding cut off."""
    found = []
    for one, image in zip(maps, images, strict=True):
        top, left, height, width = inner_box(image, image_fit)
        scale = one.shape[0] / image.pixels.shape[0]
        box = tuple(scale * edge for edge in (left, top, left + width, top + height))
        picture = Picture.fromarray(np.ascontiguousarray(one, dtype=np.float32))
        found.append(np.asarray(picture.resize((MAP_PX, MAP_PX), Picture.Resampling.BILINEAR, box=box)))
    return np.stack(found)


def inner_masks(masks: np.ndarray, images: Sequence[Image], image_fit: str) -> np.ndarray:
    """(N, 96, 96) bool of (N, S, S) masks, the nearest pixel of the picture itself."""
    found = []
    for mask, image in zip(masks, images, strict=True):
        top, left, height, width = inner_box(image, image_fit)
        inside = mask[top : top + height, left : left + width]
        rows = ((np.arange(MAP_PX) + 0.5) * height / MAP_PX).astype(int)
        columns = ((np.arange(MAP_PX) + 0.5) * width / MAP_PX).astype(int)
        found.append(inside[np.ix_(rows, columns)] > 0)
    return np.stack(found)


def localisation(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """pixel_auroc, aupro (to 30 % false positives) and best_iou (at the level that is best on these very pictures)."""
    return {
        "pixel_auroc": pixel_auroc(maps, masks),
        "aupro": aupro(maps, masks),
        "best_iou": best_iou(maps, masks)[0],
    }


def mean_of(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over seeds of each figure."""
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
