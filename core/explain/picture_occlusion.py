"""Which part of a picture a score hangs on: cover it, and see how far the score falls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.explain.occlusion import Scores
from core.images.image import Image, images_of

BATCH_ROWS = 48  # fewer than FeatureCache.min_rows: covered pictures leave no files in the cache
SMALLEST_PROBABILITY = 1e-6


def occlusion_maps(learner: Scores, samples: Samples, *, num_cells: int = 8, window_cells: int = 2) -> np.ndarray:
    """(N, num_cells, num_cells) fall of the log-odds of class 1, the mean over all windows that cover a cell.

    A window of `window_cells` a side slides by one cell; it is filled with the median of what surrounds it.
    Costs (num_cells - window_cells + 1)^2 + 1 scores a picture.

    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.

    Raises:
        BadParamsError: the window is no part of the grid, or a cell would be smaller than a pixel.
    """
    images = images_of(samples)
    if not 1 <= window_cells < num_cells or any(min(image.pixels.shape[:2]) < num_cells for image in images):
        raise BadParamsError(
            f"A grid of {num_cells} cells with a window of {window_cells} does not fit the pictures.",
            repair="Choose a window smaller than the grid, and a cell of at least one pixel.",
        )
    whole = _log_odds(learner, samples)
    falls = np.zeros((len(images), num_cells, num_cells))
    counts = np.zeros((num_cells, num_cells))
    windows = [(r, c) for r in range(num_cells - window_cells + 1) for c in range(num_cells - window_cells + 1)]
    for row, column in windows:
        counts[row : row + window_cells, column : column + window_cells] += 1
    for picture, image in enumerate(images):
        covered = (_covered(image.pixels, row, column, num_cells, window_cells) for row, column in windows)
        scores = np.concatenate([_log_odds(learner, part) for part in _batches(samples, picture, covered)])
        for (row, column), score in zip(windows, scores, strict=True):
            falls[picture, row : row + window_cells, column : column + window_cells] += whole[picture] - score
    return (falls / counts).astype(np.float32)


def _covered(pixels: np.ndarray, row: int, column: int, num_cells: int, window_cells: int) -> Image:
    """The picture with one window filled with the median of a frame half as wide as the window."""
    size = pixels.shape[0]
    edges = np.linspace(0, size, num_cells + 1).round().astype(int)
    top, bottom, left, right = edges[[row, row + window_cells, column, column + window_cells]]
    frame = max(1, (bottom - top) // 2)
    outer = (slice(max(0, top - frame), bottom + frame), slice(max(0, left - frame), right + frame))
    is_around = np.ones(pixels.shape[:2], dtype=bool)
    is_around[top:bottom, left:right] = False
    filled = pixels.copy()
    filled[top:bottom, left:right] = np.median(pixels[outer][is_around[outer]], axis=0)
    return Image.of_pixels(filled)


def _batches(samples: Samples, picture: int, images: Iterator[Image]) -> Iterator[Samples]:
    """Samples of the covered pictures, each with the fields of the picture's own row."""
    name = samples.schema.names("image")[0]
    images = list(images)
    for start in range(0, len(images), BATCH_ROWS):
        part = images[start : start + BATCH_ROWS]
        rows = samples.take(np.full(len(part), picture))
        frame = rows.inputs.copy(deep=False)
        column = np.empty(len(part), dtype=object)
        column[:] = part
        frame[name] = column
        yield rows.with_inputs(frame, samples.schema)


def _log_odds(learner: Scores, samples: Samples) -> np.ndarray:
    """(N,) log-odds of class 1; exact where the learner tells them."""
    if hasattr(learner, "predict_logits"):
        return learner.predict_logits(samples)
    probability = learner.predict_probability(samples)[:, 1].clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.log(probability / (1 - probability))
