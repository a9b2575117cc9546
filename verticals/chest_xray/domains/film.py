"""From attenuation to the picture a hospital stores: detector, display curve, border, letters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from verticals.chest_xray.domains.hospitals import Hospital
from verticals.chest_xray.domains.shapes import cloud

LETTERS = {
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "P": ("####.", "#...#", "#...#", "####.", "#....", "#....", "#...."),
    "^": ("..#..", ".###.", "#.#.#", "..#..", "..#..", "..#..", "..#.."),
}


@dataclass(frozen=True)
class Film:
    """How one exposure is shown.

    grain_seed: of the noise. is_portable: taken by the bedside unit, which prints its own marker. border: pixels that
    the collimator hides at top, right, bottom, left.
    """

    exposure: float
    contrast: float
    blur_px: float
    noise: float
    unsharp: float
    letter: str
    letter_px: int
    is_portable: bool
    border: tuple[int, int, int, int]
    grain_seed: int


def draw_film(hospital: Hospital, random: np.random.Generator, *, is_portable: bool) -> Film:
    """A new exposure's settings."""
    is_collimated = random.random() < hospital.collimated_share
    border = tuple(int(side) for side in random.integers(0, 14, 4)) if is_collimated else (0, 0, 0, 0)
    return Film(
        exposure=random.uniform(*hospital.exposure),
        contrast=random.uniform(*hospital.contrast),
        blur_px=random.uniform(*hospital.blur_px),
        noise=random.uniform(*hospital.noise) * (1.3 if is_portable else 1.0),
        unsharp=random.uniform(*hospital.unsharp),
        letter=hospital.letter,
        letter_px=hospital.letter_px,
        is_portable=is_portable,
        border=border,
        grain_seed=int(random.integers(2**31)),
    )


def develop(attenuation: np.ndarray, film: Film) -> np.ndarray:
    """(H, W) uint8: blurred, noisy where few photons come through, edge-enhanced, through an S-shaped display curve."""
    random = np.random.default_rng(film.grain_seed)
    shown = gaussian_filter(attenuation, film.blur_px, truncate=3)
    shown += 0.05 * cloud(shown.shape, 14.0, random) + 0.02 * cloud(shown.shape, 3.0, random)
    grain = random.standard_normal(shown.shape, dtype=np.float32) * film.noise
    shown += grain * np.exp(np.clip(shown, 0, 3) * 0.45)
    if film.unsharp:
        shown += film.unsharp * (shown - gaussian_filter(shown, 3.0, truncate=2))
    level = 1 / (1 + np.exp(-film.contrast * (shown - film.exposure)))
    dark = 1 / (1 + np.exp(film.contrast * film.exposure))
    level = np.clip((level - 0.8 * dark) / (1 - 0.8 * dark), 0, 1)
    return _with_letters(_collimated(np.round(level * 245).astype(np.uint8), film.border), film)


def _collimated(pixels: np.ndarray, border: tuple[int, int, int, int]) -> np.ndarray:
    """Black where the collimator let nothing through."""
    top, right, bottom, left = border
    framed = np.zeros_like(pixels)
    rows, columns = slice(top, pixels.shape[0] - bottom), slice(left, pixels.shape[1] - right)
    framed[rows, columns] = pixels[rows, columns]
    return framed


def _with_letters(pixels: np.ndarray, film: Film) -> np.ndarray:
    """The side's letter in the upper corner of that side; the portable unit prints an arrow and a P below it."""
    pixels = pixels.copy()
    margin = max(film.border) + 6
    size = film.letter_px
    _stamp(pixels, film.letter, margin + film.grain_seed % 9, margin, size, is_right=film.letter == "L")
    if film.is_portable:
        for index, letter in enumerate("^P"):
            _stamp(pixels, letter, margin + 32, margin + index * 7 * size, size, is_right=film.letter == "L")
    return pixels


def _stamp(pixels: np.ndarray, letter: str, row: int, margin: int, size: int, *, is_right: bool) -> None:
    """Write one letter of 7 x 5 blocks of `size` px, counted from the left or the right border."""
    bitmap = np.kron(np.array([[mark == "#" for mark in line] for line in LETTERS[letter]]), np.ones((size, size)))
    left = pixels.shape[1] - margin - bitmap.shape[1] if is_right else margin
    block = pixels[row : row + bitmap.shape[0], left : left + bitmap.shape[1]]
    np.copyto(block, np.uint8(250), where=bitmap.astype(bool))
