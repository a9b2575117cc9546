"""Parquet and JSON files as texts, in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.data.raw_table import RawTable, checked_columns, problem_frame, text_frame
from core.data.reading_csv import detect_encoding, open_bytes
from core.errors import BadInputError


def as_text(value: Any) -> str | None:
    """One value of a typed file as the text a CSV would hold; None for a missing one."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else repr(float(value))
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    text = str(value)
    # a timestamp at midnight is a day
    return text.removesuffix(" 00:00:00") if hasattr(value, "year") else text


def frame_as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """A typed frame with every value as text or missing; the index is dropped."""
    columns = [[as_text(value) for value in frame[name].tolist()] for name in frame.columns]
    rows = list(zip(*columns, strict=True)) if columns else []
    return text_frame([str(name) for name in frame.columns], rows)


def iterate_parquet(path: Path, rows_per_chunk: int) -> Iterator[RawTable]:
    """A Parquet file in chunks of at most `rows_per_chunk` rows, in file order.

    Raises:
        BadInputError: it is no readable Parquet file, or has two columns of one name.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path.name} is not a readable Parquet file: {error}") from None
    with file:
        columns, notes = checked_columns(file.schema_arrow.names, path.name)
        first = 1
        for batch in file.iter_batches(batch_size=rows_per_chunk):
            lists = [[as_text(value) for value in column.to_pylist()] for column in batch.columns]
            frame = text_frame(columns, list(zip(*lists, strict=True)))
            lines = np.arange(first, first + len(frame))
            yield RawTable(frame, problem_frame([]), tuple(notes), lines)
            first, notes = first + len(frame), []


def iterate_json(path: Path, rows_per_chunk: int) -> Iterator[RawTable]:
    """A JSON file: one object, a list of objects, or one object a line (flat memory).

    Lines that are no object are quarantined. A key that a row lacks is missing there.

    Raises:
        BadInputError: the file is empty, or is one JSON value that holds no rows.
    """
    rows: list[Mapping[str, Any]] = []
    lines: list[int] = []
    problems: list[tuple[int, str, str, str]] = []
    columns: dict[str, None] = {}
    for number, value, reason in _json_records(path):
        if reason:
            problems.append((number, "", str(value), reason))
            continue
        rows.append(value)
        lines.append(number)
        columns.update(dict.fromkeys(value))
        if len(rows) == rows_per_chunk:
            yield _json_table(rows, lines, problems, columns, path.name)
            rows, lines, problems = [], [], []
    if rows or problems or not columns:
        yield _json_table(rows, lines, problems, columns, path.name)


def _json_table(
    rows: Sequence[Mapping[str, Any]],
    lines: Sequence[int],
    problems: Sequence[tuple[int, str, str, str]],
    columns: Mapping[str, None],
    file_name: str,
) -> RawTable:
    names, notes = checked_columns(list(columns), file_name)
    texts = [[as_text(row.get(column)) for column in columns] for row in rows]
    return RawTable(text_frame(names, texts), problem_frame(problems), tuple(notes), np.array(lines, dtype=int))


def _json_records(path: Path) -> Iterator[tuple[int, Any, str]]:
    """(line or record number, object, reason to leave it out)."""
    with open_bytes(path) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise BadInputError(f"{path.name} is empty.", repair="Give a list of objects, or one object a line.")
    encoding = detect_encoding(head, path.name)
    first_line = head.decode(encoding, "replace").lstrip("\ufeff \r\n\t").split("\n", 1)[0]
    if first_line.startswith("{") and _parse(first_line)[1] == "":
        yield from _json_lines(path, encoding)
        return
    with open_bytes(path) as stream:
        whole, reason = _parse(stream.read().decode(encoding, "replace").lstrip("\ufeff"))
    if reason and first_line.startswith("{"):
        yield from _json_lines(path, encoding)
        return
    if isinstance(whole, dict):
        whole = [whole]
    if reason or not isinstance(whole, list):
        raise BadInputError(
            f"{path.name}: {reason or 'the JSON value is neither an object nor a list of objects'}.",
            repair="Give a list of objects, or one object a line.",
        )
    for number, value in enumerate(whole, start=1):
        yield number, value, "" if isinstance(value, dict) else "no JSON object"


def _json_lines(path: Path, encoding: str) -> Iterator[tuple[int, Any, str]]:
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            text = line.decode(encoding, "replace").lstrip("\ufeff").strip()
            if not text:
                continue
            value, reason = _parse(text)
            if not reason and not isinstance(value, dict):
                value, reason = text, "no JSON object"
            yield number, value, reason


def _parse(text: str) -> tuple[Any, str]:
    """The value with numbers left as their text, and why it could not be read."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str), ""
    except (json.JSONDecodeError, RecursionError) as error:
        return text, f"not valid JSON ({error})"
