"""`predict` of a number: a file of any length, each row with its value, its band and what moved it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import replacing_file
from core.data.raw_table import RawTable
from core.data.reading import iterate_raw_table
from core.errors import BadInputError
from core.regression.quantity import in_unit, number_text
from core.regression.value_file import ValueFile
from core.regression.value_scorer import ValueScorer
from core.tables.predicting import SYNTHETIC_NOTE


@dataclass
class Tally:
    """Counts over the parts of a file; lowest, highest and total: of the values, in the label's unit."""

    scored: int = 0
    unreadable: int = 0
    with_problems: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    total: float = 0.0

    def add(self, columns: dict[str, np.ndarray], num_unreadable: int) -> None:
        """One part's output columns, unreadable rows among them."""
        values = columns["value"][~np.isnan(columns["value"])]
        self.scored += len(columns["value"]) - num_unreadable
        self.unreadable += num_unreadable
        self.with_problems += sum(text is not None for text in columns["problems"]) - num_unreadable
        self.lowest = min(self.lowest, values.min(initial=np.inf))
        self.highest = max(self.highest, values.max(initial=-np.inf))
        self.total += values.sum()


@dataclass(frozen=True)
class ValueSummary:
    """What `predict_values` did. rows = scored + unreadable; each of them is a row of the output.

    lowest, mean, highest: of the values, in `unit`.
    """

    output: Path
    rows: int
    scored: int
    unreadable: int
    rows_with_problems: int
    lowest: float
    mean: float
    highest: float
    unit: str
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        speed = self.rows / max(self.seconds, 1e-9)
        lines = [f"{self.rows:,} rows in {self.seconds:.1f} s ({speed:,.0f} rows a second) -> {self.output}"]
        span = f"{number_text(self.lowest)} to {in_unit(self.highest, self.unit)}"
        lines.append(f"values: {span}, mean {in_unit(self.mean, self.unit)}")
        if self.unreadable:
            lines.append(f"{self.unreadable:,} rows could not be read; they are in the output without a value.")
        if self.rows_with_problems:
            lines.append(f"{self.rows_with_problems:,} rows were predicted with problems; see the last column.")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def predict_values(
    scorer_type: type[ValueScorer],
    input_path: Path,
    output: Path,
    model_folder: Path,
    *,
    rows_per_chunk: int = 50_000,
    explain: bool = True,
    progress: Callable[[str], Any] | None = None,
) -> ValueSummary:
    """Predict a CSV, CSV.GZ, Parquet or JSON file into a CSV (`.csv.gz`: packed), in the input's order, row for row.

    Columns: the key (or `row`, the number of the record from 1), value, low, high, unit, reason_1, ..., data
    (SYNTHETIC; only where the model learned from generated rows), problems. Keys may repeat: each row is a row of the
    output. Memory holds `rows_per_chunk` rows, however long the file. The output appears when it is complete; an error
    leaves what was there. Text cells that a spreadsheet would run as a formula get an apostrophe in front.

    Raises:
        MissingArtifactError: no input file or no model.
        BadInputError: the input is no table, has no rows, lacks a column, or is the output file itself.
        VerificationError: the model's files were changed, or it is no regression model.
    """
    input_path, output = Path(input_path), Path(output)
    if output.resolve() == input_path.resolve():
        raise BadInputError(f"{output} is the input itself.", repair="Choose another output file.")
    started = time.perf_counter()
    scorer = scorer_type.load(model_folder, explain=explain)
    tally = Tally()
    notes: dict[str, None] = {SYNTHETIC_NOTE: None} if scorer.is_synthetic else {}
    key_names: list[str] | None = None
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing_file(output))
        file = stack.enter_context(ValueFile(temporary, is_packed=output.suffix == ".gz"))
        for raw in iterate_raw_table(input_path, rows_per_chunk):
            if key_names is None:
                key_names = [name for name in scorer.key_names if name in raw.frame.columns]
            columns, chunk_notes = _score_chunk(scorer, raw, key_names)
            notes.update(dict.fromkeys([*raw.notes, *chunk_notes]))
            file.write(columns)
            tally.add(columns, len(raw.problems))
            if progress is not None:
                rows = tally.scored + tally.unreadable
                progress(f"predict: {rows:,} rows, {time.perf_counter() - started:.0f} s")
    return ValueSummary(
        output=output,
        rows=tally.scored + tally.unreadable,
        scored=tally.scored,
        unreadable=tally.unreadable,
        rows_with_problems=tally.with_problems,
        lowest=float(tally.lowest),
        mean=float(tally.total / tally.scored),
        highest=float(tally.highest),
        unit=scorer.unit,
        seconds=time.perf_counter() - started,
        notes=tuple(notes),
    )


def _score_chunk(
    scorer: ValueScorer, raw: RawTable, key_names: list[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Predicted and unreadable rows of a chunk as output columns, in the order of the file."""
    columns, notes = scorer.score(raw.frame)
    keyed = raw.frame.reindex(columns=key_names)  # a later chunk of a JSON file may lack a key
    keys = {name: keyed[name].astype(object).where(keyed[name].notna(), None).to_numpy() for name in key_names}
    columns = {**keys, **columns}
    if not len(raw.problems):
        return columns, notes
    order = np.argsort(np.concatenate([raw.lines, raw.problems["row"].to_numpy()]), kind="stable")
    empty = scorer.unread_columns([f"not read (line {p.row}): {p.reason}" for p in raw.problems.itertuples()])
    for name, values in columns.items():
        missing = np.nan if values.dtype == float else None
        rest = empty.get(name, np.full(len(raw.problems), missing, dtype=values.dtype))
        columns[name] = np.concatenate([values, rest])[order]
    return columns, notes
