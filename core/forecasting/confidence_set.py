"""Which of many methods may be the best? The model confidence set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import BadInputError
from core.forecasting.checked_rows import finite_rows, require_count, require_fraction


@dataclass(frozen=True)
class ConfidenceSet:
    """The methods that may be the best, with a chance of at least 1 - size that the best is among them.

    p_values: of every method, in the order given; a method is in the set where its own is above `size`.
    block_length: mean days of a block of the bootstrap.
    """

    included: tuple[str, ...]
    p_values: dict[str, float]
    size: float
    block_length: int


def model_confidence_set(
    losses: Mapping[str, np.ndarray], *, horizon: int, size: float = 0.10, reps: int = 1000, seed: int
) -> ConfidenceSet:
    """The confidence set of methods by their losses (N,) on the same rows of consecutive days.

    Range statistic, stationary bootstrap of `reps` draws with blocks of `set_block_length`. Methods of equal losses
    share a p-value. Few blocks make bootstrapped variances too low and the set too small: with targets of 22 days two
    equal methods were told apart at 5 % in 17 % of draws of 500 rows, in 8 % of 2,500.

    Source: Hansen, Lunde & Nason 2011, by `arch.bootstrap.MCS`; bootstrap: Politis & Romano 1994.

    Raises:
        BadInputError: no losses, lengths differ, a loss is missing or infinite, or two methods differ by the same
            number on every row, which leaves nothing to resample.
        BadParamsError: horizon or reps below 1, or size not between 0 and 1.
    """
    require_count(horizon, "horizon", at_least=1)
    require_count(reps, "reps", at_least=1)
    require_fraction(size, "size")
    if not losses:
        raise BadInputError("No losses to compare.", repair="Give the losses of at least one method.")
    columns = dict(zip(losses, finite_rows(**losses), strict=True))
    block_length = set_block_length(len(next(iter(columns.values()))), horizon)
    # Equal columns have no variance between them: the bootstrap sees each once.
    first_equal = {
        name: next(other for other, other_losses in columns.items() if np.array_equal(values, other_losses))
        for name, values in columns.items()
    }
    distinct = {name: columns[name] for name in dict.fromkeys(first_equal.values())}
    told = _p_values(distinct, size, reps, block_length, seed)
    p_values = {name: told[first] for name, first in first_equal.items()}
    included = tuple(name for name, p_value in p_values.items() if p_value > size)
    return ConfidenceSet(included, p_values, size, block_length)


def set_block_length(num_rows: int, horizon: int) -> int:
    """max(2 h, ceil(N^(1/3))), at most N: blocks hold the overlap of the targets and grow with the rows."""
    return min(num_rows, max(2 * horizon, math.ceil(num_rows ** (1 / 3))))


def _p_values(columns: dict[str, np.ndarray], size: float, reps: int, block_length: int, seed: int) -> dict[str, float]:
    """P-value by method, of losses that all differ."""
    for (name, losses), (other, other_losses) in itertools.combinations(columns.items(), 2):
        if np.ptp(losses - other_losses) == 0:
            raise BadInputError(
                f"The losses of '{name}' and '{other}' differ by the same number on every row.",
                repair="Leave out the worse of the two.",
            )
    if len(columns) == 1:
        return dict.fromkeys(columns, 1.0)
    from arch.bootstrap import MCS

    procedure = MCS(np.column_stack(list(columns.values())), size, reps=reps, block_size=block_length, seed=seed)
    procedure.compute()
    by_index = procedure.pvalues["Pvalue"]
    return {name: float(by_index.loc[index]) for index, name in enumerate(columns)}
