"""Raw rows in, predicted numbers out: the one path of files and of single rows."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.data.scoring_rows import columns_needed, samples_for_scoring
from core.data.typing_rows import type_rows
from core.errors import VerificationError
from core.params import parse_section
from core.regression.regression_model import RegressionModel
from core.regression.row_problems import row_problems
from core.regression.value_options import ValueOptions
from core.regression.value_reasons import ValueReasonWriter
from core.tables.scorer import SYNTHETIC

VALUE_DIGITS = 9  # a row in a file and the same row alone may differ in the last bits


class ValueScorer:
    """A loaded regression model with everything that is made once, not once for each row.

    explain: also give reasons (`options.num_reasons` of them). A vertical's subclass names its options.
    """

    options_type: ClassVar[type[ValueOptions]] = ValueOptions

    def __init__(self, model: RegressionModel, *, explain: bool = True) -> None:
        if model.spec is None:
            raise VerificationError(
                "The regression model does not say which columns it reads (it has no domain spec).",
                repair="Save it with `with_context(...)`, as the train stage does.",
            )
        self.model = model
        self.options = parse_section(self.options_type, model.options, where="options of the regression model")
        self.num_reasons = self.options.num_reasons if explain else 0
        self.key_names = [column.name for column in model.spec.with_use("key")]
        self._writer = ValueReasonWriter(model, currency=self.options.currency)
        self._needed = columns_needed(model.spec, model.schema)
        self._spec_names = {column.name for column in model.spec.columns}
        self._categories = {
            feature.name: frozenset(feature.categories)
            for feature in model.schema.features
            if feature.kind == "category"
        }

    @classmethod
    def load(cls, model_folder: Path, *, explain: bool = True) -> Self:
        """The scorer of a saved model.

        Raises:
            MissingArtifactError: there is no model.
            VerificationError: the model's files were changed, or it is no regression model.
        """
        return cls(RegressionModel.load(Path(model_folder)), explain=explain)

    @property
    def is_synthetic(self) -> bool:
        """Whether the model's domain was generated."""
        return self.model.spec.is_synthetic

    @property
    def unit(self) -> str:
        """Of the values; empty where the label has none."""
        return self.model.unit

    @property
    def reason_names(self) -> list[str]:
        """`reason_1`, `reason_2`, ..."""
        return [f"reason_{rank}" for rank in range(1, self.num_reasons + 1)]

    def score(self, raw: pd.DataFrame) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Columns of N rows, (N,) each, and notes for a person: value, low, high, unit, reasons, data, problems.

        value, low and high: in the label's unit, nine significant digits; low and high are NaN without a band. unit:
        None where the label has none. data: SYNTHETIC; only where the model learned from generated rows. `raw` holds
        texts or missing values; columns that the model does not read may be there or not.

        Raises:
            BadInputError: a column that the model reads is not there; the nearest is named.
        """
        known = [n for n in raw.columns if n in self._needed or n not in self._spec_names]
        typed = type_rows(raw[known], self.model.spec, required=self._needed)
        samples = samples_for_scoring(typed.frame, self.model.spec, self.model.schema)
        value, low, high = self._predict(samples)
        columns = {"value": value, "low": low, "high": high, **self._constants(len(raw), "unit")}
        if self.num_reasons:
            columns |= dict(zip(self.reason_names, self._reasons(samples).T, strict=True))
        columns |= self._constants(len(raw), "data")
        columns["problems"] = row_problems(typed.problems, samples, self._categories)
        return columns, typed.notes

    def unread_columns(self, reasons: list[str]) -> dict[str, np.ndarray]:
        """What is said of rows that could not be read, beside empty cells; `reasons` say why, one each."""
        return {**self._constants(len(reasons), "data"), "problems": np.array(reasons, dtype=object)}

    def _constants(self, num_rows: int, name: str) -> dict[str, np.ndarray]:
        """The column `unit`, or `data` where the model learned from generated rows."""
        word = {"unit": self.unit or None, "data": SYNTHETIC}[name]
        if name == "data" and not self.is_synthetic:
            return {}
        return {name: np.full(num_rows, word, dtype=object)}

    def _predict(self, samples: Samples) -> list[np.ndarray]:
        """Value, low and high (N,) each, rounded."""
        if not len(samples):  # all rows of a part of a file may be unreadable
            return [np.zeros(0)] * 3
        return [np.array([float(f"{one:.{VALUE_DIGITS}g}") for one in part]) for part in self.model.predict(samples)]

    def _reasons(self, samples: Samples) -> np.ndarray:
        """(N, num_reasons) str or None."""
        if not len(samples):
            return np.full((0, self.num_reasons), None, dtype=object)
        return self._writer.write(self.model.contributions(samples), samples.inputs, self.num_reasons)
