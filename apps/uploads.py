"""Files that a visitor hands in: bounded, given names of our own, read in a temporary folder, never run or kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from core.errors import BadInputError
from core.images.unpacking import unpacked

MAX_MEGABYTES = 200
MAX_UNPACKED_BYTES = 1024**3
MAX_FILES = 5_000
ARCHIVES = (".zip", ".tar", ".tgz")
TABLES = (".csv", ".gz", ".parquet", ".json", ".jsonl")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom")


def shown_name(name: str) -> str:
    """The last part of an uploaded file's name, without folders of any system; at most 120 characters."""
    last = PureWindowsPath(PurePosixPath(name.replace("\x00", "")).name).name
    return last[-120:] or "file"


@contextmanager
def stored(upload: Any, *, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """A temporary file with the upload's bytes and ending, gone afterwards. Its name is ours, not the visitor's.

    Raises:
        BadInputError: another ending, or larger than allowed.
    """
    suffix = next((end for end in suffixes if upload.name.lower().endswith(end)), None)
    if suffix is None:
        raise BadInputError(f"{shown_name(upload.name)} is none of {', '.join(suffixes)}.")
    if upload.size > MAX_MEGABYTES * 1024**2:
        raise BadInputError(f"{shown_name(upload.name)} is larger than {MAX_MEGABYTES} MB.")
    with tempfile.TemporaryDirectory(prefix="crossdomain_upload_") as folder:
        ending = ".csv.gz" if suffix == ".gz" else suffix
        path = Path(folder) / f"upload{ending}"
        path.write_bytes(upload.getbuffer())
        yield path


@contextmanager
def picture_files(upload: Any) -> Iterator[list[tuple[str, Path]]]:
    """(name, path) of an uploaded picture, or of the pictures in an uploaded archive.

    Raises:
        BadInputError: as `stored`, or the archive is damaged, too large, or leaves its folder.
    """
    with stored(upload, suffixes=(*PICTURES, *ARCHIVES)) as path:
        if path.suffix not in ARCHIVES:
            yield [(shown_name(upload.name), path)]
            return
        with unpacked(path, max_bytes=MAX_UNPACKED_BYTES, max_files=MAX_FILES) as folder:
            if folder == path:
                raise BadInputError(f"{shown_name(upload.name)} is no archive that can be read.")
            files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
            yield [(f"{shown_name(upload.name)}/{file.relative_to(folder).as_posix()}", file) for file in files]
