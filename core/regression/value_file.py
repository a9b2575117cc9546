"""The CSV of predicted numbers: chunk by chunk, with cells that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyarrow import csv

from core.data.spreadsheet import neutralise_formulas
from core.tables.score_file import ScoreFile


class ValueFile(ScoreFile):
    """An open CSV file; `write` adds rows. Without a key column the rows are numbered from 1 as `row`."""

    def write(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append the rows; the first call fixes the columns. NaN and None become empty cells."""
        num_rows = len(columns["value"])
        arrays = {}
        if next(iter(columns)) == "value":
            arrays["row"] = pa.array(np.arange(self._num_rows + 1, self._num_rows + num_rows + 1))
        for name, values in columns.items():
            if values.dtype == object:
                arrays[name] = neutralise_formulas(pa.array(values, pa.string()))
            else:
                arrays[name] = pa.array(values, from_pandas=True)
        table = pa.table(arrays)
        if self._writer is None:
            self._writer = csv.CSVWriter(self._sink, table.schema)
        self._writer.write_table(table)
        self._num_rows += num_rows
