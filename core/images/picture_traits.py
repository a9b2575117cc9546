"""Cheap numbers of a picture: itself at low resolution, and how bright, rich in contrast, sharp and coloured it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image as PillowImage

from core.images.image import Image

SIDE_PX = 16
NUM_COMPONENTS = 24
PREFIX = "traits_"


@dataclass(frozen=True)
class Traits:
    """grid: (N, 256) grey at 16 x 16 px, each picture with mean 0 and deviation 1. mean, contrast: (N,) of the grey
    values. sharpness: (N,) log(0.1 + mean |step between neighbours|). colour: (N,) mean spread of the channels."""

    grid: np.ndarray
    mean: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray
    colour: np.ndarray


def traits_of(images: Sequence[Image]) -> Traits:
    """The traits of N pictures."""
    rows = [_of_picture(np.asarray(image.pixels)) for image in images]
    grids = np.array([grid for grid, _ in rows]).reshape(len(rows), SIDE_PX**2)
    numbers = np.array([told for _, told in rows]).reshape(len(rows), 4)
    return Traits(grids, *numbers.T)


@dataclass(frozen=True)
class PictureTraits:
    """Traits as columns on a common scale, with how much of a grid is foreign to the training pictures.

    components: (K, 256) main directions of the training grids around `centre`; what they miss of a grid is foreign.
    means, scales: (P,) of the training pictures' columns.
    """

    centre: np.ndarray
    components: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    @classmethod
    def fit(cls, images: Sequence[Image]) -> Self:
        """From good pictures alone."""
        traits = traits_of(images)
        centre = traits.grid.mean(axis=0)
        directions = np.linalg.svd(traits.grid - centre, full_matrices=False)[2]
        components = directions[: min(NUM_COMPONENTS, max(1, len(images) // 4))]
        columns = _columns(traits, centre, components)
        return cls(centre, components, columns.mean(axis=0), np.maximum(columns.std(axis=0), 1e-3))

    def standardised(self, images: Sequence[Image]) -> np.ndarray:
        """(N, P) columns; 0 is the training pictures' mean, 1 their deviation; cut at 30."""
        columns = _columns(traits_of(images), self.centre, self.components)
        return np.clip((columns - self.means) / self.scales, -30.0, 30.0)

    def arrays(self) -> dict[str, np.ndarray]:
        """To save."""
        return {f"{PREFIX}{name}": values for name, values in vars(self).items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        return cls(*(arrays[f"{PREFIX}{name}"] for name in cls.__dataclass_fields__))


def _of_picture(pixels: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """The grid (256,), and (mean, contrast, sharpness, colour)."""
    values = pixels.astype(np.float32)
    grey, colour = values.mean(axis=2), float((values.max(axis=2) - values.min(axis=2)).mean())
    small = PillowImage.fromarray(grey).resize((SIDE_PX, SIDE_PX), PillowImage.Resampling.BOX)
    grid = np.asarray(small, dtype=np.float64).ravel()
    grid = (grid - grid.mean()) / max(grid.std(), 1.0)
    steps = (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2
    return grid, (float(grey.mean()), float(grey.std()), float(np.log(0.1 + steps)), colour)


def _columns(traits: Traits, centre: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(N, 261): the grid, the four numbers, and the length of the grid's foreign part."""
    apart = traits.grid - centre
    foreign = np.linalg.norm(apart - apart @ components.T @ components, axis=1)
    return np.column_stack([traits.grid, traits.mean, traits.contrast, traits.sharpness, traits.colour, foreign])
