"""How well a heat map finds where the defect is: pixel AUROC, AUPRO, overlap at a level, and a table of regions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, label
from scipy.stats import rankdata

from core.errors import BadInputError

NEIGHBOURS = np.ones((3, 3), dtype=int)  # pixels that touch at a corner are of one region


def pixel_auroc(maps: np.ndarray, masks: np.ndarray) -> float:
    """Chance that a defective pixel is hotter than a good one; ties count half.

    Shape: maps (N, H, W) float, masks (N, H, W) bool.

    Source: Mann & Whitney 1947, the U statistic over the product of the counts.

    Raises:
        BadInputError: shapes, missing values, or pixels of one kind only.
    """
    maps, masks = _checked(maps, masks)
    num_defective = int(masks.sum())
    ranks = rankdata(maps.ravel())[masks.ravel()]
    above = ranks.sum() - num_defective * (num_defective + 1) / 2
    return float(above / (num_defective * (masks.size - num_defective)))


def aupro(maps: np.ndarray, masks: np.ndarray, *, max_fpr: float = 0.3) -> float:
    """Area under the per-region overlap up to a false positive rate of `max_fpr`, over `max_fpr`: 0 to 1.

    At each level: the mean over all defect regions of the share of a region that is above it, against the share of
    good pixels above it. Regions are 8-connected parts of the masks; every level is read, none is interpolated but the
    last.

    Source: Bergmann et al. 2021, "The MVTec anomaly detection dataset", section 5.3.

    Raises:
        BadInputError: shapes, missing values, pixels of one kind only, or max_fpr outside (0, 1].
    """
    if not 0 < max_fpr <= 1:
        raise BadInputError(f"max_fpr is {max_fpr}, expected above 0 and at most 1.")
    maps, masks = _checked(maps, masks)
    overlap_gain = _overlap_gains(masks).ravel()
    order = np.argsort(-maps.ravel(), kind="stable")
    is_last = _is_last_of_equals(maps.ravel()[order])
    is_good = ~masks.ravel()[order]
    rates = np.r_[0.0, (np.cumsum(is_good) / is_good.sum())[is_last]]
    overlaps = np.r_[0.0, np.cumsum(overlap_gain[order])[is_last]]
    beyond = int(np.searchsorted(rates, max_fpr))  # the first level at or past the limit; the last rate is 1
    step = (max_fpr - rates[beyond - 1]) / (rates[beyond] - rates[beyond - 1])
    last = overlaps[beyond - 1] + step * (overlaps[beyond] - overlaps[beyond - 1])
    area = np.trapezoid(np.r_[overlaps[:beyond], last], np.r_[rates[:beyond], max_fpr])
    return float(area / max_fpr)


def iou(maps: np.ndarray, masks: np.ndarray, level: float) -> float:
    """Pixels that are both defective and at or above the level, over those that are either, of all pictures together.

    Raises:
        BadInputError: shapes, missing values, or pixels of one kind only.
    """
    maps, masks = _checked(maps, masks)
    is_hot = maps >= level
    return float((is_hot & masks).sum() / (is_hot | masks).sum())


def best_iou(maps: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    """(overlap, level) at the level with the largest `iou`, the higher level of equals.

    To be fair the level is found on validation pictures and given to `iou` on the others.

    Raises:
        BadInputError: shapes, missing values, or pixels of one kind only.
    """
    maps, masks = _checked(maps, masks)
    order = np.argsort(-maps.ravel(), kind="stable")
    values, is_defective = maps.ravel()[order], masks.ravel()[order]
    is_last = _is_last_of_equals(values)
    hits = np.cumsum(is_defective)[is_last]
    num_hot = np.flatnonzero(is_last) + 1
    overlaps = hits / (num_hot + is_defective.sum() - hits)
    best = int(np.argmax(overlaps))
    return float(overlaps[best]), float(values[is_last][best])


def region_table(heat: np.ndarray, level: float, *, min_pixels: int = 1) -> pd.DataFrame:
    """A row for each region of one map (H, W) at or above the level, the largest first.

    Columns: area_px, area_fraction (of the picture), top, left, bottom, right (px, the last two exclusive), peak, and
    peak_row, peak_column. The number of rows is the number of defects found.
    """
    regions, _ = label(np.asarray(heat) >= level, structure=NEIGHBOURS)
    rows = []
    for number, box in enumerate(find_objects(regions), start=1):
        inside = regions[box] == number
        if inside.sum() < min_pixels:
            continue
        peak_row, peak_column = np.unravel_index(np.argmax(np.where(inside, heat[box], -np.inf)), inside.shape)
        rows.append(
            {
                "area_px": int(inside.sum()),
                "area_fraction": float(inside.sum() / regions.size),
                "top": box[0].start,
                "left": box[1].start,
                "bottom": box[0].stop,
                "right": box[1].stop,
                "peak": float(heat[box][peak_row, peak_column]),
                "peak_row": int(box[0].start + peak_row),
                "peak_column": int(box[1].start + peak_column),
            }
        )
    columns = ["area_px", "area_fraction", "top", "left", "bottom", "right", "peak", "peak_row", "peak_column"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("area_px", ascending=False, kind="stable", ignore_index=True)


def _overlap_gains(masks: np.ndarray) -> np.ndarray:
    """(N, H, W): what a pixel adds to the mean overlap, 1 / (regions x size of its region); 0 for good pixels."""
    gains, num_regions = np.zeros(masks.shape), 0
    for place, mask in enumerate(masks):
        regions, count = label(mask, structure=NEIGHBOURS)
        sizes = np.bincount(regions.ravel())
        gains[place] = np.where(mask, 1.0 / sizes[regions], 0.0)
        num_regions += count
    return gains / num_regions


def _is_last_of_equals(falling: np.ndarray) -> np.ndarray:
    """Where the next of the sorted values is another: equal values pass a level together."""
    return np.r_[falling[1:] != falling[:-1], True]


def _checked(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finite maps and Boolean masks of one shape, with pixels of both kinds."""
    maps, masks = np.asarray(maps, dtype=float), np.asarray(masks).astype(bool)
    if maps.shape != masks.shape or maps.ndim != 3:
        raise BadInputError(f"Maps have shape {maps.shape} and masks {masks.shape}, expected one shape (N, H, W).")
    if not np.isfinite(maps).all():
        raise BadInputError("The maps hold missing or infinite values.")
    if masks.all() or not masks.any():
        raise BadInputError(
            "All pixels are of one kind.", repair="Localisation is measured on pictures with defects and their masks."
        )
    return maps, masks
