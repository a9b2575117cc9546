"""What moved a predicted number most, up or down: `Running hours: 48 h (typical 18) → +1,250 EUR`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.table_schema import TableSchema
from core.explain.reasons import ReasonWriter
from core.regression.quantity import in_unit
from core.regression.regression_model import RegressionModel

# Of the row's largest contribution: what differs less is rounding noise, and a tie must not fall otherwise for one
# record than for the same row in a file.
SIZE_DECIMALS = 5


def top_contributions(contributions: np.ndarray, num_reasons: int) -> np.ndarray:
    """Columns of the largest contributions of either sign, largest first; -1 where fewer columns moved the value.

    Of equally large ones the earlier column comes first.

    Shape: (N, F) in units of the label -> (N, num_reasons) int.
    """
    size = np.nan_to_num(np.abs(np.asarray(contributions, dtype=float)))
    largest = size.max(axis=1, keepdims=True, initial=0.0)
    size = np.round(np.divide(size, largest, out=np.zeros_like(size), where=largest > 0), SIZE_DECIMALS)
    chosen = np.full((len(size), num_reasons), -1)
    order = np.argsort(-size, axis=1, kind="stable")[:, :num_reasons]
    chosen[:, : order.shape[1]] = np.where(np.take_along_axis(size, order, axis=1) > 0, order, -1)
    return chosen


class ValueReasonWriter:
    """Puts a column, a row's value and what it moved into words; protected attributes are marked.

    currency: replaces a column's unit where domain.yaml says `currency`.
    """

    def __init__(self, model: RegressionModel, *, currency: str = "") -> None:
        protected = set(model.spec.protected) if model.spec else set()
        features = tuple(
            replace(
                feature,
                unit=currency if feature.unit == "currency" and currency else feature.unit,
                is_protected=feature.is_protected or feature.name in protected,
            )
            for feature in model.schema.features
        )
        self.unit = model.unit
        self._words = ReasonWriter(TableSchema(features), model.typical)

    def write(self, contributions: pd.DataFrame, inputs: pd.DataFrame, num_reasons: int) -> np.ndarray:
        """The largest contributions of each row, largest first; None where fewer columns moved the value.

        contributions: in units of the label.

        Shape: contributions (N, F) and inputs (N, ...) row by row -> (N, num_reasons) str or None.
        """
        moved = contributions.to_numpy(dtype=float)
        chosen = top_contributions(moved, num_reasons)
        texts = np.full(chosen.shape, None, dtype=object)
        for position in np.unique(chosen[chosen >= 0]):
            name = contributions.columns[position]
            cells = np.nonzero(chosen == position)
            phrases = self._words.phrases(self._words.schema[name], inputs[name].to_numpy()[cells[0]])
            amounts = moved[cells[0], position]
            texts[cells] = [
                f"{phrase} → {in_unit(amount, self.unit, sign=True)}"
                for phrase, amount in zip(phrases, amounts, strict=True)
            ]
        return texts
