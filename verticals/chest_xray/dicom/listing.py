"""DICOM files, folders or lists as a folder of neutral PNGs with labels.csv, which `import_images` takes in."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadInputError, MissingArtifactError
from core.images.checking import MAX_FILE_BYTES, PROGRESS_SECONDS, print_progress, resolve_inside
from core.images.decoding import BadImage
from core.images.layouts import LIST_NAME
from core.images.unpacking import unpacked
from verticals.chest_xray.dicom.converting import Converted, OneByOne
from verticals.chest_xray.dicom.files import find_dicom_files, looks_like_dicom
from verticals.chest_xray.dicom.label_table import LabelTable, read_label_table
from verticals.chest_xray.dicom.pseudonyms import Pseudonyms
from verticals.chest_xray.dicom.repeats import settle_repeats

COLUMNS = ("file", "label", "patient", "study", "view", "age", "sex", "laterality", "body_part", "manufacturer",
           "pixel_spacing_mm", "bits_stored", "photometric", "split", "study_month")  # fmt: skip
ALWAYS = frozenset({"file", "patient", "view", "age", "sex"})


@dataclass(frozen=True)
class DicomListing:
    """What was converted, without a person in it.

    folder: holds the PNGs and labels.csv. refused: (neutral name, reason); `file 7` is the seventh in sorted order, or
    `line 7` of the list, with the first digits of the file's SHA-256. refused_paths: the same files as they are
    called, for the screen only, never to be stored; None for a row that has no file.
    """

    folder: Path
    num_pictures: int
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    salt_fingerprint: str
    columns: tuple[str, ...]
    refused_paths: tuple[Path | None, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class _Candidate:
    """One file to convert: its neutral name, where it lies (None: nowhere, `reason` says why), what the list tells."""

    name: str
    path: Path | None
    cells: dict[str, str] | None = None
    reason: str = ""


def convert_dicom(
    path: Path,
    to_folder: Path,
    *,
    labels: Path | None = None,
    label: str | None = None,
    file: str | None = None,
    group: str | None = None,
    keep: Sequence[str] = (),
    use_time: bool = False,
    pseudonyms: Pseudonyms | None = None,
    report: Callable[[str], None] = print_progress,
) -> DicomListing:
    """Write one grey PNG a radiograph and labels.csv into `to_folder`, which must be empty or absent.

    path: a DICOM file, a folder (also of files without an ending), a list with a column of paths, or an archive.
    labels: a table joined by `file` (else the column file), SOPInstanceUID or StudyInstanceUID; default the folder's
    labels.csv. `label`: its column (default `label` where there is one); `group`: its column of patients, used instead
    of PatientID and hashed like it; `keep`: further columns that go into the output as they are, so none that names a
    person. `use_time`: the study's month as a column. Name, id, dates, institution and file names stay behind.

    Raises:
        MissingArtifactError: there is no such path.
        BadInputError: no DICOM file is found, none is left, the list is wrong, or `to_folder` is not empty.
        BadParamsError: the salt cannot be used.
    """
    path, to_folder = Path(path), Path(to_folder)
    if not path.exists():
        raise MissingArtifactError(f"There is no {path}.", repair="Check the path.")
    if to_folder.exists() and any(to_folder.iterdir()):
        raise BadInputError(f"{to_folder.name} is not empty.", repair="Choose a new folder.")
    pseudonyms = pseudonyms or Pseudonyms.from_salt_file(keep_out_of=[to_folder])
    to_folder.mkdir(parents=True, exist_ok=True)
    with unpacked(path) as root:
        table = _table_of(root, labels, label=label, file=file, group=group, keep=keep)
        candidates, notes = _candidates(root, table)
        if not candidates:
            raise BadInputError(
                "No DICOM file is found there.", repair="Give a DICOM file, a folder of them or a list."
            )
        taker = OneByOne(to_folder, pseudonyms, table, label=label or "label", group=group, use_time=use_time)
        converted, refused = _convert_all(candidates, taker, report)
    kept, repeats, repeat_notes = settle_repeats(converted, to_folder)
    refused += repeats
    problems = list(table.problems) if table else []
    all_refused = [(name, reason) for name, reason, _ in refused] + problems
    if not kept:
        raise BadInputError(
            f"No radiograph is left: all {len(all_refused):,} were refused ({all_refused[0][1]}).",
            repair="Check the files.",
        )
    columns = _write_list(to_folder / LIST_NAME, kept, keep)
    notes += [*repeat_notes, *_notes(kept, all_refused, table)]
    return DicomListing(
        to_folder,
        len(kept),
        tuple(all_refused),
        tuple(notes),
        pseudonyms.salt_fingerprint(),
        columns,
        (*(where for _, _, where in refused), *(None for _ in problems)),
    )


def _table_of(
    root: Path,
    labels: Path | None,
    *,
    label: str | None,
    file: str | None,
    group: str | None,
    keep: Sequence[str],
) -> LabelTable | None:
    """The table of labels; None where there is none."""
    if labels is None and root.is_dir() and (root / LIST_NAME).is_file():
        labels = root / LIST_NAME
    elif labels is None and root.is_file() and not looks_like_dicom(root):
        labels = root
    told = [name for name in (label, group, *keep) if name]
    if labels is None:
        if told or file:
            raise BadInputError(
                f"The column {(told or [file])[0]} is named, but there is no list.", repair="Say --labels FILE."
            )
        return None
    table = read_label_table(Path(labels), file_column=file, kept=told, optional=("label", "split"))
    if root.is_dir():
        table.root = root
    return table


def _candidates(root: Path, table: LabelTable | None) -> tuple[list[_Candidate], list[str]]:
    """(what to convert, notes on what is passed over)."""
    if table is not None and not table.keyword:
        rows = list(_listed(table))
        listed = {candidate.path.resolve() for candidate in rows if candidate.path is not None}
        found = find_dicom_files(table.root)
        unlisted = sum(path.resolve() not in listed for path in found.files)
        return rows, [f"{unlisted:,} DICOM files are in no row of the list and were left out."] if unlisted else []
    if root.is_file():
        if not looks_like_dicom(root):
            raise BadInputError("A list joined by UID needs a folder.", repair="Give the folder, and --labels FILE.")
        return [_Candidate("file 1", root)], []
    found = find_dicom_files(root)
    notes = [f"{found.num_others:,} files that are no DICOM files were passed over."] if found.num_others else []
    if found.num_directories:
        notes.append(f"{found.num_directories:,} DICOMDIRs were passed over; the files themselves are read.")
    return [_Candidate(f"file {number}", path) for number, path in enumerate(found.files, 1)], notes


def _listed(table: LabelTable) -> Iterator[_Candidate]:
    """The rows of a list of paths."""
    for name, line, cells in table.listed_files():
        try:
            yield _Candidate(f"line {line}", resolve_inside(table.root, name), cells)
        except BadImage as error:
            yield _Candidate(f"line {line}", None, cells, error.reason)


def _convert_all(
    candidates: list[_Candidate], taker: OneByOne, report: Callable[[str], None]
) -> tuple[list[Converted], list[tuple[str, str, Path | None]]]:
    """(pictures, refused: neutral name, reason, path)."""
    converted, refused = [], []
    started = told = time.monotonic()
    for number, candidate in enumerate(candidates, 1):
        name = candidate.name
        try:
            if candidate.path is None:
                raise BadImage(candidate.reason)
            raw = _read_bytes(candidate.path)
            name = taker.neutral_name(name, raw)
            converted.append(taker.convert(name, candidate.path, raw, candidate.cells))
        except BadImage as error:
            refused.append((name, error.reason, candidate.path))
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            left = (told - started) / number * (len(candidates) - number)
            report(f"dicom: {number:,} of {len(candidates):,} files read, about {left:.0f} s left")
    return converted, refused


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadImage(f"the file is larger than {MAX_FILE_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except OSError as error:
        raise BadImage(f"the file cannot be read ({error.strerror})") from None


def _write_list(file: Path, kept: list[Converted], keep: Sequence[str]) -> tuple[str, ...]:
    """Write labels.csv; columns that no picture has are left out. Returns those that are there."""
    present = {name for picture in kept for name, text in picture.row.items() if text} | ALWAYS
    columns = tuple(name for name in dict.fromkeys((*COLUMNS, *keep)) if name in present)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: picture.row.get(name, "") for name in columns} for picture in kept)
    return columns


def _notes(kept: list[Converted], refused: list[tuple[str, str]], table: LabelTable | None) -> list[str]:
    """Counted sentences on all pictures together."""
    counts = Counter(note for picture in kept for note in picture.notes)
    notes = [f"{count:,} of {len(kept):,} radiographs: {note}." for note, count in counts.most_common()]
    nameless = [picture.name for picture in kept if not picture.has_patient]
    if nameless:
        notes.append(
            f"{len(nameless):,} radiographs have no patient id, such as {nameless[0]}: each study, or picture without "
            "one, is a group of its own, so one person may stand in two splits."
        )
    views = Counter(picture.row.get("view") or "not told" for picture in kept)
    notes.append("Views: " + ", ".join(f"{view} {count:,}" for view, count in views.most_common()) + ".")
    if refused:
        notes.append(f"{len(refused):,} files or rows were refused, such as {refused[0][0]}: {refused[0][1]}.")
    if table is not None:
        notes += table.notes
        unmatched = len(table.rows) - len(table.matched)
        if table.keyword and unmatched:
            notes.append(f"{unmatched:,} rows of the list match no DICOM file.")
    return notes
