"""Pictures that nobody should judge, made of good ones: inverted, upside down, turned, a part, no radiograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image as PillowImage

from core.images.image import Image

INVERTED, UPSIDE_DOWN, TURNED = "inverted", "upside down", "turned by 90 degrees"
WRONG_PART, NOT_A_RADIOGRAPH = "wrong part", "not a radiograph"
BLOCKS = (2, 4, 7)  # a picture is cut into so many blocks a side
PART_FRACTIONS = (0.35, 0.55)  # of the side, kept of a wrong part
ROUGHNESS = (0.0, 2.5)  # exponent of the spectrum: 0 is white noise, about 2 is a photo's

Maker = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def make_wrong(images: Sequence[Image], kind: str, generator: np.random.Generator) -> list[Image]:
    """(N,) one wrong picture of each good one. kind: a key of WRONG_PICTURES."""
    return [Image.of_pixels(WRONG_PICTURES[kind](np.asarray(image.pixels), generator)) for image in images]


def inverted(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """White is black: a MONOCHROME1 file that nobody turned around."""
    return 255 - pixels


def upside_down(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The lower edge above, mirrored or turned by half."""
    flipped = pixels[::-1]
    return np.ascontiguousarray(flipped[:, ::-1] if generator.random() < 0.5 else flipped)


def turned(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """By 90 degrees to the left or to the right."""
    return np.ascontiguousarray(np.rot90(pixels, 1 if generator.random() < 0.5 else 3))


def wrong_part(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A third to a half of the side, near a corner or an edge, enlarged to the whole."""
    side = len(pixels)
    size = max(2, round(side * generator.uniform(*PART_FRACTIONS)))
    top, left = (int(generator.choice([0, side - size])) for _ in range(2))
    if generator.random() < 0.4:
        left = (side - size) // 2
    return _resize(pixels[top : top + size, left : left + size], side)


def not_a_radiograph(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The picture's blocks in any order, or noise that is as rough as white noise or as smooth as a photo."""
    return _shuffled(pixels, generator) if generator.random() < 0.5 else _noise(pixels, generator)


WRONG_PICTURES: dict[str, Maker] = {
    INVERTED: inverted,
    UPSIDE_DOWN: upside_down,
    TURNED: turned,
    WRONG_PART: wrong_part,
    NOT_A_RADIOGRAPH: not_a_radiograph,
}


def _shuffled(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Blocks in a drawn order; what a block size does not divide stays as it is."""
    num = int(generator.choice(BLOCKS))
    size, result = len(pixels) // num, pixels.copy()
    for place, taken in enumerate(generator.permutation(num * num)):
        (row, column), (of_row, of_column) = divmod(place, num), divmod(int(taken), num)
        result[row * size : (row + 1) * size, column * size : (column + 1) * size] = pixels[
            of_row * size : (of_row + 1) * size, of_column * size : (of_column + 1) * size
        ]
    return result


def _noise(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise in each channel whose amplitude falls with the frequency, spread over a drawn range of grey."""
    side = len(pixels)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) + 1 / side
    fall = frequency ** (-generator.uniform(*ROUGHNESS) / 2)
    centre, spread = generator.uniform(60, 190), generator.uniform(15, 70)
    result = np.empty(pixels.shape, dtype=np.uint8)
    for channel in range(pixels.shape[2]):
        field = np.fft.ifft2(np.fft.fft2(generator.standard_normal((side, side))) * fall).real
        field = (field - field.mean()) / max(field.std(), 1e-12)
        result[..., channel] = np.clip(centre + spread * field, 0, 255)
    return result


def _resize(pixels: np.ndarray, side: int) -> np.ndarray:
    """(S, S, C) of a part (s, s, C)."""
    parts = [
        np.asarray(
            PillowImage.fromarray(np.ascontiguousarray(pixels[..., channel])).resize(
                (side, side), PillowImage.Resampling.BILINEAR
            )
        )
        for channel in range(pixels.shape[2])
    ]
    return np.stack(parts, axis=2)
