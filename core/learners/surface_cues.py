"""Three cues of a ground surface, without a network: a dark spot, other streaks, stronger or weaker streaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.ndimage import gaussian_filter, median_filter, sobel

from core.data.feature_cache import FeatureCache
from core.images.fitting import inner_box
from core.images.image import Image
from core.learners.base import LEARNERS
from core.learners.one_class import OneClassLearner, OneClassOptions
from core.learners.score_fusion import apply_scale, fit_scale, join_scores, log_sizes
from core.strict import STRICT

NUM_CUES = 3
DARK_OFFSET = 8.0  # grey values added before the logarithm: noise of black pixels is not blown up
STRENGTH_OFFSET = 0.02  # of log brightness per pixel, for the same reason
SMALLEST_CUE = 1e-6
VERSION = "surface_cues-1"  # raised when a cue is computed otherwise, so that the cache forgets


@dataclass(frozen=True, config=STRICT)
class SurfaceCuesOptions(OneClassOptions):
    """direction: in which the surface was ground. image_fit: as `fit` of the domain's image; padding is not read.

    window_px: length along the streaks over which two neighbouring stretches are compared. margin_px: at the edges,
    not read. num_dark_px: darkest pixels whose mean is the dark spot. cell_px: side of a cell of the heat map, which
    is of the dark cue alone. sharpness: of the joining of the three. `score`, `top_fraction` and `smoothing_cells` do
    not touch the score.
    """

    direction: Literal["vertical", "horizontal"] = "vertical"
    image_fit: Literal["squash", "pad", "native"] = "squash"
    window_px: int = Field(default=24, ge=2)
    margin_px: int = Field(default=10, ge=0)
    num_dark_px: int = Field(default=50, ge=1)
    cell_px: int = Field(default=8, ge=1)
    sharpness: float = Field(default=1.5, gt=0.0)


@LEARNERS.register("surface_cues")
class SurfaceCues(OneClassLearner):
    """For surfaces whose streaks run in one direction (ground, brushed, rolled); on others the cues mean nothing.

    Their logarithms are freed of a line in log height and log width and joined by log-sum-exp (`score_fusion`).
    A description is a row: 3 log cues, log height, log width, then the cells of the dark map.
    """

    Options = SurfaceCuesOptions
    needs_torch: ClassVar[bool] = False

    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        told = self.options
        how = f"{told.direction} {told.image_fit} {told.window_px} {told.margin_px} {told.num_dark_px} {told.cell_px}"
        keys = [f"{image.digest} {image.height_px} {image.width_px}" for image in images]
        by_key = dict(zip(keys, images, strict=True))
        return FeatureCache().get(VERSION, how, keys, lambda missing: self._rows([by_key[key] for key in missing]))

    def _rows(self, images: Sequence[Image]) -> np.ndarray:
        """(N, 5 + G G) float32 descriptions."""
        found = [self._describe_one(image) for image in images]
        cues = np.log(np.maximum([cues for cues, _ in found], SMALLEST_CUE))
        cells = np.array([dark_cells.ravel() for _, dark_cells in found])
        return np.column_stack([cues, log_sizes(images), cells]).astype(np.float32)

    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        cues, sizes, cells = _split(described)
        return fit_scale(cues, sizes) | {"map_spread": np.array([max(float(np.nanstd(cells)), SMALLEST_CUE)])}

    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # of the NaN in padding
            return np.logaddexp(0.0, _split(described)[2] / parts["map_spread"]).astype(np.float32)

    def _score(
        self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        maps, _ = super()._score(described, groups, parts)
        return maps, join_scores(self.standard_cues(described, parts), self.options.sharpness)[:, None]

    @staticmethod
    def standard_cues(described: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, 3) dark spot, change of streaks, change of their strength, in spreads of good parts."""
        cues, sizes, _ = _split(described)
        return apply_scale(cues, sizes, parts)

    def _describe_one(self, image: Image) -> tuple[tuple[float, float, float], np.ndarray]:
        """The three cues, and the (G, G) dark map of the square with NaN in its padding."""
        options = self.options
        top, left, height, width = inner_box(image, options.image_fit)
        grey = image.pixels[top : top + height, left : left + width].astype(np.float32).mean(axis=2)
        if options.direction == "horizontal":
            grey = grey.T
        dark = darkness(grey)
        margin = min(options.margin_px, (min(grey.shape) - 1) // 6)
        inside = slice(margin, -margin or None)
        worst = np.partition(dark[inside, inside].ravel(), -min(options.num_dark_px, dark[inside, inside].size))
        spot = worst[-options.num_dark_px :].mean()
        window = max(1, min(options.window_px, (grey.shape[0] - 2 * margin) // 4))
        change, strength = streak_changes(grey, window, margin)
        shown = np.full_like(dark, dark[inside, inside].min())
        shown[inside, inside] = dark[inside, inside]
        square = np.full(image.pixels.shape[:2], np.nan, dtype=np.float32)
        square[top : top + height, left : left + width] = shown.T if options.direction == "horizontal" else shown
        return (float(spot), change, strength), _largest_of_cells(square, options.cell_px)


def darkness(grey: np.ndarray) -> np.ndarray:
    """(H, W) how much darker a place is than its own column and its own row, as log brightness.

    Grey (H, W) is smoothed and its logarithm taken; the median along the streak's direction (63 rows) goes first, which
    leaves no streaks, then the median of 63 columns, which leaves no uneven light; the rest is smoothed over 3 pixels.
    """
    brightness = np.log(gaussian_filter(grey, 1.0) + DARK_OFFSET)
    of_column = median_filter(brightness[::3], size=(21, 1)).repeat(3, axis=0)[: len(grey)]
    rest = brightness - of_column
    rest -= median_filter(rest[:, ::2], size=(1, 31)).repeat(2, axis=1)[:, : grey.shape[1]]
    return -gaussian_filter(rest, 3.0)


def streak_changes(grey: np.ndarray, window: int, margin: int) -> tuple[float, float]:
    """(largest change of the streaks' pattern, largest change of their strength over the usual one) down a picture.

    Each stretch of `window` rows is compared with the next. Pattern: one minus the correlation of their mean columns,
    brightness finer than 8 pixels; 0 where streaks run through, 1 where they end. Strength: mean absolute difference
    of log column contrast; a scar or a stain changes it at one height, hence the largest over the median. Contrast
    is told column by column, so a new pattern changes it, too.
    """
    across = gaussian_filter(np.log(gaussian_filter(grey, 1.0) + DARK_OFFSET), (0, 1.5))
    across = across[margin : len(grey) - margin, margin : grey.shape[1] - margin]
    fine = _window_means(across - gaussian_filter(across, (0, 8.0)), window)
    above, below = fine[:-window], fine[window:]
    sizes = np.sqrt((above * above).mean(axis=1) * (below * below).mean(axis=1) + 1e-9)
    change = 1.0 - (above * below).mean(axis=1) / sizes
    contrast = np.log(_window_means(np.abs(sobel(across, axis=1)), window) + STRENGTH_OFFSET)
    strength = np.abs(contrast[window:] - contrast[:-window]).mean(axis=1)
    return float(change.max()), float(strength.max() / max(np.median(strength), SMALLEST_CUE))


def _window_means(values: np.ndarray, window: int) -> np.ndarray:
    """(H - window + 1, W) mean of `window` rows from each on."""
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values]), axis=0)
    return (sums[window:] - sums[:-window]) / window


def _largest_of_cells(square: np.ndarray, cell_px: int) -> np.ndarray:
    """(G, G) largest value in each cell of (S, S), the last rows and columns short of a cell left out; NaN if empty."""
    count = max(1, len(square) // cell_px)
    side = len(square) // count
    blocks = square[: count * side, : count * side].reshape(count, side, count, side)
    filled = np.where(np.isnan(blocks), -np.inf, blocks).max(axis=(1, 3))
    return np.where(np.isinf(filled), np.nan, filled)


def _split(described: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 3) log cues, (N, 2) log sizes and (N, G, G) dark maps of described rows."""
    side = round((described.shape[1] - NUM_CUES - 2) ** 0.5)
    cells = described[:, NUM_CUES + 2 :].reshape(-1, side, side)
    return described[:, :NUM_CUES], described[:, NUM_CUES : NUM_CUES + 2], cells
