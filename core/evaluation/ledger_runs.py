"""The runs of a ledger: what one fitted method told of the common test rows, checked to be comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import BadInputError, did_you_mean
from core.evaluation.scored_rows import ScoredRows

Budget = int | str
Cell = tuple[Budget, str]


@dataclass(frozen=True)
class MethodRun:
    """One method fitted with one draw of labels.

    budget: number of target labels, or "all". draw: which sample of labels; methods with the same draw saw the same
    labels. A kind of run adds what the method told of the common test rows, fit_seconds, info, and test_ids (N,): where
    given, they must be the same in all runs.
    """

    method: str
    budget: Budget
    draw: int
    seed: int

    def __str__(self) -> str:
        return f"{self.method} at {self.budget} labels, draw {self.draw}"


@dataclass(frozen=True)
class LedgerRun(MethodRun):
    """A run with its probabilities (N, C) of the common test rows."""

    probability: np.ndarray
    fit_seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)
    test_ids: np.ndarray | None = None


def scored_cells(
    runs: Sequence[LedgerRun], labels: np.ndarray, positive_index: int
) -> dict[Cell, dict[int, ScoredRows]]:
    """(budget, method) -> draw -> checked rows; labels (N,). Raises as `checked_cells`."""
    return checked_cells(
        runs, len(labels), "probability", lambda told: ScoredRows.checked(labels, told, positive_index)
    )


def checked_cells(
    runs: Sequence[Any], num_rows: int, field_name: str, check: Callable[[np.ndarray], Any]
) -> dict[Cell, dict[int, Any]]:
    """(budget, method) -> draw -> what `check` makes of the run's field of that name, which has `num_rows` rows.

    Raises:
        BadInputError: no runs, other test rows, missing values, or a run given twice; the run is named.
    """
    if not runs:
        raise BadInputError("The ledger got no runs.")
    cells: dict[Cell, dict[int, Any]] = defaultdict(dict)
    known_ids = next((run.test_ids for run in runs if run.test_ids is not None), None)
    for run in runs:
        told = getattr(run, field_name)
        if len(told) != num_rows:
            raise BadInputError(
                f"{run} scored {len(told)} test rows, expected {num_rows}.",
                repair="All runs of a ledger must score the same test rows.",
            )
        if run.test_ids is not None and not np.array_equal(run.test_ids, known_ids):
            raise BadInputError(f"{run} scored other test rows than the first run, or in another order.")
        if run.draw in cells[run.budget, run.method]:
            raise BadInputError(f"{run} is given twice.")
        try:
            cells[run.budget, run.method][run.draw] = check(told)
        except BadInputError as error:
            raise BadInputError(f"{run}: {error.message}", repair=error.repair) from None
    return dict(cells)


def check_draws(scored: Mapping[Cell, Mapping[int, Any]], baseline: str) -> None:
    """Every method has exactly the draws that the baseline has, at each budget at which the baseline ran.

    Raises:
        BadInputError: no run of the baseline, or a method with other draws.
    """
    methods = sorted({method for _, method in scored})
    if baseline not in methods:
        raise BadInputError(f"No run of the baseline '{baseline}'.", repair=did_you_mean(baseline, methods))
    for budget in {budget for budget, method in scored if method == baseline}:
        wanted = set(scored[budget, baseline])
        for method in methods:
            found = set(scored.get((budget, method), ()))
            if found != wanted:
                raise BadInputError(
                    f"{method} at {budget} labels has draws {sorted(found)}, {baseline} has {sorted(wanted)}.",
                    repair="A paired comparison needs the same draws of every method.",
                )
