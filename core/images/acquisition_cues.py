"""Crude numbers of how a picture was taken and stored: what a model can read without looking at what it shows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from core.images.image import Image

CUES = (
    "compressed_size", "sharpness", "mean", "deviation",
    "top_margin", "bottom_margin", "left_margin", "right_margin", "dark_end", "bright_end",
)  # fmt: skip
MARGIN_FRACTION = 16  # a margin is a sixteenth of the side
COMPRESSION_LEVEL = 6


def acquisition_cues(images: Sequence[Image]) -> np.ndarray:
    """(N, 10) float, in the order of CUES.

    compressed_size: log of the bytes that zlib makes of the pixels. sharpness: log(0.1 + mean |4-neighbour Laplacian|).
    mean, deviation: of the grey values, 0..255. Margins: mean grey of the outermost sixteenth at each side.
    dark_end, bright_end: 2nd and 98th percentile. Colours are averaged first.
    """
    return np.array([_cues_of(image.pixels) for image in images]).reshape(len(images), len(CUES))


def _cues_of(pixels: np.ndarray) -> list[float]:
    grey = np.asarray(pixels).mean(axis=2) if pixels.shape[2] > 1 else np.asarray(pixels)[..., 0]
    grey = np.ascontiguousarray(grey.round().astype(np.uint8))
    values = grey.astype(np.float64)
    inner = values[1:-1, 1:-1]
    laplacian = 4 * inner - values[:-2, 1:-1] - values[2:, 1:-1] - values[1:-1, :-2] - values[1:-1, 2:]
    margin = max(1, len(values) // MARGIN_FRACTION)
    return [
        np.log(len(zlib.compress(grey.tobytes(), COMPRESSION_LEVEL))),
        np.log(np.abs(laplacian).mean() + 0.1),
        values.mean(),
        values.std(),
        values[:margin].mean(),
        values[-margin:].mean(),
        values[:, :margin].mean(),
        values[:, -margin:].mean(),
        *np.quantile(values, (0.02, 0.98)),
    ]
