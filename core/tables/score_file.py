"""The CSV that `predict` writes: chunk by chunk, with cells that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from pyarrow import csv

from core.data.spreadsheet import neutralise_formulas


class ScoreFile:
    """An open CSV file; `write` adds rows. Without a key column the rows are numbered from 1 as `row`.

    whole_columns: numbers without decimals.
    """

    def __init__(self, path: Path, *, is_packed: bool = False, whole_columns: Collection[str] = ()) -> None:
        self._path, self._is_packed, self._whole_columns = path, is_packed, whole_columns
        self._writer: csv.CSVWriter | None = None
        self._num_rows = 0

    def __enter__(self) -> Self:
        self._sink = pa.output_stream(str(self._path), compression="gzip" if self._is_packed else None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
        self._sink.close()

    def write(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append the rows; the first call fixes the columns. NaN and None become empty cells."""
        num_rows = len(columns["probability"])
        arrays = {}
        if next(iter(columns)) == "probability":
            arrays["row"] = pa.array(np.arange(self._num_rows + 1, self._num_rows + num_rows + 1))
        for name, values in columns.items():
            if values.dtype == object:
                arrays[name] = neutralise_formulas(pa.array(values, pa.string()))
            elif name in self._whole_columns:
                arrays[name] = pa.array(values, from_pandas=True).cast(pa.int64())
            else:
                arrays[name] = pa.array(values, from_pandas=True)
        table = pa.table(arrays)
        if self._writer is None:
            self._writer = csv.CSVWriter(self._sink, table.schema)
        self._writer.write_table(table)
        self._num_rows += num_rows
