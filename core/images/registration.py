"""By how much one picture lies beside another: phase correlation."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import shift as shift_picture

SMALLEST_POWER = 1e-12


def phase_shift(
    moving: np.ndarray, fixed: np.ndarray, *, max_shift_px: int, use_subpixel: bool = False
) -> tuple[float, float]:
    """(rows, columns) to move picture `moving` (h, w) by, so that it lies on `fixed`; at most max_shift_px a side.

    A window that falls to the border keeps the border itself from being matched. use_subpixel: the top of the parabola
    through the peak and its neighbours.

    Source: Kuglin & Hines 1975, "The phase correlation image alignment method"; Foroosh, Zerubia & Berthod 2002 on why
    the peak of a shift between pixels is spread over its neighbours.
    """
    rows, columns = fixed.shape
    window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1])
    spectra = [np.fft.rfft2((picture - picture.mean()) * window) for picture in (fixed, moving)]
    cross = spectra[0] * np.conj(spectra[1])
    size = np.abs(cross)
    correlation = np.fft.irfft2(cross / (size + SMALLEST_POWER + 1e-3 * size.mean()), s=fixed.shape)
    reach = min(max_shift_px, (min(rows, columns) - 1) // 2)
    offsets = np.arange(-reach, reach + 1)
    near = correlation[np.ix_(offsets % rows, offsets % columns)]
    row, column = np.unravel_index(int(np.argmax(near)), near.shape)
    found = [float(offsets[row]), float(offsets[column])]
    if use_subpixel:
        found[0] += _parabola_top(near[:, column], row)
        found[1] += _parabola_top(near[row], column)
    return round(found[0], 2), round(found[1], 2)  # a hundredth is below what noise allows; zero stays zero


def shifted(picture: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    """The (h, w) picture moved by (rows, columns), linear between pixels; the border is continued."""
    if by == (0.0, 0.0):
        return picture
    return shift_picture(picture, by, order=1, mode="nearest")


def is_known(shape: tuple[int, int], by: tuple[float, float]) -> np.ndarray:
    """(h, w) bool: where a picture moved by (rows, columns) shows itself and not its continued border."""
    rows, columns = (np.arange(side) for side in shape)
    inside = [
        (axis - step >= 0) & (axis - step <= side - 1)
        for axis, step, side in zip((rows, columns), by, shape, strict=True)
    ]
    return inside[0][:, None] & inside[1]


def _parabola_top(values: np.ndarray, place: int) -> float:
    """Where between -0.5 and 0.5 of `place` the parabola through it and its neighbours is highest."""
    if place in (0, len(values) - 1):
        return 0.0
    before, here, after = values[place - 1 : place + 2]
    bend = before - 2.0 * here + after
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))
