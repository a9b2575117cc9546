"""Separated text files, line by line: encodings, separators, rows with a wrong number of fields."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self, TextIO

import numpy as np

from core.data.raw_table import RawTable, checked_columns, problem_frame, text_frame
from core.errors import BadInputError

SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
SAMPLE_BYTES = 64 * 1024
MAX_FIELD_CHARACTERS = 4 * 1024 * 1024
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class DecodedLines:
    """The lines of a text stream; bytes that are no UTF-8 are read as Windows-1252, counted by line.

    Lines with bytes that Windows-1252 leaves undefined are listed in `undecodable`. A record's lines can be handed
    back, all but the first, so that an open quote costs one line and not the rest of the file.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.number = 0
        self.num_repaired = 0
        self.undecodable: set[int] = set()
        self.record: list[str] = []
        self._returned: deque[str] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._returned:
            line = self._returned.popleft()
        else:
            line = next(self.stream)
            if not line.isascii() and ESCAPED_BYTE.search(line):
                line = self._repair(line)
        self.number += 1
        self.record.append(line)
        return line

    def _repair(self, line: str) -> str:
        line = ESCAPED_BYTE.sub(_decode_byte, line)
        if ESCAPED_BYTE.search(line):
            self.undecodable.add(self.number + 1)
        else:
            self.num_repaired += 1
        return line

    def hand_back(self) -> None:
        """Let the record's lines after its first be read again."""
        self._returned.extendleft(reversed(self.record[1:]))
        self.number -= len(self.record) - 1


def _decode_byte(match: re.Match[str]) -> str:
    """One escaped byte as Windows-1252, or as it is where that has no such character."""
    try:
        return bytes([ord(match.group()) - 0xDC00]).decode("cp1252")
    except UnicodeDecodeError:
        return match.group()


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when it is gzip (by content, not by name)."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if is_gzip else path.open("rb")


def detect_encoding(sample: bytes, file_name: str) -> str:
    """Codec name from the first bytes.

    Raises:
        BadInputError: the bytes are no text.
    """
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in sample:
        for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
            if zeros.count(0) > 0.5 * len(zeros):
                return encoding
        raise BadInputError(
            f"{file_name} is not a text file.",
            repair="Export the table as CSV, Parquet or JSON lines (a spreadsheet: Save as CSV).",
        )
    return "utf-8"


def detect_separator(lines: list[str]) -> str:
    """The separator under which most sample lines have as many fields as the header, more fields winning."""
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        if not counts or counts[0] < 2:
            continue
        agreeing = sum(count == counts[0] for count in counts[1:]) / max(len(counts) - 1, 1)
        score = (round(agreeing, 1), counts[0])
        if score > best_score:
            best, best_score = separator, score
    if best_score == (0.0, 0) or best_score[0] < 0.5:
        # no separator fits the rows: the header alone decides, so that the rows are quarantined and not the file
        by_header = max(SEPARATORS, key=lambda s: lines[0].count(s) if lines else 0)
        return by_header if lines and by_header in lines[0] else ","
    return best


@contextmanager
def _wide_fields() -> Iterator[None]:
    """The csv module's field limit is global: raise it and put it back."""
    previous = csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def iterate_csv(path: Path, rows_per_chunk: int) -> Iterator[RawTable]:
    """The file in chunks of at most `rows_per_chunk` rows, in file order; flat memory.

    Raises:
        BadInputError: no text, an empty file, a broken archive, a bad header.
    """
    try:
        with open_bytes(path) as stream:
            yield from _iterate_stream(stream, path.name, rows_per_chunk)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadInputError(
            f"{path.name} is a damaged gzip file ({error}).", repair="Copy or export it again."
        ) from None
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path.name} is not valid {error.encoding}: {error.reason} at byte {error.start}.",
            repair="Save it as UTF-8.",
        ) from None


def _iterate_stream(stream: BinaryIO, file_name: str, rows_per_chunk: int) -> Iterator[RawTable]:
    buffered = io.BufferedReader(stream, buffer_size=4 * SAMPLE_BYTES)
    sample = buffered.peek(SAMPLE_BYTES)[:SAMPLE_BYTES]
    if not sample.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise BadInputError(f"{file_name} is empty.", repair="Give a file with a header line and rows.")
    encoding = detect_encoding(sample, file_name)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline="")
    separator = detect_separator(_whole_lines(sample, encoding))
    decoded = DecodedLines(text)
    with _wide_fields():
        reader = csv.reader(decoded, delimiter=separator, strict=True)
        header = next((row for row in reader if row), [])
        columns, notes = checked_columns(header, file_name)
        if separator != ",":
            notes.append(f"Fields are separated by a {SEPARATOR_NAMES[separator]}.")
        if encoding.startswith("utf-16"):
            notes.append("The file is UTF-16.")
        records = _records(reader, decoded, len(columns))
        yield from _chunks(records, columns, notes, decoded, rows_per_chunk)


def _whole_lines(sample: bytes, encoding: str) -> list[str]:
    """The sample's lines less the last, which may be cut."""
    lines = sample.decode(encoding, errors="replace").splitlines(keepends=True)
    lines = [line for line in lines if line.strip()]
    return lines[:200] if len(lines) > 200 else (lines[:-1] if len(lines) > 2 else lines)


Record = tuple[int, list[str], str]  # first line, fields, reason ("" = a good row, "blank" = nothing on the line)


def _records(reader: Iterator[list[str]], lines: DecodedLines, num_columns: int) -> Iterator[Record]:
    """Every record with its first line and, if it is to be left out, the reason."""
    while True:
        first, lines.record = lines.number + 1, []
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"cannot be parsed: {error}"
            fields = []
        else:
            reason = "" if len(fields) == num_columns else f"{len(fields)} fields, expected {num_columns}"
            if not fields:
                reason = "blank"
        if reason and len(lines.record) > 1:
            reason += f"; a quote opened on line {first} is not closed on it"
            lines.hand_back()
        if reason and reason != "blank":
            fields = [lines.record[0].rstrip("\r\n")]
        elif lines.undecodable and not lines.undecodable.isdisjoint(range(first, lines.number + 1)):
            reason = "bytes that are neither UTF-8 nor Windows-1252"
        yield first, fields, reason


def _chunks(
    records: Iterator[Record], columns: list[str], notes: list[str], decoded: DecodedLines, size: int
) -> Iterator[RawTable]:
    """Records gathered into tables; counts of blank and re-read lines are noted with the last one."""
    rows: list[list[str]] = []
    starts: list[int] = []
    problems: list[tuple[int, str, str, str]] = []
    num_blank = 0
    for first, fields, reason in records:
        if reason == "blank":
            num_blank += 1
        elif reason:
            shown = ESCAPED_BYTE.sub("\ufffd", ",".join(fields))
            problems.append((first, "", shown, reason))
        else:
            rows.append(fields)
            starts.append(first)
        if len(rows) == size:
            yield RawTable(
                text_frame(columns, rows), problem_frame(problems), tuple(notes), np.array(starts, dtype=int)
            )
            rows, starts, problems, notes = [], [], [], []
    if num_blank:
        notes.append(f"{num_blank} blank line{'s' if num_blank > 1 else ''} skipped.")
    if decoded.num_repaired:
        notes.append(f"{decoded.num_repaired} lines are not UTF-8 and were read as Windows-1252.")
    yield RawTable(text_frame(columns, rows), problem_frame(problems), tuple(notes), np.array(starts, dtype=int))
