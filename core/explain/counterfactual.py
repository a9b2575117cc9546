"""What would change the decision: the smallest changes of one row that bring it to the other side of the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.errors import BadInputError
from core.explain.row_changes import ChangeableColumn, Changes, Value, changeable_columns, changed_rows
from core.learners.scoring_model import ScoringModel

BEAM_WIDTH = 8  # sets of columns that a step goes on from
MAX_ROWS_A_STEP = 4000
NUM_REFINED = 12
MAX_REFINEMENTS = 12
StateKey = tuple[tuple[str, Value], ...]
MARGIN = 1e-6  # of the probability: a row alone and in a batch may differ by rounding


@dataclass(frozen=True)
class Alternative:
    """One way to the other decision. changes: (column, from, to). probability: calibrated, afterwards."""

    changes: tuple[tuple[str, Value, Value], ...]
    probability: float
    cost: float


@dataclass(frozen=True)
class Counterfactuals:
    """What was found for one row, cheapest first.

    searched: the columns that could move. left_out: the others that were asked for, with the reason. note: in words
    what this is, or that nothing was found.
    """

    probability: float
    threshold: float
    is_adverse: bool
    alternatives: tuple[Alternative, ...]
    searched: tuple[str, ...]
    left_out: Mapping[str, str]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        alternatives = [
            {
                "changes": [{"column": name, "from": before, "to": after} for name, before, after in found.changes],
                "probability": found.probability,
                "cost": found.cost,
            }
            for found in self.alternatives
        ]
        return {
            **vars(self),
            "alternatives": alternatives,
            "searched": list(self.searched),
            "left_out": dict(self.left_out),
        }


def find_counterfactuals(
    model: ScoringModel,
    row: Samples,
    *,
    quantiles: Mapping[str, np.ndarray],
    columns: Sequence[str] | None = None,
    max_changes: int = 3,
    num_alternatives: int = 3,
) -> Counterfactuals:
    """Alternatives for one row of a table, each of at most `max_changes` columns and of other columns than the rest.

    quantiles: number -> (19,) training quantiles from 5 to 95 % (see `feature_ranges.quantiles_of`), the grid on which
    numbers move. columns: those that may change; None: numbers neither protected nor known only after the outcome.
    The search goes on from the most promising sets of columns, then takes back every change as far as the decision
    allows; the cheapest of what it tried is no proof that nothing is cheaper. It tells what the model does, not what
    causes the outcome.

    Source: Wachter, Mittelstadt & Russell 2017, "Counterfactual explanations without opening the black box",
    equations 1, 2 and 4.

    Raises:
        BadInputError: not one row of a table, a model without a domain, or columns that may not be changed.
    """
    if len(row) != 1 or row.schema is None or row.schema.names("image"):
        raise BadInputError(
            f"A counterfactual is of one row of a table; got {len(row)} rows.", repair="Take one row of a table."
        )
    if model.spec is None:
        raise BadInputError("The model has no domain, so no column is known.", repair="Train it with the train stage.")
    before = float(model.predict_probability(row)[0, model.positive_index])
    is_adverse = before >= model.threshold
    towards = -1 if is_adverse else 1
    movable, left_out = changeable_columns(row, model.spec, quantiles, columns, towards=towards)
    search = _Search(model, row, {column.name: column for column in movable}, towards, max_changes)
    found = search.run(num_alternatives) if movable else []
    return Counterfactuals(
        probability=before,
        threshold=model.threshold,
        is_adverse=is_adverse,
        alternatives=tuple(found),
        searched=tuple(column.name for column in movable),
        left_out=left_out,
        note=_note(found, search, before),
    )


def _note(found: Sequence[Alternative], search: _Search, before: float) -> str:
    """In words what was found."""
    side = "below" if search.towards < 0 else "to or above"
    if found:
        return "The smallest changes that were found; what the model would say, not a promise and no cause."
    if not search.columns:
        return "No column may change, so there is nothing to try."
    reached = "" if search.nearest is None else f" The nearest that was reached is {search.nearest:.4g}."
    return (
        f"No change of at most {search.max_changes} of {len(search.columns)} columns within their usual range brings "
        f"the probability from {before:.4g} {side} {search.model.threshold:.4g}.{reached}"
    )


class _Search:
    """A beam search over changes, then a refinement; at most one call of the model a step, none for what it told."""

    def __init__(
        self, model: ScoringModel, row: Samples, columns: dict[str, ChangeableColumn], towards: int, max_changes: int
    ) -> None:
        self.model, self.row, self.columns, self.towards, self.max_changes = model, row, columns, towards, max_changes
        self.nearest: float | None = None
        self.told: dict[StateKey, float] = {}

    def run(self, num_alternatives: int) -> list[Alternative]:
        """The cheapest alternatives, no two of them of the same columns, none of more columns and no less cost."""
        found = self._refine(self._search())
        ordered = sorted(found, key=lambda told: (told[0], len(told[1]), sorted(told[1])))
        kept: list[tuple[float, Changes, float]] = []
        for cost, changes, probability in ordered:
            if not any(set(other) <= set(changes) for _, other, _ in kept):
                kept.append((cost, changes, probability))
        return [
            Alternative(
                tuple((name, self.columns[name].before, changes[name]) for name in self.columns if name in changes),
                probability,
                cost,
            )
            for cost, changes, probability in kept[:num_alternatives]
        ]

    def _search(self) -> list[Changes]:
        """The cheapest changes of each set of columns that were met on the other side of the threshold."""
        beam: list[Changes] = [{}]
        seen: set[StateKey] = {()}
        found: dict[frozenset[str], Changes] = {}
        for _ in range(2 * self.max_changes):  # an ordered category takes several steps
            states = self._next(beam, seen)
            if not states:
                break
            probability = self._score(states)
            is_over = self._is_over(probability)
            for changes in (states[place] for place in np.flatnonzero(is_over)):
                best = found.get(frozenset(changes))
                if best is None or self.cost(changes) < self.cost(best):
                    found[frozenset(changes)] = changes
            beam = self._most_promising(states, probability, ~is_over)
        return sorted(found.values(), key=self.cost)[:NUM_REFINED]

    def _next(self, beam: Sequence[Changes], seen: set[StateKey]) -> list[Changes]:
        """Every state one step further that was not met yet."""
        states = []
        for changes in beam:
            for name, column in self.columns.items():
                if name not in changes and len(changes) >= self.max_changes:
                    continue
                for value in column.moves_from(changes.get(name, column.before)):
                    state = {**changes, name: value}
                    key = _key(state)
                    if key not in seen:
                        seen.add(key)
                        states.append(state)
        return states

    def _most_promising(self, states: list[Changes], probability: np.ndarray, is_open: np.ndarray) -> list[Changes]:
        """Of each set of columns the state nearest to the threshold; of those, the nearest ones."""
        best: dict[frozenset[str], Changes] = {}
        for place in np.argsort(-self.towards * probability, kind="stable"):
            if is_open[place]:
                best.setdefault(frozenset(states[place]), states[place])
        num_moves = sum(len(column.values) for column in self.columns.values())
        width = max(1, min(BEAM_WIDTH, MAX_ROWS_A_STEP // num_moves))
        return list(best.values())[:width]

    def _refine(self, found: list[Changes]) -> list[tuple[float, Changes, float]]:
        """Each one with its changes made smaller, one column at a time, while it stays over: (cost, changes, p)."""
        if not found:
            return []
        probability = self._score(found)
        for _ in range(MAX_REFINEMENTS):
            smaller = [(k, state) for k, changes in enumerate(found) for state in self._smaller(changes)]
            if not smaller:
                break
            told = self._score([state for _, state in smaller])
            is_better = False
            for (k, state), value, is_over in zip(smaller, told, self._is_over(told), strict=True):
                if is_over and self.cost(state) < self.cost(found[k]):
                    found[k], probability[k], is_better = state, value, True
            if not is_better:
                break
        return [(self.cost(c), c, float(p)) for c, p in zip(found, probability, strict=True)]

    def _smaller(self, changes: Changes) -> list[Changes]:
        """The changes with one column taken back, in part or altogether; never all of them."""
        states = []
        for name, after in changes.items():
            if len(changes) > 1:
                states.append({other: value for other, value in changes.items() if other != name})
            states += [{**changes, name: value} for value in self.columns[name].nearer(after)]
        return states

    def cost(self, changes: Changes) -> float:
        """Sum over the changed columns."""
        return sum(self.columns[name].cost(value) for name, value in changes.items())

    def _is_over(self, probability: np.ndarray) -> np.ndarray:
        """(N,) bool: on the other side of the threshold."""
        if self.towards < 0:
            return probability < self.model.threshold - MARGIN
        return probability >= self.model.threshold + MARGIN

    def _score(self, states: Sequence[Changes]) -> np.ndarray:
        """(N,) calibrated probability of the positive class after each state's changes."""
        keys = [_key(state) for state in states]
        asked = {key: state for key, state in zip(keys, states, strict=True) if key not in self.told}
        if asked:
            rows = changed_rows(self.row, self.model.spec, list(asked.values()))
            answers = self.model.predict_probability(rows)[:, self.model.positive_index]
            self.told.update(zip(asked, answers.tolist(), strict=True))
        probability = np.array([self.told[key] for key in keys])
        nearest = float(probability[np.argmax(self.towards * probability)])
        if self.nearest is None or self.towards * (nearest - self.nearest) > 0:
            self.nearest = nearest
        return probability


def _key(changes: Changes) -> StateKey:
    """Equal for equal changes, in whatever order they were made."""
    return tuple(sorted(changes.items()))
