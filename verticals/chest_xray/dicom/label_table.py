"""A user's table of labels, joined to DICOM files by path, or by the picture's or the study's UID."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.reading import read_raw_table
from core.data.typing_rows import check_columns
from core.errors import BadInputError
from verticals.chest_xray.dicom.pseudonyms import normalised

UID_COLUMNS = {"sopinstanceuid": "SOPInstanceUID", "sopuid": "SOPInstanceUID", "studyinstanceuid": "StudyInstanceUID",
               "studyuid": "StudyInstanceUID"}  # fmt: skip


@dataclass
class LabelTable:
    """rows: join value -> (line, kept cells) of every row that has it. keyword: the element joined on, `` for the path.

    problems: (where, reason) of rows that could not be read. matched: join values that found a picture.
    """

    root: Path
    keyword: str
    rows: dict[str, list[tuple[int, dict[str, str]]]]
    problems: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    matched: set[str] = field(default_factory=set)

    def listed_files(self) -> Iterator[tuple[str, int, dict[str, str]]]:
        """(path as written, line, cells) of a table joined on paths."""
        for name, rows in self.rows.items():
            for line, cells in rows:
                yield name, line, cells

    def cells_of(self, uid: str) -> list[dict[str, str]]:
        """The cells of every row with this UID."""
        found = self.rows.get(normalised(uid), [])
        if found:
            self.matched.add(normalised(uid))
        return [cells for _, cells in found]


def read_label_table(
    path: Path, *, file_column: str | None, kept: Sequence[str], optional: Sequence[str]
) -> LabelTable:
    """The table, with only the named columns in it: whatever else it holds may name a person.

    kept: columns that must be there; optional: kept where they are there.

    Raises:
        BadInputError: it cannot be read, lacks a named column, or has none to join on.
    """
    table = read_raw_table(path)
    present = list(table.frame.columns)
    check_columns(present, [*([file_column] if file_column else []), *kept], where=f"the list {path.name}")
    column, keyword = _join_column(present, file_column)
    names = [*kept, *(name for name in optional if name in present and name not in kept)]
    rows: dict[str, list[tuple[int, dict[str, str]]]] = {}
    problems = [(f"line {row}", "the row of the list cannot be read") for row in table.problems["row"]]
    records = table.frame.astype(object).where(table.frame.notna(), None).to_dict("records")
    for line, record in zip(table.lines, records, strict=True):
        value = (record[column] or "").strip()
        if not value:
            problems.append((f"line {line}", f"the list names no {'file' if not keyword else 'UID'}"))
            continue
        cells = {name: str(record[name]).strip() for name in names if record[name] is not None}
        rows.setdefault(normalised(value) if keyword else value, []).append((int(line), cells))
    return LabelTable(path.parent, keyword, rows, tuple(problems), tuple(table.notes))


def _join_column(present: Sequence[str], file_column: str | None) -> tuple[str, str]:
    """(column, element): paths first, then the picture's UID, then the study's."""
    if file_column or "file" in present:
        return file_column or "file", ""
    found = {UID_COLUMNS.get(re.sub(r"[^a-z]", "", name.lower())): name for name in present}
    for keyword in ("SOPInstanceUID", "StudyInstanceUID"):
        if keyword in found:
            return found[keyword], keyword
    raise BadInputError(
        "The list has no column to find the DICOM files by.",
        repair="Give it one of: file (a path), SOPInstanceUID, StudyInstanceUID; or say --file COLUMN.",
    )
