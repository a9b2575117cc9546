"""Views of a picture that keep its label: mirrored and turned, and the way back for maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import numpy as np

from core.errors import BadParamsError

Views = Literal["none", "flip_horizontal", "half_turn", "flips", "dihedral"]
# A view is (quarter turns to the left, mirrored left to right first).
View = tuple[int, bool]
VIEWS: Mapping[str, tuple[View, ...]] = {
    "none": ((0, False),),
    "flip_horizontal": ((0, False), (0, True)),
    "half_turn": ((0, False), (2, False)),
    "flips": ((0, False), (0, True), (2, True), (2, False)),  # as is, left-right, up-down, both
    "dihedral": tuple((turns, is_mirrored) for is_mirrored in (False, True) for turns in range(4)),
}
# `torch.Tensor` or `np.ndarray`; torch is not imported for it.
Array = TypeVar("Array")


def num_views(views: str) -> int:
    """How many views a rule gives.

    Raises:
        BadParamsError: no such rule.
    """
    return len(_of(views))


def apply_view(pixels: Array, views: str, index: int) -> Array:
    """View number `index` of a rule.

    Shape: pixels (N, S, S, C) of NumPy or torch, any further axes; square, since a quarter turn swaps the sides.
    """
    turns, is_mirrored = _of(views)[index]
    if is_mirrored:
        pixels = _mirror(pixels, axis=2)
    return _turn(pixels, turns, axes=(1, 2))


def undo_view(maps: Array, views: str, index: int) -> Array:
    """Bring maps of a view back into the picture's own position.

    Shape: (N, ..., h, w); the last two axes are turned.
    """
    turns, is_mirrored = _of(views)[index]
    maps = _turn(maps, -turns % 4, axes=(maps.ndim - 2, maps.ndim - 1))
    return _mirror(maps, axis=maps.ndim - 1) if is_mirrored else maps


def _of(views: str) -> tuple[View, ...]:
    """The rule's views."""
    if views not in VIEWS:
        raise BadParamsError(f"Unknown views '{views}'.", repair=f"Choose from: {', '.join(VIEWS)}.")
    return VIEWS[views]


def _mirror(array: Array, *, axis: int) -> Array:
    """Reversed along an axis."""
    return np.flip(array, axis) if isinstance(array, np.ndarray) else array.flip(axis)


def _turn(array: Array, turns: int, *, axes: tuple[int, int]) -> Array:
    """Quarter turns from the first towards the second axis."""
    if turns == 0:
        return array
    return np.rot90(array, turns, axes) if isinstance(array, np.ndarray) else array.rot90(turns, axes)
