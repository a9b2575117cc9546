"""What happens to radiographs between the detector and the model, at five graded strengths, after MedMNIST-C."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from core.images.image import Image
from core.images.pixel_changes import PixelChange, as_bytes, change_pictures, from_pillow, jpeg_of_quality, to_pillow

STRENGTHS = (1, 2, 3, 4, 5)
# The strengths that MedMNIST-C gives its ChestMNIST. Scales and blurs are told for a picture of 224 px.
PIXELATE_FRACTIONS = (0.30, 0.25, 0.20, 0.15, 0.10)  # of the side, kept
JPEG_QUALITIES = (50, 30, 15, 10, 7)
GAUSSIAN_DEVIATIONS = (0.04, 0.08, 0.12, 0.18, 0.26)  # of the full range
SPECKLE_DEVIATIONS = (0.05, 0.15, 0.20, 0.35, 0.45)  # of a pixel's own value
IMPULSE_FRACTIONS = (0.01, 0.03, 0.06, 0.09, 0.17)  # of the pixels, half black and half white
BLUR_SIGMAS_PX = (0.8, 1.1, 1.4, 1.7, 2.0)  # of kernels of 3 to 11 px
BLUR_SIDE_PX = 224
BRIGHTER, DARKER = (1.1, 1.2, 1.3, 1.4, 1.5), (0.9, 0.8, 0.7, 0.6, 0.5)
MORE_CONTRAST, LESS_CONTRAST = (1.1, 1.2, 1.3, 1.4, 1.6), (0.9, 0.8, 0.7, 0.6, 0.4)
GAMMA_UP, GAMMA_DOWN = (1.1, 1.2, 1.3, 1.4, 1.6), (0.9, 0.8, 0.7, 0.6, 0.4)


def corrupt(images: Sequence[Image], name: str, strength: int, *, seed: int = 0) -> list[Image]:
    """(N,) the pictures after one corruption.

    strength: 1 to 5. Chance is drawn from the seed and the picture itself, so neither its place nor its neighbours
    change the result.

    Source: Di Salvo, Doerrich & Ledig 2024, "MedMNIST-C"; noise and blur after Hendrycks & Dietterich 2019. Written
    anew; resampling and rounding are this module's own.

    Raises:
        BadParamsError: no such corruption or strength.
    """
    return change_pictures(images, CORRUPTIONS, name, strength, strengths=STRENGTHS, what="corruption", seed=seed)


def pixelate(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Made small by averaging, and large again as squares."""
    side = len(pixels)
    small = max(1, int(side * PIXELATE_FRACTIONS[strength - 1]))
    shrunk = to_pillow(pixels).resize((small, small), PillowImage.Resampling.BOX)
    return from_pillow(shrunk.resize((side, side), PillowImage.Resampling.NEAREST), pixels)


def jpeg(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Packed as JPEG and unpacked."""
    return jpeg_of_quality(pixels, JPEG_QUALITIES[strength - 1])


def gaussian_noise(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """x + c n with n standard normal: the detector's electronics."""
    spread = 255.0 * GAUSSIAN_DEVIATIONS[strength - 1]
    return as_bytes(pixels + spread * generator.standard_normal(pixels.shape))


def speckle_noise(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """x + c x n: noise that grows with the signal."""
    return as_bytes(pixels * (1.0 + SPECKLE_DEVIATIONS[strength - 1] * generator.standard_normal(pixels.shape)))


def impulse_noise(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Dead pixels: black or white."""
    chance, fraction = generator.random(pixels.shape), IMPULSE_FRACTIONS[strength - 1]
    return np.where(chance < fraction / 2, 0, np.where(chance > 1 - fraction / 2, 255, pixels)).astype(np.uint8)


def gaussian_blur(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved."""
    sigma_px = BLUR_SIGMAS_PX[strength - 1] * len(pixels) / BLUR_SIDE_PX
    return from_pillow(to_pillow(pixels).filter(ImageFilter.GaussianBlur(sigma_px)), pixels)


def brightness_up(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """c x with c above 1."""
    return as_bytes(pixels * BRIGHTER[strength - 1])


def brightness_down(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """c x with c below 1."""
    return as_bytes(pixels * DARKER[strength - 1])


def contrast_up(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """m + c (x - m) around the picture's mean m, c above 1."""
    return _contrast(pixels, MORE_CONTRAST[strength - 1])


def contrast_down(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """m + c (x - m) around the picture's mean m, c below 1."""
    return _contrast(pixels, LESS_CONTRAST[strength - 1])


def gamma_up(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """255 (x / 255)^c with c above 1: darker middle greys, as of another window or lookup table."""
    return as_bytes(255.0 * (pixels / 255.0) ** GAMMA_UP[strength - 1])


def gamma_down(pixels: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
    """255 (x / 255)^c with c below 1: brighter middle greys."""
    return as_bytes(255.0 * (pixels / 255.0) ** GAMMA_DOWN[strength - 1])


CORRUPTIONS: dict[str, PixelChange] = {
    "pixelate": pixelate,
    "jpeg": jpeg,
    "gaussian_noise": gaussian_noise,
    "speckle_noise": speckle_noise,
    "impulse_noise": impulse_noise,
    "gaussian_blur": gaussian_blur,
    "brightness_up": brightness_up,
    "brightness_down": brightness_down,
    "contrast_up": contrast_up,
    "contrast_down": contrast_down,
    "gamma_up": gamma_up,
    "gamma_down": gamma_down,
}


def _contrast(pixels: np.ndarray, factor: float) -> np.ndarray:
    mean = pixels.mean()
    return as_bytes(mean + factor * (pixels - mean))
