"""Which columns of one row may change, to what, at what cost; and the rows that such changes make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.samples import Samples
from core.data.typing_rows import divide
from core.errors import BadInputError, did_you_mean
from core.explain.feature_ranges import QUANTILE_FRACTIONS

Value = float | str
Changes = dict[str, Value]  # column -> what it becomes


@dataclass(frozen=True)
class ChangeableColumn:
    """One column of a row and where it may go.

    before: what the row has. values: where it may go, from low to high where there is an order. scale: the change that
    costs 1. is_stepwise: an ordered category, which moves to a neighbour in one step.
    """

    name: str
    before: Value
    values: tuple[Value, ...]
    scale: float = 1.0
    is_stepwise: bool = False

    def moves_from(self, current: Value) -> list[Value]:
        """Where one step leads from `current`; the row's own value is no move."""
        if not self.is_stepwise:
            return [value for value in self.values if value not in (current, self.before)]
        place = self.values.index(current)
        near = self.values[max(place - 1, 0) : place + 2]
        return [value for value in near if value not in (current, self.before)]

    def cost(self, after: Value) -> float:
        """|change| in units of `scale`: of numbers themselves, of ranks, or 1 for another word.

        Source: Wachter, Mittelstadt & Russell 2017, equation 4, with the inter-quartile range (twice the MAD of a
        symmetric distribution) in place of the MAD, which is 0 where half of the rows agree.
        """
        if self.is_stepwise:
            return float(abs(self.values.index(after) - self.values.index(self.before)))
        if isinstance(self.before, str):
            return float(after != self.before)
        return abs(after - self.before) / self.scale

    def nearer(self, after: Value) -> list[Value]:
        """Changes of less cost than the one to `after`, without no change at all."""
        others = [value for value in self.values if value != self.before]
        return [value for value in others if self.cost(value) < self.cost(after)]


def changeable_columns(
    row: Samples,
    spec: DomainSpec,
    quantiles: Mapping[str, np.ndarray],
    names: Sequence[str] | None,
    *,
    towards: int,
) -> tuple[list[ChangeableColumn], dict[str, str]]:
    """The columns of one row that may change, and the others with the reason.

    names: the columns asked for; None: every number that is neither protected nor known only after the outcome.
    towards: -1 where the positive class's probability has to fall, +1 to rise: a monotone column moves that way alone.

    Raises:
        BadInputError: a column that is not there or may never change, or quantiles of another number.
    """
    if names is None:
        asked = columns_that_may_change(row, spec, ("number",))
    else:
        asked = list(dict.fromkeys(names))
        for name in asked:
            if refusal := _refusal(row, spec, name):
                raise BadInputError(f"Column '{name}' cannot be changed: {refusal}", repair="Leave it out.")
    found, left_out = [], {}
    for name in asked:
        column = _open_column(row, spec, quantiles, name, towards)
        if isinstance(column, str):
            left_out[name] = column
        else:
            found.append(column)
    return found, left_out


def columns_that_may_change(row: Samples, spec: DomainSpec, kinds: Sequence[str] = ("number", "category")) -> list[str]:
    """The features of these kinds that are neither protected, nor known only after the outcome, nor made of others."""
    return [name for name in row.schema.names(*kinds) if not _refusal(row, spec, name)]


def _refusal(row: Samples, spec: DomainSpec, name: str) -> str:
    """Why a column may never change, or nothing.

    Raises:
        BadInputError: there is no such feature.
    """
    if name not in row.schema.names():
        repair = did_you_mean(name, row.schema.names("number", "category"))
        raise BadInputError(f"The model reads no column '{name}'.", repair=repair)
    feature = row.schema[name]
    column = next((column for column in spec.columns if column.name == name), None)
    if feature.is_protected or (column is not None and column.is_protected):
        return "it is a protected attribute."
    if column is None or column.kind not in ("number", "category"):
        return "it is no number and no category of the file."
    if column.is_after_outcome or column.use != "feature":
        return "it is not known before the outcome, or is no feature."
    return "it is made of other columns; change those." if column.ratio is not None else ""


def _open_column(
    row: Samples, spec: DomainSpec, quantiles: Mapping[str, np.ndarray], name: str, towards: int
) -> ChangeableColumn | str:
    """The column with its values, or why it stays."""
    feature, column = row.schema[name], spec.column(name)
    before = row.inputs[name].iloc[0]
    if pd.isna(before):
        return "the row has no value"
    direction = towards * column.monotone
    if feature.kind == "category":
        if before not in feature.categories:
            return "the row's value was never seen in training"
        values = feature.categories
        place = values.index(before)
        if feature.is_ordered and direction:
            values = values[place:] if direction > 0 else values[: place + 1]
        opened = ChangeableColumn(name, str(before), tuple(values), is_stepwise=feature.is_ordered)
    else:
        if name not in quantiles:
            return "its range in the training rows is not known"
        grid = _checked_grid(name, quantiles[name])
        low, high = (
            limit if limit is not None else end for limit, end in zip(column.allowed, (-np.inf, np.inf), strict=True)
        )
        values = [float(v) for v in np.unique(grid) if low <= v <= high and direction * (v - float(before)) >= 0]
        scale = grid[14] - grid[4] or grid[-1] - grid[0]  # where half of the rows agree, the range of nine in ten
        opened = ChangeableColumn(name, float(before), tuple(values), float(scale) or 1.0)
    if all(value == opened.before for value in opened.values):
        return "no usual and allowed value lies in the direction asked for"
    return opened


def _checked_grid(name: str, quantiles: np.ndarray) -> np.ndarray:
    grid = np.asarray(quantiles, dtype=float)
    if grid.shape != QUANTILE_FRACTIONS.shape or not np.isfinite(grid).all() or (np.diff(grid) < 0).any():
        raise BadInputError(
            f"Quantiles of '{name}' have shape {grid.shape}, expected 19 rising numbers, 5 % to 95 %.",
            repair="Take them from feature_ranges.json of the train stage.",
        )
    return grid


def changed_rows(row: Samples, spec: DomainSpec, changes: Sequence[Changes]) -> Samples:
    """(N,) copies of one row, each with its changes; ratios of changed columns are made anew.

    A ratio whose other part is no feature grows and shrinks with the one that is.
    """
    copies = row.take(np.zeros(len(changes), dtype=int))
    frame = copies.inputs.copy()
    for name in {name for change in changes for name in change}:
        values = frame[name].to_numpy(copy=True)
        for position, change in enumerate(changes):
            values[position] = change.get(name, values[position])
        frame[name] = pd.Series(values, index=frame.index, dtype=frame[name].dtype)
    for column in spec.columns:
        if column.ratio is None or column.name not in frame:
            continue
        is_moved = np.array([bool(set(column.ratio) & set(change)) for change in changes])
        if is_moved.any():
            old = copies.inputs
            numerator, denominator = (frame.get(name) for name in column.ratio)
            if numerator is not None and denominator is not None:
                anew = divide(numerator, denominator)
            elif numerator is not None:
                anew = divide(old[column.name] * numerator, old[column.ratio[0]])
            else:
                anew = divide(old[column.name] * old[column.ratio[1]], denominator)
            frame[column.name] = frame[column.name].mask(is_moved, anew)
    return copies.with_inputs(frame, row.schema)
