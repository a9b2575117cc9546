"""The runs of a ledger: what one fitted method told of the common test rows, checked to be comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import BadInputError, did_you_mean
from core.evaluation.scored_rows import ScoredRows

Budget = int | str
Cell = tuple[Budget, str]


@dataclass(frozen=True)
class LedgerRun:
    """One method fitted with one draw of labels, and its probabilities (N, C) of the common test rows.

    budget: number of target labels, or "all". draw: which sample of labels; methods with the same draw saw the same
    labels. test_ids (N,): where given, they must be the same in all runs.
    """

    method: str
    budget: Budget
    draw: int
    seed: int
    probability: np.ndarray
    fit_seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)
    test_ids: np.ndarray | None = None


def scored_cells(
    runs: Sequence[LedgerRun], labels: np.ndarray, positive_index: int
) -> dict[Cell, dict[int, ScoredRows]]:
    """(budget, method) -> draw -> checked rows; labels (N,).

    Raises:
        BadInputError: no runs, other test rows, missing values, or a run given twice; the run is named.
    """
    if not runs:
        raise BadInputError("The ledger got no runs.")
    cells: dict[Cell, dict[int, ScoredRows]] = defaultdict(dict)
    known_ids = next((run.test_ids for run in runs if run.test_ids is not None), None)
    for run in runs:
        name = f"{run.method} at {run.budget} labels, draw {run.draw}"
        if len(run.probability) != len(labels):
            raise BadInputError(
                f"{name} scored {len(run.probability)} test rows, expected {len(labels)}.",
                repair="All runs of a ledger must score the same test rows.",
            )
        if run.test_ids is not None and not np.array_equal(run.test_ids, known_ids):
            raise BadInputError(f"{name} scored other test rows than the first run, or in another order.")
        if run.draw in cells[run.budget, run.method]:
            raise BadInputError(f"{name} is given twice.")
        try:
            cells[run.budget, run.method][run.draw] = ScoredRows.checked(labels, run.probability, positive_index)
        except BadInputError as error:
            raise BadInputError(f"{name}: {error.message}", repair=error.repair) from None
    return dict(cells)


def check_draws(scored: Mapping[Cell, Mapping[int, ScoredRows]], baseline: str) -> None:
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
