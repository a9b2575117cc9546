"""What happens to pictures on a line, at three strengths: light, focus, noise, a turned part, compression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from core.images.image import Image
from core.images.pixel_changes import PixelChange, as_bytes, change_pictures, from_pillow, jpeg_of_quality, to_pillow

STRENGTHS = (1, 2, 3)
BRIGHTNESS_FRACTIONS = (0.1, 0.2, 0.4)  # brighter or darker by so much
BLUR_FRACTIONS = (0.002, 0.004, 0.008)  # sigma, of the side
NOISE_FRACTIONS = (0.02, 0.05, 0.1)  # standard deviation, of the full range
ROTATION_DEGREES = (2.0, 5.0, 10.0)  # to the left or to the right
JPEG_QUALITIES = (75, 40, 15)


def disturb(images: Sequence[Image], name: str, strength: int, *, seed: int = 0) -> list[Image]:
    """(N,) the pictures after one disturbance.

    strength: 1 (hardly seen) to 3 (strong). Chance is drawn from the seed and the picture itself, so neither its place
    nor its neighbours change the result.

    Raises:
        BadParamsError: no such disturbance or strength.
    """
    return change_pictures(images, DISTURBANCES, name, strength, strengths=STRENGTHS, what="disturbance", seed=seed)


def brightness(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Every pixel times 1 + f or 1 - f."""
    factor = 1.0 + _sign(generator) * BRIGHTNESS_FRACTIONS[strength - 1]
    return as_bytes(pixels.astype(np.float64) * factor)


def blur(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """A Gaussian blur of a fixed fraction of the side."""
    sigma_px = BLUR_FRACTIONS[strength - 1] * pixels.shape[0]
    return from_pillow(to_pillow(pixels).filter(ImageFilter.GaussianBlur(sigma_px)), pixels)


def noise(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Independent normal noise in each value."""
    spread = 255.0 * NOISE_FRACTIONS[strength - 1]
    return as_bytes(pixels + spread * generator.standard_normal(pixels.shape))


def rotation(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Turned around its centre; the corners take the border's median."""
    degrees = _sign(generator) * ROTATION_DEGREES[strength - 1]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    fill = tuple(int(value) for value in np.median(border, axis=0))
    image = to_pillow(pixels)
    fill_colour = fill[0] if image.mode == "L" else fill
    return from_pillow(image.rotate(degrees, PillowImage.Resampling.BILINEAR, fillcolor=fill_colour), pixels)


def jpeg(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Packed as JPEG and unpacked."""
    return jpeg_of_quality(pixels, JPEG_QUALITIES[strength - 1])


DISTURBANCES: dict[str, PixelChange] = {
    "brightness": brightness,
    "blur": blur,
    "noise": noise,
    "rotation": rotation,
    "jpeg": jpeg,
}


def _sign(generator: np.random.Generator) -> float:
    return float(generator.choice([-1.0, 1.0]))
