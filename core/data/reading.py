"""Any table file as rows of texts: CSV and its kin, gzip, Parquet, JSON. What cannot be read is quarantined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.raw_table import RawTable
from core.data.reading_csv import iterate_csv
from core.data.reading_records import iterate_json, iterate_parquet
from core.errors import BadInputError, MissingArtifactError

ROWS_PER_CHUNK = 50_000


def iterate_raw_table(path: Path, rows_per_chunk: int = ROWS_PER_CHUNK) -> Iterator[RawTable]:
    """The file in chunks of at most `rows_per_chunk` rows, in file order and flat memory.

    The kind of file is told by its content. A chunk's `problems` are the rows left out on the way to its end.

    Raises:
        MissingArtifactError: there is no such file.
        BadInputError: the file is empty, header only, no table, has a name twice, or not one readable row.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingArtifactError(f"There is no file {path}.", repair="Check the path.")
    num_rows, first_problems = 0, []
    for table in _reader_of(path)(path, rows_per_chunk):
        num_rows += len(table.frame)
        if len(first_problems) < 3:
            first_problems += [
                f"row {problem.row}: {problem.reason}" for problem in table.problems.head(3).itertuples()
            ]
        if len(table.frame) or len(table.problems) or table.notes:
            yield table
    if num_rows == 0:
        if first_problems:
            raise BadInputError(
                f"{path.name}: not one row can be read ({'; '.join(first_problems[:3])}).",
                repair="Check the separator and the quotes.",
            )
        raise BadInputError(f"{path.name} has a header but no rows.", repair="Give a file with at least one row.")


def read_raw_table(path: Path) -> RawTable:
    """The whole file; see `iterate_raw_table`.

    Raises:
        MissingArtifactError: there is no such file.
        BadInputError: the file is empty, header only, no table, has a name twice, or not one readable row.
    """
    tables = list(iterate_raw_table(path))
    return RawTable(
        frame=pd.concat([table.frame for table in tables], ignore_index=True),
        problems=pd.concat([table.problems for table in tables], ignore_index=True),
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        lines=np.concatenate([table.lines for table in tables]),
    )


def _reader_of(path: Path) -> Callable[[Path, int], Iterator[RawTable]]:
    """The reader for the file's content.

    Raises:
        BadInputError: the file is empty or an archive or spreadsheet.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise BadInputError(f"{path.name} is empty.", repair="Give a file with a header line and rows.")
    if head.startswith(b"PAR1"):
        return iterate_parquet
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadInputError(
            f"{path.name} is a spreadsheet or an archive, not a table file.",
            repair="Save the sheet as CSV, or unpack the archive.",
        )
    names = [suffix.lower() for suffix in path.suffixes]
    if any(suffix in {".json", ".jsonl", ".ndjson"} for suffix in names):
        return iterate_json
    if ".parquet" in names:
        return iterate_parquet
    is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b'{"', b"[{", b"[\n", b"{\n"))
    return iterate_json if is_json else iterate_csv
