"""`predict`: ten million rows in a file or one record, scored with the saved model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import replacing_file
from core.data.raw_table import RawTable, text_frame
from core.data.reading import iterate_raw_table
from core.data.reading_records import as_text
from core.errors import BadInputError
from core.tables.score_file import ScoreFile
from core.tables.scorer import SYNTHETIC, TableScorer

SYNTHETIC_NOTE = f"{SYNTHETIC}: the model learned from generated rows; its scores say nothing of real cases."


@dataclass(frozen=True)
class PredictSummary:
    """What `predict_table` did. rows = scored + unreadable; each of them is a row of the output."""

    output: Path
    rows: int
    scored: int
    unreadable: int
    rows_with_problems: int
    decisions: Mapping[str, int]
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        speed = self.rows / max(self.seconds, 1e-9)
        lines = [
            f"{self.rows:,} rows in {self.seconds:.1f} s ({speed:,.0f} rows a second) -> {self.output}",
            "decisions: " + ", ".join(f"{name} {n:,}" for name, n in sorted(self.decisions.items())),
        ]
        if self.unreadable:
            lines.append(f"{self.unreadable:,} rows could not be read; they are in the output without a score.")
        if self.rows_with_problems:
            lines.append(f"{self.rows_with_problems:,} rows were scored with problems; see the last column.")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def predict_table(
    scorer_type: type[TableScorer],
    input_path: Path,
    output: Path,
    model_folder: Path,
    *,
    rows_per_chunk: int = 50_000,
    explain: bool = True,
    progress: Callable[[str], Any] | None = None,
) -> PredictSummary:
    """Score a CSV, CSV.GZ, Parquet or JSON file into a CSV (`.csv.gz`: packed), in the input's order, row for row.

    Columns: the key (or `row`, the number of the record from 1), probability, probability_low, probability_high,
    the vertical's own, decision, kind, kind_<word>, finding_<name> (only of a model that tells them), reason_1, ...,
    data (SYNTHETIC; only where the model learned from generated rows), problems. Memory holds `rows_per_chunk` rows,
    however long the file. The output appears when it is complete; an error leaves what was there. Text cells that a
    spreadsheet would run as a formula get an apostrophe in front.

    Raises:
        MissingArtifactError: no input file or no model.
        BadInputError: the input is no table, has no rows, lacks a column, or is the output file itself.
        VerificationError: the model's files were changed.
    """
    input_path, output = Path(input_path), Path(output)
    if output.resolve() == input_path.resolve():
        raise BadInputError(f"{output} is the input itself.", repair="Choose another output file.")
    started = time.perf_counter()
    scorer = scorer_type.load(model_folder, explain=explain)
    count: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    notes: dict[str, None] = {SYNTHETIC_NOTE: None} if scorer.is_synthetic else {}
    key_names: list[str] | None = None
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing_file(output))
        is_packed = output.suffix == ".gz"
        file = stack.enter_context(ScoreFile(temporary, is_packed=is_packed, whole_columns=scorer.whole_columns))
        for raw in iterate_raw_table(input_path, rows_per_chunk):
            if key_names is None:
                key_names = [name for name in scorer.key_names if name in raw.frame.columns]
            columns, chunk_notes = _score_chunk(scorer, raw, key_names)
            notes.update(dict.fromkeys([*raw.notes, *chunk_notes]))
            file.write(columns)
            count["unreadable"] += len(raw.problems)
            count["scored"] += len(raw.frame)
            count["problems"] += sum(text is not None for text in columns["problems"]) - len(raw.problems)
            decisions.update(columns["decision"].tolist())
            if progress is not None:
                progress(f"predict: {count.total() - count['problems']:,} rows, {_seconds_since(started):.0f} s")
    return PredictSummary(
        output=output,
        rows=count["scored"] + count["unreadable"],
        scored=count["scored"],
        unreadable=count["unreadable"],
        rows_with_problems=count["problems"],
        decisions=dict(decisions),
        seconds=_seconds_since(started),
        notes=tuple(notes),
    )


def predict_record(scorer: TableScorer, record: Mapping[str, Any]) -> dict[str, Any]:
    """One record (a JSON object) scored; the same columns as a file's row, None where a cell would be empty.

    Raises:
        BadInputError: the record is no object, or lacks a key that the model reads; the nearest is named.
    """
    if not isinstance(record, Mapping):
        raise BadInputError(
            f"A record is a JSON object, got {type(record).__name__}.",
            repair='Give {"column": value, ...}.',
        )
    frame = text_frame([str(name) for name in record], [[as_text(value) for value in record.values()]])
    columns, _ = scorer.score(frame)
    keys = {name: record[name] for name in scorer.key_names if name in record}
    row = {name: values[0] for name, values in columns.items()}
    row |= {name: float(value) for name, value in row.items() if isinstance(value, np.floating)}
    row |= {name: None if np.isnan(row[name]) else int(row[name]) for name in scorer.whole_columns}
    return {**keys, **row}


def _score_chunk(
    scorer: TableScorer, raw: RawTable, key_names: list[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Scored and unreadable rows of a chunk as output columns, in the order of the file."""
    columns, notes = scorer.score(raw.frame)
    keyed = raw.frame.reindex(columns=key_names)  # a later chunk of a JSON file may lack a key
    keys = {name: keyed[name].astype(object).where(keyed[name].notna(), None) for name in key_names}
    columns = {**{name: values.to_numpy() for name, values in keys.items()}, **columns}
    if not len(raw.problems):
        return columns, notes
    order = np.argsort(np.concatenate([raw.lines, raw.problems["row"].to_numpy()]), kind="stable")
    reasons = [f"not read (line {p.row}): {p.reason}" for p in raw.problems.itertuples()]
    empty = scorer.unread_columns(reasons)
    for name, values in columns.items():
        missing = np.nan if values.dtype == float else None
        rest = empty.get(name, np.full(len(reasons), missing, dtype=values.dtype))
        columns[name] = np.concatenate([values, rest])[order]
    return columns, notes


def _seconds_since(started: float) -> float:
    return time.perf_counter() - started
