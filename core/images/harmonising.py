"""Grey values brought to a common distribution, so that exposure and contrast of a site tell less about it."""

from __future__ import annotations

import numpy as np
from PIL import Image

NUM_LEVELS = 256
TILES_A_SIDE = 8
CLIP_FACTOR = 2.0  # of the mean height of a tile's histogram


def harmonise(pixels: np.ndarray, how: str) -> np.ndarray:
    """(H, W, C) uint8 of the same; `how` is none, equalise or clahe. Of colour only the brightness changes.

    Shape: C 1 or 3.
    """
    if how == "none":
        return pixels
    change = equalise if how == "equalise" else clahe
    if pixels.shape[2] == 1:
        return change(pixels[:, :, 0])[:, :, None]
    parts = np.asarray(Image.fromarray(pixels).convert("YCbCr")).copy()
    parts[:, :, 0] = change(parts[:, :, 0])
    return np.asarray(Image.fromarray(parts, mode="YCbCr").convert("RGB"))


def equalise(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8: grey value v becomes 255 (F(v) - F(min)) / (1 - F(min)), F the share of pixels up to v.

    A picture of one grey value stays.
    Source: Gonzalez & Woods, "Digital image processing", section 3.3, with the darkest value sent to 0.
    """
    counts = np.bincount(grey.ravel(), minlength=NUM_LEVELS)
    return _spread(np.cumsum(counts), grey.size)[grey]


def clahe(grey: np.ndarray, *, tiles_a_side: int = TILES_A_SIDE, clip_factor: float = CLIP_FACTOR) -> np.ndarray:
    """(H, W) uint8: equalised tile by tile with clipped histograms, between tile centres interpolated.

    A bin above clip_factor times the mean bin is cut, and what was cut is dealt out to all bins alike: the steepness
    of each map, hence the noise that it raises, is bounded. Fewer tiles where a side has fewer pixels.
    Source: Zuiderveld 1994, "Contrast limited adaptive histogram equalization", Graphics gems IV, VIII.5; Pizer et al.
    1987, "Adaptive histogram equalization and its variations", sections 3 and 4.
    """
    tiles = [min(tiles_a_side, side) for side in grey.shape]
    edges = [np.linspace(0, side, num + 1).round().astype(int) for side, num in zip(grey.shape, tiles, strict=True)]
    maps = np.empty((*tiles, NUM_LEVELS))
    for row in range(tiles[0]):
        for column in range(tiles[1]):
            tile = grey[edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]]
            maps[row, column] = _clipped_map(tile, clip_factor)
    (top, down), (left, right) = (_neighbours(of_side) for of_side in edges)
    above, below = top[:, None], np.minimum(top + 1, tiles[0] - 1)[:, None]
    before, after = left[None], np.minimum(left + 1, tiles[1] - 1)[None]
    upper = maps[above, before, grey] * (1 - right) + maps[above, after, grey] * right
    lower = maps[below, before, grey] * (1 - right) + maps[below, after, grey] * right
    found = upper * (1 - down[:, None]) + lower * down[:, None]
    return np.rint(found).clip(0, 255).astype(np.uint8)


def _spread(cumulated: np.ndarray, num_pixels: int) -> np.ndarray:
    """(256,) uint8 map of cumulated counts."""
    first = cumulated[cumulated > 0][0]
    if first == num_pixels:
        return np.arange(NUM_LEVELS, dtype=np.uint8)
    return np.rint(255.0 * np.maximum(cumulated - first, 0) / (num_pixels - first)).astype(np.uint8)


def _clipped_map(tile: np.ndarray, clip_factor: float) -> np.ndarray:
    """(256,) grey values 0..255 of one tile: 255 times the share of its clipped histogram up to each level."""
    counts = np.bincount(tile.ravel(), minlength=NUM_LEVELS).astype(float)
    limit = clip_factor * tile.size / NUM_LEVELS
    excess = np.maximum(counts - limit, 0.0).sum()
    return 255.0 * np.cumsum(np.minimum(counts, limit) + excess / NUM_LEVELS) / tile.size


def _neighbours(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L,) number of the tile whose centre lies before each pixel, and (L,) how far it is to the next, 0..1."""
    centres = (edges[:-1] + edges[1:] - 1) / 2.0
    place = np.interp(np.arange(edges[-1]), centres, np.arange(len(centres)))
    before = np.floor(place).astype(int)
    return before, place - before
