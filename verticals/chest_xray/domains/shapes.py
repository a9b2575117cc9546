"""Soft shapes on a grid: the building blocks of a drawn radiograph."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

EDGE = 0.006  # of the picture's height: half the width of an organ's edge


def inside(distance: np.ndarray, edge: float = EDGE) -> np.ndarray:
    """0 to 1: how far inside a shape, from the signed distance to its border (positive inside)."""
    return (1 / (1 + np.exp(np.clip(-distance / (edge * 0.5), -30, 30)))).astype(np.float32)


def ellipse(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], axes: tuple[float, float], tilt: float = 0.0):
    """Signed distance to an ellipse, roughly, positive inside. axes: half lengths; tilt: radians, clockwise."""
    cosine, sine = np.cos(tilt), np.sin(tilt)
    along = (cosine * (x - centre[0]) + sine * (y - centre[1])) / axes[0]
    across = (cosine * (y - centre[1]) - sine * (x - centre[0])) / axes[1]
    return (1 - np.sqrt(along**2 + across**2)) * min(axes)


def tube(distance: np.ndarray, half_width: float) -> np.ndarray:
    """0 to 1: shadow of a bone with a dense shell, by the distance to its axis."""
    part = np.abs(distance) / half_width
    body = np.sqrt(np.clip(1 - part**2, 0, None))
    shell = np.exp(-(((part - 0.8) / 0.22) ** 2))
    return (0.65 * body + 0.35 * shell).astype(np.float32)


def cloud(shape: tuple[int, int], sigma_px: float, random: np.random.Generator) -> np.ndarray:
    """Smooth noise of mean 0 and standard deviation 1; a coarse grid is drawn and enlarged where sigma allows."""
    step = max(1, int(sigma_px / 2))
    coarse = random.standard_normal((shape[0] // step + 3, shape[1] // step + 3), dtype=np.float32)
    noise = gaussian_filter(coarse, sigma_px / step, truncate=3)
    if step > 1:
        noise = zoom(noise, step, order=3)[: shape[0], : shape[1]]
    noise = noise[: shape[0], : shape[1]]
    return (noise - noise.mean()) / (noise.std() + 1e-6)
