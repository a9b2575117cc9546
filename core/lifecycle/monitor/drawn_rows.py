"""At most so many rows of a side, whole groups where that can be."""

from __future__ import annotations

import numpy as np

MIN_DRAWN_GROUPS = 20


def draw_sides(
    reference_groups: np.ndarray, batch_groups: np.ndarray, max_rows: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rising positions of at most `max_rows` rows of each side, with groups (N,) and (M,).

    Whole groups in random order until a side is full. Where a side has too many rows, each group of either side is
    cut to a twentieth of `max_rows` at random first: a few large groups then do not fill a side, and groups of both
    sides stay of one kind. Sides that fit are taken whole.
    """
    sides = [np.asarray(groups).astype(str) for groups in (reference_groups, batch_groups)]
    if max(len(side) for side in sides) <= max_rows:
        return tuple(np.arange(len(side)) for side in sides)
    random = np.random.default_rng(seed)
    return tuple(_draw(side, max_rows, random) for side in sides)


def _draw(groups: np.ndarray, max_rows: int, random: np.random.Generator) -> np.ndarray:
    member = np.unique(groups, return_inverse=True)[1]
    order = random.permutation(len(member))
    order = order[np.argsort(member[order], kind="stable")]  # group after group, rows of each in random order
    starts = np.r_[0, np.cumsum(np.bincount(member))]
    place_in_group = np.arange(len(order)) - starts[member[order]]
    kept = order[place_in_group < max(max_rows // MIN_DRAWN_GROUPS, 1)]
    sizes = np.bincount(member[kept])
    turn = random.permutation(len(sizes))
    is_drawn = np.zeros(len(sizes), dtype=bool)
    is_drawn[turn[np.cumsum(sizes[turn]) <= max_rows]] = True
    return np.sort(kept[is_drawn[member[kept]]])
