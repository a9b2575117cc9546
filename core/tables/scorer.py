"""Raw rows in, scored columns out: the one path of files and of single records."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from core.cases.columns import PROBABILITY_DECIMALS, finding_columns, kind_columns, kind_probabilities
from core.data.samples import Samples
from core.data.scoring_rows import columns_needed, samples_for_scoring
from core.data.typing_rows import type_rows
from core.errors import VerificationError
from core.learners.scoring_model import ScoringModel
from core.params import parse_section
from core.tables.options import TableOptions
from core.tables.reasons import make_reason_writer
from core.tables.words import TableWords

MAX_SHOWN_CHARACTERS = 80
SYNTHETIC = "SYNTHETIC"
KIND, KIND_PREFIX = "kind", "kind_"


class TableScorer:
    """A loaded scoring model with everything that is made once, not once for each row.

    explain: also give reasons (`options.num_reasons` of them). A vertical's subclass names its options and words, and
    adds columns (`own_columns`) or decides otherwise (`decide`). whole_columns: those of its own without decimals.
    """

    options_type: ClassVar[type[TableOptions]] = TableOptions
    words: ClassVar[TableWords] = TableWords()
    whole_columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: ScoringModel, *, explain: bool = True) -> None:
        if model.spec is None:
            raise VerificationError(
                "The scoring model does not say which columns it reads (it has no domain spec).",
                repair="Save it with `with_context(...)`, as the train stage does.",
            )
        self.model = model
        self.options = parse_section(self.options_type, model.options, where="options of the scoring model")
        self.num_reasons = self.options.num_reasons if explain else 0
        self.key_names = [column.name for column in model.spec.with_use("key")]
        self._writer = make_reason_writer(model, self.options)
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
            VerificationError: the model's files were changed.
        """
        return cls(ScoringModel.load(Path(model_folder)), explain=explain)

    @property
    def is_synthetic(self) -> bool:
        """Whether the model's domain was generated."""
        return self.model.spec.is_synthetic

    @property
    def reason_names(self) -> list[str]:
        """`reason_1`, `reason_2`, ..."""
        return [f"reason_{rank}" for rank in range(1, self.num_reasons + 1)]

    def score(self, raw: pd.DataFrame) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Columns of N scored rows (probability, ..., decision, reasons, problems), and notes for a person.

        kind: the likeliest, None where the decision is negative; kind_<word>: P(positive) P(kind | positive);
        finding_<name>: of each finding by itself; only of a model that tells them. data: SYNTHETIC; only where the
        model learned from generated rows.

        `raw` holds texts or missing values; columns that the model does not read may be there or not.

        Raises:
            BadInputError: a column that the model reads is not there; the nearest is named.
        """
        known = [n for n in raw.columns if n in self._needed or n not in self._spec_names]
        typed = type_rows(raw[known], self.model.spec, required=self._needed)
        samples = samples_for_scoring(typed.frame, self.model.spec, self.model.schema)
        probability, low_high = self.model.predict_all(samples)
        positive = probability[:, self.model.positive_index]
        decisions = self.decide(positive)
        columns = {
            "probability": positive.round(PROBABILITY_DECIMALS),
            "probability_low": low_high[:, 0].round(PROBABILITY_DECIMALS),
            "probability_high": low_high[:, 1].round(PROBABILITY_DECIMALS),
            **self.own_columns(positive),
            "decision": decisions,
            **self._kinds(samples, positive, decisions),
            **finding_columns(self.model, samples),
        }
        if self.num_reasons:
            columns |= dict(zip(self.reason_names, self._reasons(samples, decisions).T, strict=True))
        if self.is_synthetic:
            columns["data"] = np.full(len(positive), SYNTHETIC, dtype=object)
        columns["problems"] = self._problems(typed.problems, samples)
        return columns, typed.notes

    def own_columns(self, positive: np.ndarray) -> dict[str, np.ndarray]:
        """What the vertical says of (N,) probabilities besides the decision, (N,) each."""
        return {}

    def decide(self, positive: np.ndarray) -> np.ndarray:
        """(N,) words: positive from the threshold upwards, doubtful without a probability."""
        decisions = np.where(positive >= self.model.threshold, self.words.positive, self.words.negative).astype(object)
        decisions[np.isnan(positive)] = self.words.doubtful
        return decisions

    def unread_columns(self, reasons: list[str]) -> dict[str, np.ndarray]:
        """What is said of rows that could not be read, beside empty cells; `reasons` say why, one each."""
        columns = {
            "problems": np.array(reasons, dtype=object),
            "decision": np.full(len(reasons), self.words.doubtful, dtype=object),
        }
        if self.is_synthetic:
            columns["data"] = np.full(len(reasons), SYNTHETIC, dtype=object)
        return columns

    def _kinds(self, samples: Samples, positive: np.ndarray, decisions: np.ndarray) -> dict[str, np.ndarray]:
        """The likeliest kind of what is not called negative, and a probability of each; nothing without kinds."""
        if self.model.kinds is None:
            return {}
        of_kind = kind_probabilities(self.model, samples, positive)
        words = np.array(self.model.kinds.words, dtype=object)
        likeliest = words[np.nan_to_num(of_kind).argmax(axis=1)]
        likeliest[(decisions == self.words.negative) | np.isnan(positive)] = None
        return {KIND: likeliest, **kind_columns(self.model, of_kind, KIND_PREFIX)}

    def _reasons(self, samples: Samples, decisions: np.ndarray) -> np.ndarray:
        """(N, num_reasons) str or None."""
        reasons = np.full((len(samples), self.num_reasons), None, dtype=object)
        rows = np.arange(len(samples))
        if self.options.reasons_for == "adverse":
            rows = np.flatnonzero(decisions != self.words.negative)
        if len(rows):
            explained = samples if len(rows) == len(samples) else samples.take(rows)
            contributions = self.model.contributions(explained)
            reasons[rows] = self._writer.write(contributions, explained.inputs, self.num_reasons)
        return reasons

    def _problems(self, typing_problems: pd.DataFrame, samples: Samples) -> np.ndarray:
        """(N,) what was wrong with each row in words, or None."""
        problems = np.full(len(samples), None, dtype=object)
        for problem in typing_problems.itertuples():
            _append(problems, problem.row, f"{problem.column}: {_shown(problem.value)} is {problem.reason}")
        for name, known in self._categories.items():
            codes, distinct = pd.factorize(samples.inputs[name].to_numpy())
            is_unseen = np.array([value not in known for value in distinct] + [False])  # last: missing
            if is_unseen.any():
                for row in np.flatnonzero(is_unseen[codes]):
                    value = _shown(distinct[codes[row]])
                    _append(problems, row, f"{name}: {value} was never seen in training")
        return problems


def _append(problems: np.ndarray, row: int, text: str) -> None:
    """One more problem of a row, behind a semicolon."""
    problems[row] = text if problems[row] is None else f"{problems[row]}; {text}"


def _shown(value: object) -> str:
    """A stray value, quoted, on one short line."""
    text = " ".join(str(value)[: 4 * MAX_SHOWN_CHARACTERS].split())
    shortened = text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"
    return f"'{shortened}'"
