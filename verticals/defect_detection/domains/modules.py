"""Which solar cells were probably cut from one module: the data set's numbering tells, its files do not."""

from __future__ import annotations

import numpy as np

MIN_CELLS, MAX_CELLS = 40, 80
USUAL_CELLS = 60  # of a module
ODD_COST_STEPS = 1000.0  # of a block of another size, in usual steps from cell to cell: as few of them as can be


def module_blocks(cell_types: np.ndarray, statistics: np.ndarray) -> np.ndarray:
    """(N,) int block of every cell, counted from 0 in file order.

    The cells are numbered module by module. A change of type is a module's end. Of the ten runs of one type six hold an
    exact multiple of 60 cells, and one block for every 60 cells of a run gives 44, the published number of modules. So
    a run is cut into that many contiguous blocks of 40 to 80 cells: with as few blocks of other than 60 cells as can
    be, and where these lie, the scatter of low-level statistics (brightness, spread, edges) inside the blocks decides.
    No label is used. The true modules are not published: where a run is no multiple of 60, edges may be wrong.

    Shape: cell_types (N,), statistics (N, D) in file order, as `cell_statistics` gives them.
    """
    values = _rank_fractions(np.asarray(statistics, dtype=float))
    cell_types = np.asarray(cell_types)
    steps = ((values[1:] - values[:-1]) ** 2).sum(axis=1)
    odd_cost = ODD_COST_STEPS * float(np.median(steps)) if len(steps) else 0.0
    changes = np.flatnonzero(cell_types[1:] != cell_types[:-1]) + 1
    is_start = np.zeros(len(cell_types), dtype=int)
    for begin, end in zip([0, *changes], [*changes, len(cell_types)], strict=True):
        is_start[[begin + cut for cut in cut_run(values[begin:end], odd_cost)]] = 1
    return np.cumsum(is_start) - 1


def cell_statistics(pixels: np.ndarray) -> np.ndarray:
    """(D,) low-level statistics of one grey cell (H, W): brightness, percentiles, borders, edges, coarse profiles."""
    grey = np.asarray(pixels, dtype=float)
    borders = [edge.mean() for edge in (grey[:8], grey[-8:], grey[:, :8], grey[:, -8:])]
    edges = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    percentiles = np.percentile(grey, [5, 25, 50, 75, 95])
    profiles = [np.median(grey, axis=axis)[::10] for axis in (1, 0)]
    return np.concatenate([[grey.mean(), grey.std()], percentiles, borders, edges, *profiles])


def cut_run(values: np.ndarray, odd_cost: float) -> list[int]:
    """Starts of the blocks of one run (N, D), the first being 0: the least sum of scatter and costs of odd sizes.

    By dynamic programming over (number of blocks, end); one block for every 60 cells.
    """
    num_cells, num_blocks = len(values), max(1, round(len(values) / USUAL_CELLS))
    if num_blocks == 1 or not MIN_CELLS * num_blocks <= num_cells <= MAX_CELLS * num_blocks:
        return [round(num_cells * block / num_blocks) for block in range(num_blocks)]
    sums = np.vstack([np.zeros(values.shape[1]), np.cumsum(values, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((values**2).sum(axis=1))])
    least = np.full((num_blocks + 1, num_cells + 1), np.inf)
    least[0, 0], previous = 0.0, np.zeros((num_blocks + 1, num_cells + 1), dtype=int)
    for block in range(1, num_blocks + 1):
        for end in range(MIN_CELLS * block, min(num_cells, MAX_CELLS * block) + 1):
            starts = np.arange(max(0, end - MAX_CELLS), end - MIN_CELLS + 1)
            sizes = end - starts
            scatter = squares[end] - squares[starts] - ((sums[end] - sums[starts]) ** 2).sum(axis=1) / sizes
            costs = least[block - 1, starts] + scatter + odd_cost * (sizes != USUAL_CELLS)
            best = int(np.argmin(costs))
            least[block, end], previous[block, end] = costs[best], starts[best]
    cuts, end = [], num_cells
    for block in range(num_blocks, 0, -1):
        end = int(previous[block, end])
        cuts.append(end)
    return cuts[::-1]


def _rank_fractions(statistics: np.ndarray) -> np.ndarray:
    """(N, D) ranks in 0..1, so that no statistic and no odd cell outweighs the others."""
    ranks = np.argsort(np.argsort(statistics, axis=0, kind="stable"), axis=0, kind="stable")
    return ranks / max(1, len(statistics))
