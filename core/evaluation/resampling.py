"""Bootstrap draws as counts: how many times each row is in each replicate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.errors import BadInputError

# A chunk of counts stays below 16 MB, so that a million rows or replicates cost time, not memory.
MAX_CHUNK_CELLS = 2_000_000


def resample_counts(
    num_rows: int,
    num_bootstrap: int,
    *,
    seed: int,
    groups: np.ndarray | None = None,
    strata: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Chunks (b, N) of float counts, `num_bootstrap` rows in all; the same seed gives the same draws.

    groups (N,): whole groups are drawn with replacement (cluster bootstrap), for rows of one person or part.
    strata (N,): rows are drawn within each stratum, so that every replicate has as many of each as the data.

    Source: Efron & Tibshirani 1993, chapters 6 and 8; clusters: Davison & Hinkley 1997, section 3.8.

    Raises:
        BadInputError: both groups and strata are given, or their length is not N.
    """
    if groups is not None and strata is not None:
        raise BadInputError("Give groups or strata, not both: a group may hold rows of several strata.")
    for name, values in (("groups", groups), ("strata", strata)):
        if values is not None and len(values) != num_rows:
            raise BadInputError(f"{name} has {len(values)} rows, expected {num_rows}.")
    rng = np.random.default_rng(seed)
    chunk = max(1, MAX_CHUNK_CELLS // max(num_rows, 1))
    for start in range(0, num_bootstrap, chunk):
        size = min(chunk, num_bootstrap - start)
        if groups is not None:
            names, member = np.unique(np.asarray(groups).astype(str), return_inverse=True)
            yield _draw(rng, size, len(names))[:, member]
        elif strata is not None:
            counts = np.empty((size, num_rows))
            for stratum in np.unique(strata):
                rows = np.flatnonzero(strata == stratum)
                counts[:, rows] = _draw(rng, size, len(rows))
            yield counts
        else:
            yield _draw(rng, size, num_rows)


def _draw(rng: np.random.Generator, num_replicates: int, num_units: int) -> np.ndarray:
    """(B, U) counts of U draws with replacement from U units."""
    drawn = rng.integers(num_units, size=(num_replicates, num_units))
    drawn += np.arange(num_replicates)[:, None] * num_units
    counts = np.bincount(drawn.ravel(), minlength=num_replicates * num_units)
    return counts.reshape(num_replicates, num_units).astype(float)
