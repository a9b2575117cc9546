"""Few rows that stand for many: the greedy k-centre coreset."""

from __future__ import annotations

import numpy as np


def greedy_coreset(
    rows: np.ndarray, count: int, *, seed: int, projection_dim: int | None = 128, start: int | None = None
) -> np.ndarray:
    """Positions (count,) of rows (N, D), each the farthest from those chosen before it.

    The largest distance of a row to its nearest chosen one is at most twice the least possible (before projection).
    projection_dim: distances are measured after a Gaussian random projection; None measures them in full.
    start: the first position; drawn where it is not told.

    Source: Roth et al. 2022, "Towards total recall in industrial anomaly detection", algorithm 1; the projection
    Johnson & Lindenstrauss 1984 by way of Sinha et al. 2020, "Small-GAN", section 3.
    """
    generator = np.random.default_rng(seed)
    num_rows, num_columns = rows.shape
    if count >= num_rows:
        return np.arange(num_rows)
    rows = rows.astype(np.float32)
    if projection_dim is not None and projection_dim < num_columns:
        projection = generator.standard_normal((num_columns, projection_dim)) / np.sqrt(projection_dim)
        rows = rows @ projection.astype(np.float32)
    squares = np.einsum("nd,nd->n", rows, rows)
    nearest = np.full(num_rows, np.inf, dtype=np.float32)
    chosen = np.empty(count, dtype=np.int64)
    position = int(generator.integers(num_rows)) if start is None else start
    for place in range(count):
        chosen[place] = position
        distances = squares + squares[position] - 2.0 * (rows @ rows[position])
        np.minimum(nearest, distances, out=nearest)
        nearest[position] = -np.inf  # never twice, even where rows are equal
        position = int(np.argmax(nearest))
    return chosen


def random_coreset(num_rows: int, count: int, *, seed: int) -> np.ndarray:
    """Positions (min(count, num_rows),) drawn without replacement, sorted."""
    count = min(count, num_rows)
    return np.sort(np.random.default_rng(seed).choice(num_rows, count, replace=False))
