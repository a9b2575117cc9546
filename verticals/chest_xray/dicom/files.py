"""Which files of a path are DICOM files: told by their mark, whatever they are called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.data.reading import read_raw_table
from core.errors import CrossdomainError
from core.images.layouts import LIST_NAME
from core.images.unpacking import unpacked
from verticals.chest_xray.dicom.stored_pixels import META_START, is_dicom

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
DIRECTORY_NAME = "DICOMDIR"
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz"})
NUM_CELLS_LOOKED_AT = 50


@dataclass(frozen=True)
class FoundFiles:
    """files: with a DICOM file's mark or ending, sorted. num_directories: DICOMDIRs. num_others: no DICOM files."""

    files: tuple[Path, ...]
    num_directories: int = 0
    num_others: int = 0


def has_mark(path: Path) -> bool:
    """Whether a file carries the mark of a DICOM file; a file that cannot be opened does not."""
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(META_START))
    except OSError:
        return False


def looks_like_dicom(path: Path) -> bool:
    """Whether a file is called or marked as DICOM; a text named .dcm is, so that it is refused by name."""
    return path.suffix.lower() in DICOM_SUFFIXES or has_mark(path)


def find_dicom_files(folder: Path) -> FoundFiles:
    """The DICOM files below a folder; hidden ones, links out of it, and what is no DICOM file are passed over."""
    root, files, num_directories, num_others = folder.resolve(), [], 0, 0
    for path in _files_below(folder):
        if path.name.split(".")[0].upper() == DIRECTORY_NAME:
            num_directories += 1
        elif path.name == LIST_NAME:
            continue
        elif looks_like_dicom(path) and path.resolve().is_relative_to(root):
            files.append(path)
        else:
            num_others += 1
    return FoundFiles(tuple(files), num_directories, num_others)


def holds_dicom(path: Path, *, file_column: str = "file") -> bool:
    """Whether `convert_dicom` should take this path: a DICOM file, a folder or archive with one, a list of some."""
    path = Path(path)
    if path.is_file() and path.suffix.lower() in ARCHIVE_SUFFIXES:
        with unpacked(path) as root:
            return root.is_dir() and holds_dicom(root, file_column=file_column)
    if path.is_dir():
        listed = path / LIST_NAME
        return _list_names_dicom(listed, file_column) or any(
            looks_like_dicom(file) for file in _files_below(path) if file.name != LIST_NAME
        )
    return path.is_file() and (looks_like_dicom(path) or _list_names_dicom(path, file_column))


def _list_names_dicom(table: Path, file_column: str) -> bool:
    if not table.is_file() or table.suffix.lower() not in {".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl"}:
        return False
    try:
        frame = read_raw_table(table).frame
    except CrossdomainError:
        return False
    if file_column not in frame.columns:
        return False
    names = frame[file_column].dropna().head(NUM_CELLS_LOOKED_AT)
    return any(looks_like_dicom(table.parent / name.strip().replace("\\", "/")) for name in names)


def _files_below(folder: Path) -> list[Path]:
    """Files in a fixed order, hidden ones and folders left out."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        found += [Path(parent) / name for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())
