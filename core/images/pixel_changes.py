"""One seeded change of many pictures, and the grey-value arithmetic that such changes share."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image as PillowImage

from core.errors import BadParamsError, did_you_mean
from core.images.image import Image

PixelChange = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def change_pictures(
    images: Sequence[Image],
    changes: Mapping[str, PixelChange],
    name: str,
    strength: int,
    *,
    strengths: Sequence[int],
    what: str,
    seed: int,
) -> list[Image]:
    """(N,) the pictures after the change `name` of `changes`.

    Chance is drawn from the seed and the picture itself, so neither its place nor its neighbours change the result.
    what: the word for such a change in errors.

    Raises:
        BadParamsError: no such change or strength.
    """
    if name not in changes:
        raise BadParamsError(f"Unknown {what} '{name}'.", repair=did_you_mean(name, changes))
    if strength not in strengths:
        raise BadParamsError(f"The strength of '{name}' is {strength}, expected one of {tuple(strengths)}.")
    return [_change_one(image, changes[name], name, strength, seed) for image in images]


def _change_one(image: Image, change: PixelChange, name: str, strength: int, seed: int) -> Image:
    key = hashlib.sha256(f"{seed} {name} {image.digest}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key[:8], "little"))
    pixels = change(np.asarray(image.pixels), strength, generator)
    return Image.of_pixels(pixels, height_px=image.height_px, width_px=image.width_px)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Clipped to 0..255 and rounded, uint8."""
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def to_pillow(pixels: np.ndarray) -> PillowImage.Image:
    """(H, W, 1 or 3) uint8 as a Pillow picture."""
    return PillowImage.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def from_pillow(image: PillowImage.Image, pixels: np.ndarray) -> np.ndarray:
    """A Pillow picture in the shape of `pixels`."""
    return np.asarray(image).reshape(pixels.shape).copy()


def jpeg_of_quality(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Packed as JPEG and unpacked."""
    buffer = io.BytesIO()
    to_pillow(pixels).save(buffer, format="JPEG", quality=quality)
    with PillowImage.open(buffer) as image:
        return from_pillow(image, pixels)
