"""One fitted picture as a cell of a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError


@dataclass(frozen=True, eq=False)
class Image:
    """A picture that was fitted to its domain's ImageSpec.

    pixels: (S, S, C) uint8, C = 1 (grey) or 3 (RGB); may be a view of a file on disk. digest: of shape and pixels, for
    caches. height_px, width_px: of the original.
    """

    pixels: np.ndarray
    digest: str
    height_px: int
    width_px: int

    @classmethod
    def of_pixels(cls, pixels: np.ndarray, *, height_px: int | None = None, width_px: int | None = None) -> Image:
        """The picture of (S, S) or (S, S, C) uint8 pixels."""
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        return cls(pixels, pixels_digest(pixels), height_px or pixels.shape[0], width_px or pixels.shape[1])


def pixels_digest(pixels: np.ndarray) -> str:
    """Hex digest of an array's shape and bytes."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:32]


def images_of(samples: Samples) -> list[Image]:
    """(N,) the pictures of the samples' image feature.

    Raises:
        BadParamsError: the samples have no image feature, or several.
    """
    names = samples.schema.names("image") if samples.schema is not None else []
    if len(names) != 1:
        raise BadParamsError(
            f"An image learner needs one image column; these samples have {len(names)}.",
            repair="Set kind: image and use: feature for one column of domain.yaml, or choose a learner for tables.",
        )
    return list(samples.inputs[names[0]])


def stack_pixels(images: Sequence[Image]) -> np.ndarray:
    """(N, S, S, C) uint8; all of one size."""
    return np.stack([np.asarray(image.pixels) for image in images])
